//! What rules do to requests and answers, through the whole data plane.

use std::sync::Arc;

use fairway_model::cluster::BackendProtocol;
use fairway_model::filter::{
    Cors, DirectResponse, HeaderField, HeaderModifier, Mirror, OriginMatch, PathRewrite, Redirect,
    Scheme, UrlRewrite,
};
use fairway_model::gateway::ListenerProtocol;
use fairway_model::policy::{
    HashSource, IpAccess, LoadBalancing, Millis, RateLimit, RateLimitKey, SessionCarrier,
    SessionPersistence,
};
use fairway_model::route::{BackendTarget, HttpAction};
use fairway_model::{ClusterId, Model};
use fairway_proxy::{AccessLog, LogFormat, Settings};

use super::http_rig::{self as http, Backend, Caller, ok};
use super::rig::{self, Rig};

fn field(name: &str, value: &str) -> HeaderField {
    HeaderField { name: name.into(), value: value.into() }
}

#[tokio::test(flavor = "multi_thread")]
async fn heads_are_changed_on_the_way_there_and_back() {
    let backend = Backend::start(|_| {
        http::Act::Send(
            b"HTTP/1.1 200 OK\r\nx-gone: 1\r\nx-kept: 1\r\ncontent-length: 0\r\n\r\n".to_vec(),
        )
    })
    .await;
    let model = http::forwarding_with(&[backend.address], |rule, forward| {
        forward.request_headers = HeaderModifier {
            set: vec![field("x-a", "rule"), field("x-b", "rule")],
            add: vec![field("x-c", "more")],
            remove: vec!["x-d".into()],
        };
        forward.backends[0].request_headers.set = vec![field("x-b", "backend")];
        forward.rewrite = Some(UrlRewrite {
            hostname: Some("inner.test".into()),
            path: Some(PathRewrite::ReplacePrefix("/new".into())),
        });
        rule.response_headers = HeaderModifier {
            set: vec![field("x-set", "1")],
            add: Vec::new(),
            remove: vec!["x-gone".into()],
        };
    });
    let rig = Rig::start(1, model);
    let mut caller = Caller::to(&rig).await;
    caller
        .send("GET /a/b?q=1 HTTP/1.1\r\nhost: Shop.Test\r\nx-c: 1\r\nx-d: 1\r\nx-a: 1\r\n\r\n")
        .await;
    let got = caller.answer().await;
    assert_eq!(got.field("x-gone"), None);
    assert_eq!((got.field("x-set"), got.field("x-kept")), (Some("1"), Some("1")));
    let seen = backend.last();
    assert_eq!(seen.path(), "/new/a/b?q=1");
    assert_eq!(seen.field("host"), Some("inner.test"));
    assert_eq!(seen.field("x-forwarded-host"), Some("shop.test"));
    assert_eq!((seen.field("x-a"), seen.field("x-b")), (Some("rule"), Some("backend")));
    assert_eq!(seen.head.matches("x-c: ").count(), 2);
    assert_eq!(seen.field("x-d"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_without_a_backend() {
    let mut model = rig::model();
    rig::listener(&mut model, "web", 8080, "*", ListenerProtocol::Http);
    let redirect = Redirect {
        scheme: Some(Scheme::Https),
        hostname: Some("new.test".into()),
        port: None,
        path: Some(PathRewrite::ReplacePrefix("/there".into())),
        status: 301,
    };
    http::rule(&mut model, "r1", "web", "/moved", HttpAction::Redirect(redirect.clone()));
    let plain = Redirect { scheme: None, hostname: None, path: None, status: 302, ..redirect };
    http::rule(&mut model, "r2", "web", "/plain", HttpAction::Redirect(plain));
    let direct = DirectResponse {
        status: 201,
        content_type: Some("text/html".into()),
        body: "<p>hi".into(),
    };
    http::rule(&mut model, "r3", "web", "/direct", HttpAction::Respond(direct));
    let rig = Rig::start(1, model);
    let mut caller = Caller::to(&rig).await;
    let got = caller.get("/moved/x?y=1").await;
    assert_eq!((got.status, got.field("location")), (301, Some("https://new.test/there/x?y=1")));
    let got = caller.get("/plain/x").await;
    assert_eq!((got.status, got.field("location")), (302, Some("http://shop.test:8080/plain/x")));
    let got = caller.get("/direct").await;
    assert_eq!((got.status, got.text()), (201, "<p>hi".to_owned()));
    assert_eq!(got.field("content-type"), Some("text/html"));
    caller.send("HEAD /direct HTTP/1.1\r\nhost: a\r\n\r\n").await;
    let got = caller.answer_to_head().await;
    assert_eq!((got.status, got.field("content-length")), (201, Some("5")));
    assert_eq!(caller.get("/other").await.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_call_and_how_often_holds_for_all_threads_together() {
    let backend = Backend::named("a").await;
    for threads in [1, 4] {
        let mut model = http::forwarding_with(&[backend.address], |rule, _| {
            rule.rate_limits = vec![RateLimit {
                key: RateLimitKey::Constant,
                requests: 1,
                period: Millis::new(600_000).expect("not zero"),
                burst: 5,
                status: 429,
            }];
        });
        let mut shut = http::plain_rule("/shut", http::forward(&["backend"]));
        shut.ip_access =
            IpAccess { allow: Vec::new(), deny: vec!["127.0.0.0/8".parse().expect("a net")] };
        http::put(&mut model, "shut", "web", "*", shut);
        let rig = Rig::start(threads, model);
        let mut statuses = Vec::new();
        for _ in 0..20 {
            let mut caller = Caller::to(&rig).await;
            assert_eq!(caller.get("/shut").await.status, 403);
            let got = caller.get("/").await;
            assert_eq!(got.status == 429, got.field("retry-after").is_some());
            statuses.push(got.status);
        }
        let passed = statuses.iter().filter(|status| **status == 200).count();
        assert_eq!(passed, 5, "{threads} threads");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_are_told_whether_they_may_call() {
    let backend = Backend::named("a").await;
    let model = http::forwarding_with(&[backend.address], |rule, _| {
        rule.cors = Some(Cors {
            allow_origins: vec![OriginMatch::Exact("https://page.test".into())],
            allow_credentials: true,
            allow_methods: vec!["GET".into()],
            allow_headers: Vec::new(),
            expose_headers: vec!["x-a".into()],
            max_age: 60,
        });
    });
    let rig = Rig::start(1, model);
    let mut caller = Caller::to(&rig).await;
    for (origin, allowed) in [("https://page.test", true), ("https://evil.test", false)] {
        caller
            .send(format!(
                "OPTIONS / HTTP/1.1\r\nhost: a\r\norigin: {origin}\r\n\
                 access-control-request-method: GET\r\n\r\n"
            ))
            .await;
        let got = caller.answer().await;
        assert_eq!(got.field("access-control-allow-origin"), allowed.then_some(origin));
        assert_eq!(backend.seen().len(), usize::from(!allowed), "answered here");
        caller.send(format!("GET / HTTP/1.1\r\nhost: a\r\norigin: {origin}\r\n\r\n")).await;
        let got = caller.answer().await;
        assert_eq!((got.status, got.text()), (200, "a".to_owned()));
        assert_eq!(got.field("access-control-allow-origin"), allowed.then_some(origin));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn weights_are_shares() {
    let (most, some) = (Backend::named("most").await, Backend::named("some").await);
    for threads in [1, 4] {
        let mut model = http::forwarding_with(&[most.address], |_, forward| {
            forward.backends = vec![
                http::weighted("backend", 80),
                http::weighted("other", 20),
                http::weighted("none", 0),
            ];
        });
        rig::cluster(&mut model, "other", BackendProtocol::Http, &[some.address]);
        rig::cluster(&mut model, "none", BackendProtocol::Http, &[]);
        let rig = Rig::start(threads, model);
        let mut count = 0;
        for turn in 0..500 {
            let mut caller = Caller::to(&rig).await;
            let got = caller.get(&format!("/{turn}")).await;
            assert_eq!(got.status, 200);
            count += usize::from(got.text() == "some");
        }
        // Six standard deviations.
        assert!((46..=154).contains(&count), "{count}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn copies_go_to_mirrors_and_nobody_waits_for_them() {
    let backend = Backend::start(|seen| ok(&String::from_utf8_lossy(&seen.body))).await;
    let copy = Backend::start(|_| http::Act::Send(http::response(500, "bad"))).await;
    let stuck = Backend::start(|_| http::Act::Hang).await;
    let mirror = |name: &str, numerator| Mirror {
        target: BackendTarget::Cluster(ClusterId::new(name)),
        numerator,
        denominator: 100,
    };
    let mut model = http::forwarding_with(&[backend.address], |_, forward| {
        forward.mirrors = vec![mirror("copy", 100), mirror("stuck", 100)];
        forward.backends[0].mirrors = vec![mirror("never", 0), mirror("unknown", 100)];
    });
    let never = Backend::named("never").await;
    for (name, one) in [("copy", &copy), ("stuck", &stuck), ("never", &never)] {
        rig::cluster(&mut model, name, BackendProtocol::Http, &[one.address]);
    }
    rig::cluster(&mut model, "unknown", BackendProtocol::Http, &[]);
    let rig = Rig::start(1, model);
    let mut caller = Caller::to(&rig).await;
    for turn in 0..10 {
        let body = "x".repeat(turn * 10_000);
        let head =
            format!("PUT /{turn} HTTP/1.1\r\nhost: a\r\ncontent-length: {}\r\n\r\n", body.len());
        caller.send(head + &body).await;
        assert_eq!(caller.answer().await.text(), body);
    }
    rig::until("all copies have arrived", || copy.seen().len() == 10 && stuck.seen().len() == 10)
        .await;
    for seen in copy.seen() {
        let turn: usize = seen.path().trim_start_matches('/').parse().expect("a number");
        assert_eq!(seen.body.len(), turn * 10_000);
    }
    assert!(never.seen().is_empty());
}

fn two(first: &Backend, second: &Backend) -> Model {
    http::forwarding(&[first.address, second.address])
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_stay_with_their_endpoint() {
    let (first, second) = (Backend::named("first").await, Backend::named("second").await);
    for threads in [1, 4] {
        let mut model = two(&first, &second);
        let both = http::forwarding_with(&[], |_, forward| {
            forward.session = Some(SessionPersistence {
                name: "stay".into(),
                carrier: SessionCarrier::Cookie { path: "/".into(), permanent: false },
                absolute_timeout: None,
                idle_timeout: None,
            });
        });
        model.routes = both.routes;
        let rig = Rig::start(threads, model);
        for _ in 0..6 {
            let mut caller = Caller::to(&rig).await;
            let got = caller.get("/").await;
            let name = got.text();
            let cookie = got.field("set-cookie").expect("a session begins").to_owned();
            let pair = cookie.split(';').next().expect("a pair");
            for _ in 0..5 {
                let mut caller = Caller::to(&rig).await;
                caller.send(format!("GET / HTTP/1.1\r\nhost: a\r\ncookie: {pair}\r\n\r\n")).await;
                let got = caller.answer().await;
                assert_eq!(got.text(), name);
                assert_eq!(got.field("set-cookie"), None);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_key_finds_the_same_endpoint() {
    let (first, second) = (Backend::named("first").await, Backend::named("second").await);
    let mut model = two(&first, &second);
    let hashed = http::forwarding_with(&[], |_, forward| {
        let source = HashSource::Header("x-user".into());
        forward.load_balancing = LoadBalancing::ConsistentHash(source);
    });
    model.routes = hashed.routes;
    let rig = Rig::start(4, model);
    let mut names = std::collections::BTreeSet::new();
    for user in 0..20 {
        let mut of_user = std::collections::BTreeSet::new();
        for _ in 0..3 {
            let mut caller = Caller::to(&rig).await;
            caller.send(format!("GET / HTTP/1.1\r\nhost: a\r\nx-user: {user}\r\n\r\n")).await;
            of_user.insert(caller.answer().await.text());
        }
        assert_eq!(of_user.len(), 1, "{user}");
        names.extend(of_user);
    }
    assert_eq!(names.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_request_is_told_in_one_line() {
    let backend = Backend::named("body").await;
    for (format, wanted) in [
        (LogFormat::Combined, "\"GET /a?b=\\x22 HTTP/1.1\" 200 4 \"-\" \"me\" host=shop.test ms="),
        (LogFormat::Json, "\"target\":\"/a?b=%22\",\"version\":\"HTTP/1.1\",\"userAgent\":\"me\""),
    ] {
        let (lines, waiting) = std::sync::mpsc::channel::<String>();
        let lines = std::sync::Mutex::new(lines);
        let log = AccessLog::Lines(
            format,
            Arc::new(move |line: &str| {
                let lines = lines.lock().expect("nobody panics with it");
                lines.send(line.to_owned()).expect("the test waits for it");
            }),
        );
        let settings =
            Settings { threads: 1, ephemeral_ports: true, access_log: log, ..Settings::default() };
        let rig = Rig::start_with(settings, http::forwarding(&[backend.address]));
        let mut caller = Caller::to(&rig).await;
        let request = "GET /a?b=%22 HTTP/1.1\r\nhost: shop.test\r\nuser-agent: me\r\n\r\n";
        caller.send(request).await;
        caller.answer().await;
        http::raw(rig.address("web"), "nonsense\r\n\r\n").await;
        let lines = tokio::task::spawn_blocking(move || {
            [waiting.recv_timeout(http::SOON), waiting.recv_timeout(http::SOON)]
        });
        let [line, refused] = lines.await.expect("no panic");
        let (line, refused) = (line.expect("a line"), refused.expect("another line"));
        assert!(refused.contains("400"), "{refused}");
        let wanted = wanted.replace("\\x22", "%22");
        assert!(line.contains(&wanted), "{line}");
        assert!(line.contains("rule") && line.contains(&backend.address.to_string()), "{line}");
    }
}
