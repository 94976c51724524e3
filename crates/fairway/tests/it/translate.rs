//! `fairway translate`, completions, and what all verbs have in common.

use std::process::{Command, Stdio};

use serde_json::Value;

use crate::rig::{binary, fairway, shop, text};

fn translate(what: &str) -> Value {
    let shop = shop().display().to_string();
    let verb = ["translate", &shop, "--what", what, "-o", "json", "--generate-certificates"];
    let output = fairway(&verb);
    assert!(output.status.success(), "{}", text(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

#[test]
fn the_model_is_shown_without_keys() {
    let model = translate("model");
    let shown = model.to_string();
    assert!(shown.contains("traffic-route/shop/cart"), "{shown}");
    assert!(shown.contains("[redacted]") && shown.contains("BEGIN CERTIFICATE"), "{shown}");
    assert!(!shown.contains("PRIVATE KEY"), "a key is shown");
}

#[test]
fn verdicts_and_statuses_are_shown() {
    let verdicts = translate("verdicts");
    assert!(verdicts["HTTPRoute shop/catalog"]["parents"].is_array(), "{verdicts:#}");
    let statuses = translate("statuses");
    let all = statuses.as_array().expect("a list");
    let route = all.iter().find(|status| status["kind"] == "TrafficRoute").expect("the route's");
    assert_eq!(route["status"]["parents"][0]["conditions"][0]["type"], "Accepted", "{route:#}");
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let shop = shop().display().to_string();
    let mut child = Command::new(binary())
        .args(["translate", &shop])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("a child of ours");
    assert!(output.status.success(), "{output:?}");
    assert_eq!(text(&output.stderr), "");
}

#[test]
fn completions_are_for_every_shell() {
    for shell in ["bash", "zsh", "fish"] {
        let output = fairway(&["completions", shell]);
        assert!(output.status.success() && text(&output.stdout).contains("explain"), "{shell}");
    }
}

#[test]
fn help_names_every_verb() {
    let output = fairway(&["--help"]);
    for verb in ["run", "demo", "check", "translate", "explain", "status", "echo"] {
        assert!(text(&output.stdout).contains(verb), "{verb}");
    }
}
