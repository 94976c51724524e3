//! `fairway explain` on the shop.

use serde_json::Value;

use crate::rig::{fairway, shop, text};

fn explain(more: &[&str]) -> (Option<i32>, String, String) {
    let shop = shop().display().to_string();
    let output = fairway(&[&["explain", &shop], more].concat());
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

fn json(more: &[&str]) -> Value {
    let (_, printed, errors) = explain(&[more, &["-o", "json"]].concat());
    serde_json::from_str(&printed).unwrap_or_else(|error| panic!("{error}: {printed}{errors}"))
}

#[test]
fn winner_and_losers_are_named() {
    let request = ["--url", "https://shop.example.test/cart", "--method", "GET"];
    let (code, printed, _) = explain(&request);
    assert_eq!(code, Some(0), "{printed}");
    for said in [
        "Gateway.fairway.dev shop/public port 443",
        "listener  https (HTTPS, *.example.test)",
        "rule      TrafficRoute shop/cart rule 0 \"cart\"",
        "match     path prefix /cart",
        "90% Service shop/cart:80",
        "10% Service shop/cart-canary:80",
        "x-forwarded-proto: https",
        "HTTPRoute shop/catalog rule 0: the path differs (it wants path prefix /catalog)",
        "HTTPRoute shop/catalog rule 1: the path differs (it wants path prefix /chat)",
        "GRPCRoute shop/inventory rule 0: none of its hosts matches",
        "TrafficRoute shop/cart rule 1 \"checkout\": the path differs",
        "TrafficRoute shop/cart rule 2 \"robots\": the path differs",
        "http: it listens on port 80",
    ] {
        assert!(printed.contains(said), "{said}:\n{printed}");
    }
    assert!(printed.contains("Ingress shop/orders"), "the Ingress is a rule too:\n{printed}");
}

#[test]
fn the_backends_view_is_shown() {
    let explained =
        json(&["--url", "http://shop.example.test//catalog/./shoes?a=b", "-H", "X-A: 1"]);
    let sees = &explained["gateways"][0]["rule"]["backends"][0]["sees"];
    assert_eq!(sees[0], "GET /v2/items/shoes?a=b", "{explained:#}");
    let lines = sees.as_array().expect("lines");
    assert!(lines.iter().any(|line| line == "x-a: 1"), "{sees:#}");
    let notes = explained["notes"].to_string();
    assert!(notes.contains("is taken as /catalog/shoes"), "{notes}");
}

#[test]
fn answers_of_our_own_are_told() {
    let explained = json(&["--url", "http://shop.example.test/robots.txt"]);
    let answers = explained["gateways"][0]["rule"]["answers"].as_str().unwrap_or_default();
    assert!(answers.starts_with("200 with a body of"), "{explained:#}");
    let explained = json(&["--url", "http://shop.example.test/checkout"]);
    let before = explained["gateways"][0]["rule"]["before"].to_string();
    assert!(before.contains("429"), "{explained:#}");
}

#[test]
fn endpoints_come_from_the_command_line() {
    let explained = json(&[
        "--url",
        "http://shop.example.test/cart",
        "--backend",
        "shop/cart:80=127.0.0.1:8080",
    ]);
    let backend = &explained["gateways"][0]["rule"]["backends"][0];
    assert_eq!(backend["endpoints"][0], "127.0.0.1:8080", "{explained:#}");
}

#[test]
fn no_rule_and_no_request_are_told_apart() {
    let (code, printed, _) = explain(&["--url", "http://shop.example.test/nowhere"]);
    assert_eq!(code, Some(1), "{printed}");
    assert!(printed.contains("no rule answers"), "{printed}");
    let (code, printed, _) = explain(&["--url", "http://shop.example.test:81/cart"]);
    assert_eq!(code, Some(1), "{printed}");
    assert!(printed.contains("ports that are listened on: 80, 443"), "{printed}");
    let (code, printed, _) =
        explain(&["--url", "http://shop.example.test/cart", "--gateway", "shop/other"]);
    assert_eq!(code, Some(1), "{printed}");
    let (code, _, errors) = explain(&["--url", "http://shop.example.test/%zz"]);
    assert_eq!(code, Some(2), "{errors}");
    assert!(errors.contains("would be refused by 400"), "{errors}");
    let (code, _, _) = explain(&["--url", "shop"]);
    assert_eq!(code, Some(2));
}
