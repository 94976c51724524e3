//! What happens when endpoints are missing, slow, broken or gone, and when a request is tried again.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use fairway_model::cluster::BackendProtocol;
use fairway_model::policy::{Millis, PassiveHealth, Retry, RetryOn};
use fairway_model::route::{BackendTarget, Failure};
use fairway_proxy::{Counter, Settings};

use super::http_rig::{self as http, Act, Backend, Caller, ok};
use super::rig::{self, Rig};

fn retry(attempts: u32, codes: &[u16], on: &[RetryOn]) -> Retry {
    Retry {
        attempts,
        codes: codes.to_vec(),
        on: on.to_vec(),
        backoff: Millis::new(1),
        per_try_timeout: None,
        non_idempotent: false,
    }
}

/// A backend whose first requests go wrong as told.
async fn failing(first: usize, wrong: Act) -> Backend {
    let count = AtomicUsize::new(0);
    Backend::start(move |_| match count.fetch_add(1, Ordering::SeqCst) {
        number if number < first => wrong.clone(),
        _ => ok("at last"),
    })
    .await
}

async fn status(rig: &Rig, request: &str) -> u16 {
    let mut caller = Caller::to(rig).await;
    caller.send(request).await;
    caller.answer().await.status
}

const GET: &str = "GET / HTTP/1.1\r\nhost: a\r\n\r\n";

#[tokio::test(flavor = "multi_thread")]
async fn missing_backends_have_their_own_statuses() {
    let nobody = std::net::SocketAddr::new(rig::LOOPBACK, rig::free_port());
    let backend = Backend::named("a").await;
    let mut model = http::forwarding(&[backend.address]);
    rig::cluster(&mut model, "empty", BackendProtocol::Http, &[]);
    rig::cluster(&mut model, "gone", BackendProtocol::Http, &[nobody]);
    http::rule(&mut model, "r1", "web", "/empty", http::forward(&["empty"]));
    http::rule(&mut model, "r2", "web", "/gone", http::forward(&["gone"]));
    let mut forward = http::plain_forward(&["backend"]);
    let failure = Failure { status: 500, reason: "no such Service".into() };
    forward.backends[0].target = BackendTarget::Fail(failure.clone());
    let forward = fairway_model::route::HttpAction::Forward(Box::new(forward));
    http::rule(&mut model, "r3", "web", "/invalid", forward);
    let fail = fairway_model::route::HttpAction::Fail(Failure { status: 503, ..failure });
    http::rule(&mut model, "r4", "web", "/closed", fail);
    model.routes.remove("rule");
    http::rule(&mut model, "r5", "web", "/a", http::forward(&["backend"]));
    let rig = Rig::start(1, model);
    let mut caller = Caller::to(&rig).await;
    for (path, status) in [
        ("/empty", 503),
        ("/gone", 502),
        ("/invalid", 500),
        ("/closed", 503),
        ("/other", 404),
        ("/a", 200),
    ] {
        let got = caller.get(path).await;
        assert_eq!(got.status, status, "{path}");
        assert_eq!(got.field("connection"), None, "{path}");
    }
    let metrics = rig.proxy.metrics();
    assert_eq!(metrics.upstream_failures.get("connect"), Some(&1));
}

#[tokio::test(flavor = "multi_thread")]
async fn statuses_and_broken_connections_are_tried_again_when_asked() {
    for (wrong, codes, on, tries) in [
        (http::response(503, ""), &[503][..], &[][..], 3),
        (http::response(503, ""), &[], &[RetryOn::Reset][..], 1),
        (b"".to_vec(), &[], &[RetryOn::Reset], 3),
        (b"HTTP/1.1 2".to_vec(), &[], &[RetryOn::Reset], 3),
        (b"garbage\r\n\r\n".to_vec(), &[], &[RetryOn::Reset], 3),
        (b"".to_vec(), &[503], &[], 1),
    ] {
        let backend = failing(2, Act::Last(wrong.clone())).await;
        let model = http::forwarding_with(&[backend.address], |_, forward| {
            forward.retry = Some(retry(2, codes, on));
        });
        let rig = Rig::start(1, model);
        let got = status(&rig, GET).await;
        let case = String::from_utf8_lossy(&wrong).into_owned();
        let expected = match (tries, case.is_empty()) {
            (3, _) => 200,
            (_, true) => 502,
            (_, false) => 503,
        };
        assert_eq!((got, backend.seen().len()), (expected, tries), "{case}");
        let retries = u64::try_from(tries - 1).expect("it fits");
        assert_eq!(rig.proxy.metrics().counter(Counter::Retries), retries, "{case}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_goes_elsewhere_and_sends_the_body_again() {
    let bad = Backend::start(|_| Act::Last(http::response(500, "bad"))).await;
    let good = Backend::start(|seen| ok(&String::from_utf8_lossy(&seen.body))).await;
    let model = http::forwarding_with(&[bad.address, good.address], |_, forward| {
        forward.retry = Some(retry(1, &[500], &[]));
    });
    let rig = Rig::start(1, model);
    for turn in 0..10 {
        let mut caller = Caller::to(&rig).await;
        caller.send("PUT / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhe").await;
        caller.send(format!("llo\r\n1\r\n{turn}\r\n0\r\n\r\n")).await;
        assert_eq!(caller.answer().await.text(), format!("hello{turn}"));
    }
    assert!(bad.seen().iter().all(|seen| seen.body.starts_with(b"hello")));
    assert_eq!((bad.seen().len(), good.seen().len()), (5, 10));
    // POST is not idempotent, and a body beyond the memory cannot be sent again.
    let mut statuses = Vec::new();
    for (method, size) in [("POST", 10), ("PUT", 1 << 20)] {
        for _ in 0..2 {
            let head = format!("{method} / HTTP/1.1\r\nhost: a\r\ncontent-length: {size}\r\n\r\n");
            statuses.push(status(&rig, &(head + &"x".repeat(size))).await);
        }
    }
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 200, 500, 500]);
}

/// Per Gateway API v1.7: what was never sent is safe to send, whatever its method.
#[tokio::test(flavor = "multi_thread")]
async fn what_could_not_be_sent_goes_elsewhere_whatever_its_method() {
    let nobody = std::net::SocketAddr::new(rig::LOOPBACK, rig::free_port());
    let good = Backend::named("good").await;
    let model = http::forwarding_with(&[nobody, good.address], |_, forward| {
        forward.retry = Some(retry(100, &[], &[RetryOn::ConnectFailure, RetryOn::Reset]));
    });
    let rig = Rig::start(1, model);
    for _ in 0..10 {
        assert_eq!(status(&rig, GET).await, 200);
        let post = "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\nhi";
        assert_eq!(status(&rig, post).await, 200);
    }
    assert!(rig.proxy.metrics().counter(Counter::Retries) > 0, "the other one was tried");
    assert_eq!(good.seen().len(), 20, "each arrived once");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_closed_while_idle_costs_no_request() {
    // Answers once on each connection and then closes without a word.
    let backend = Backend::start(|_| Act::Last(http::response(200, "once"))).await;
    let rig = Rig::start(1, http::forwarding(&[backend.address]));
    let mut caller = Caller::to(&rig).await;
    for _ in 0..50 {
        assert_eq!(caller.get("/").await.status, 200);
    }
    // Answers the second request on a connection by closing it.
    let backend = Backend::start(|seen| match seen.head.contains("/first") {
        true => ok("first"),
        false if seen.head.contains("/second") => Act::Last(Vec::new()),
        false => ok("other"),
    })
    .await;
    let rig = Rig::start(1, http::forwarding(&[backend.address]));
    let mut caller = Caller::to(&rig).await;
    assert_eq!(caller.get("/first").await.status, 200);
    assert_eq!(caller.get("/second").await.status, 502, "tried twice, not for ever");
    assert_eq!(backend.seen().len(), 3);
    assert_eq!(caller.get("/first").await.status, 200);
    caller.send("POST /second HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n").await;
    assert_eq!(caller.answer().await.status, 502);
    assert_eq!(backend.seen().len(), 5, "a POST may have been done");
}

#[tokio::test(flavor = "multi_thread")]
async fn times_are_kept() {
    let fast = Millis::new(200);
    let backend = Backend::start(|_| Act::Hang).await;
    let began = Instant::now();
    for which in 0..4 {
        let model = http::forwarding_with(&[backend.address], |_, forward| match which {
            0 => forward.timeouts.request = fast,
            1 => forward.timeouts.backend_request = fast,
            2 => forward.timeouts.idle = fast,
            _ => {
                let mut retry = retry(2, &[], &[RetryOn::Timeout]);
                retry.per_try_timeout = Millis::new(50);
                forward.retry = Some(retry);
            }
        });
        let before = backend.seen().len();
        let rig = Rig::start(1, model);
        assert_eq!(status(&rig, GET).await, 504, "{which}");
        let tries = backend.seen().len() - before;
        assert_eq!(tries, if which == 3 { 3 } else { 1 }, "{which}");
        rig::until("the endpoint is told", || backend.open() == 0).await;
    }
    assert!(began.elapsed() < Duration::from_secs(5));
    // Over all tries together.
    let model = http::forwarding_with(&[backend.address], |_, forward| {
        let mut retry = retry(10, &[], &[RetryOn::Timeout]);
        retry.per_try_timeout = Millis::new(60);
        forward.retry = Some(retry);
        forward.timeouts.request = fast;
    });
    let before = backend.seen().len();
    let rig = Rig::start(1, model);
    assert_eq!(status(&rig, GET).await, 504);
    assert!((2..=4).contains(&(backend.seen().len() - before)));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_breaks_off_is_seen_to_break_off() {
    let cut = b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhello".to_vec();
    let cut_chunk = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n".to_vec();
    for answer in [cut, cut_chunk] {
        let backend = Backend::start(move |_| Act::Last(answer.clone())).await;
        let rig = Rig::start(1, http::forwarding(&[backend.address]));
        let got = http::raw(rig.address("web"), GET).await;
        assert!(got.starts_with("HTTP/1.1 200") && got.contains("hello"), "{got}");
        assert!(!got.ends_with("0\r\n\r\n"), "{got}");
    }
    let slow = b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhello".to_vec();
    let backend = Backend::start(move |_| Act::Send(slow.clone())).await;
    let model = http::forwarding_with(&[backend.address], |_, forward| {
        forward.timeouts.idle = Millis::new(200);
    });
    let rig = Rig::start(1, model);
    let got = http::raw(rig.address("web"), GET).await;
    assert!(got.ends_with("hello"), "{got}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_stalls_in_its_body_is_told_so() {
    let backend = Backend::named("a").await;
    let model = http::forwarding_with(&[backend.address], |_, forward| {
        forward.timeouts.idle = Millis::new(200);
    });
    let rig = Rig::start(1, model);
    let request = "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\nhello";
    let got = http::raw(rig.address("web"), request).await;
    assert!(got.starts_with("HTTP/1.1 408"), "{got}");
    rig::until("the endpoint is told", || backend.open() == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_fails_rests_in_all_threads() {
    let bad = Backend::start(|_| ok_status(503)).await;
    let good = Backend::named("good").await;
    for threads in [1, 4] {
        let model = http::forwarding_with(&[bad.address, good.address], |_, forward| {
            forward.passive_health = Some(PassiveHealth {
                consecutive_5xx: Some(3),
                consecutive_gateway_errors: None,
                interval: Millis::new(60_000).expect("not zero"),
                base_ejection_time: Millis::new(60_000).expect("not zero"),
                max_ejection_percent: 50,
            });
        });
        let rig = Rig::start(threads, model);
        let before = bad.seen().len();
        let mut failures = 0;
        for _ in 0..40 {
            failures += usize::from(status(&rig, GET).await == 503);
        }
        assert_eq!((failures, bad.seen().len() - before), (3, 3), "{threads} threads");
    }
}

fn ok_status(status: u16) -> Act {
    Act::Send(http::response(status, ""))
}

#[tokio::test(flavor = "multi_thread")]
async fn idle_connections_are_bounded_in_number_and_age() {
    let barrier = Arc::new(tokio::sync::Barrier::new(8));
    let backend = Backend::named("a").await;
    let mut settings = Settings { threads: 1, ephemeral_ports: true, ..Settings::default() };
    settings.limits.idle_upstreams = 2;
    settings.timeouts.idle_upstream = Duration::from_millis(300);
    let rig = Rig::start_with(settings, http::forwarding(&[backend.address]));
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let (barrier, address) = (Arc::clone(&barrier), rig.address("web"));
        calls.spawn(async move {
            let mut caller = Caller::at(address).await;
            // The endpoint has read the head; nobody's body is complete before all have begun.
            caller.send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\n\r\n").await;
            barrier.wait().await;
            tokio::time::sleep(Duration::from_millis(50)).await;
            caller.send("x").await;
            assert_eq!(caller.answer().await.status, 200);
        });
    }
    while let Some(done) = calls.join_next().await {
        done.expect("it is answered");
    }
    rig::until("only two are kept", || backend.open() <= 2).await;
    rig::until("none is kept for ever", || backend.open() == 0).await;
}
