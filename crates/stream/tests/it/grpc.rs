//! Each proxy is given its own part, differences only, one update at a time.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use fairway_model::{Feature, ListenerId, RouteId};
use fairway_stream::{Ack, Resource, Subscriber as _};

use super::rig::{Proxy, authority, gateway, model, server, wait};

#[tokio::test]
async fn each_gateways_proxies_see_only_their_own() {
    let authority = authority();
    let server = server(&authority, 0).await;
    let whole = model(&["one", "two"], 3, 1);
    let sequence = server.publish(&whole);
    let mut one = Proxy::start(&authority, &server, "one");
    let mut two = Proxy::start(&authority, &server, "two");
    one.until(&whole.slice(&gateway("one"))).await;
    two.until(&whole.slice(&gateway("two"))).await;
    assert_eq!(one.subscriber.model().routes.len(), 3);
    wait(&server, "both acknowledgements", |proxies| {
        proxies.len() == 2 && proxies.iter().all(|it| it.acknowledged == Some(sequence))
    })
    .await;

    // A change of one is nothing to the other, which serves it all the same.
    let mut next = whole.clone();
    let id = RouteId::new("tcp-route/shop/one-0/rule/0");
    next.routes.remove(&id);
    let sequence = server.publish(&next);
    one.until(&next.slice(&gateway("one"))).await;
    wait(&server, "both acknowledgements", |proxies| {
        proxies.iter().all(|it| it.acknowledged == Some(sequence))
    })
    .await;
    assert_eq!(one.received(), 5, "a removal brings no resource");
    assert_eq!(two.received(), 5);

    // A gateway that is served no more keeps what it has, and holds nobody up; one that comes back is followed.
    let sequence = server.publish(&model(&["two"], 3, 1));
    wait(&server, "both acknowledgements", |proxies| {
        proxies.iter().all(|it| it.acknowledged == Some(sequence))
    })
    .await;
    assert_eq!(**one.subscriber.model(), next.slice(&gateway("one")));
    server.publish(&whole);
    one.until(&whole.slice(&gateway("one"))).await;
    server.stop().await;
}

#[tokio::test]
async fn a_proxy_that_comes_back_is_sent_differences_only() {
    let authority = authority();
    let first = server(&authority, 0).await;
    let port = first.address().port();
    let old = model(&["one"], 200, 1);
    first.publish(&old);
    let mut proxy = Proxy::start(&authority, &first, "one");
    proxy.until(&old).await;
    assert_eq!(proxy.received(), 202);
    first.stop().await;

    // Another controller, on which one route has changed and one is gone.
    let mut new = old.clone();
    let changed = RouteId::new("tcp-route/shop/one-7/rule/0");
    let mut route = (*new.routes[&changed]).clone();
    route.origin.generation = 2;
    new.routes.insert(changed, Arc::new(route));
    new.routes.remove("tcp-route/shop/one-8/rule/0");
    let second = server(&authority, port).await;
    let sequence = second.publish(&new);
    proxy.until(&new).await;
    assert_eq!(proxy.received(), 203);
    wait(&second, "the acknowledgement", |proxies| {
        proxies.iter().any(|it| it.acknowledged == Some(sequence) && it.connected)
    })
    .await;

    // A process that starts from the last good model needs nothing at all.
    let mut restarted =
        Proxy::start_with(&authority, &second, "one", Arc::new(new.clone()), |_| {});
    restarted.step().await;
    assert_eq!((restarted.received(), &**restarted.subscriber.model()), (0, &new));
    drop(proxy);
    drop(restarted);
    wait(&second, "their end", |proxies| proxies.iter().all(|it| !it.connected)).await;
    second.stop().await;
}

#[tokio::test]
async fn publications_that_come_too_fast_become_one() {
    let authority = authority();
    let server = server(&authority, 0).await;
    server.publish(&model(&["one"], 5, 0));
    let mut proxy = Proxy::start(&authority, &server, "one");
    let first = proxy.subscriber.next().await.expect("an update");
    // It takes its time.
    let mut last = 0;
    for generation in 1..=1_000 {
        last = server.publish(&model(&["one"], 5, generation));
    }
    proxy.acknowledge(first.sequence).await;
    proxy.until(&model(&["one"], 5, 1_000)).await;
    wait(&server, "the last one", |proxies| proxies.iter().all(|it| it.acknowledged == Some(last)))
        .await;
    assert!(proxy.received() <= 7 + 2 * 5, "{} for 1,000 publications", proxy.received());
    server.stop().await;
}

#[tokio::test]
async fn what_a_proxy_says_is_known() {
    let authority = authority();
    let server = server(&authority, 0).await;
    let whole = model(&["one"], 2, 1);
    server.publish(&whole);
    let mut proxy = Proxy::start_with(&authority, &server, "one", Arc::default(), |settings| {
        settings.known.remove(&Feature::IpDeny);
    });
    let update = proxy.subscriber.next().await.expect("an update");
    let listener = ListenerId::new("gateway/shop/one/tcp");
    let mut ack = Ack { sequence: update.sequence, ..Ack::default() };
    ack.listeners.insert(listener.clone(), Err("port 80 is taken".to_owned()));
    proxy.subscriber.acknowledge(ack.clone()).await.unwrap();
    wait(&server, "the taken port", |proxies| {
        proxies.iter().any(|it| it.listeners.get(&listener).is_some_and(Result::is_err))
    })
    .await;
    let known = server.proxies().remove(0);
    assert_eq!((known.name.as_str(), &known.gateway), ("pod-1", &gateway("one")));
    assert_eq!(known.version, env!("CARGO_PKG_VERSION"));

    // The port becomes free between two updates.
    ack.listeners.insert(listener.clone(), Ok(()));
    proxy.subscriber.acknowledge(ack).await.unwrap();
    wait(&server, "the free port", |proxies| {
        proxies.iter().all(|it| it.listeners.get(&listener).is_some_and(Result::is_ok))
    })
    .await;

    // A route of a feature that this proxy does not know is refused, alone.
    let mut next = whole.clone();
    let id = RouteId::new("tcp-route/shop/one-0/rule/0");
    let mut route = (*next.routes[&id]).clone();
    if let fairway_model::route::Rule::Stream(rule) = &mut route.rule {
        rule.ip_access.deny.push("10.0.0.0/8".parse().unwrap());
    }
    next.routes.insert(id.clone(), Arc::new(route));
    next.routes.remove("tcp-route/shop/one-1/rule/0");
    let sequence = server.publish(&next);
    proxy.step().await;
    wait(&server, "the refusal", |proxies| {
        proxies.iter().any(|it| it.acknowledged == Some(sequence) && !it.refused.is_empty())
    })
    .await;
    let refused: BTreeMap<Resource, String> = server.proxies().remove(0).refused;
    let why = &refused[&Resource::Route(id.clone())];
    assert!(refused.len() == 1 && why.contains("ip-deny"), "{refused:?}");
    let served = proxy.subscriber.model();
    assert_eq!(served.routes.len(), 1, "the removal counts");
    assert_eq!(served.routes[&id], whole.routes[&id], "the value before goes on");
    server.stop().await;
}

#[tokio::test]
async fn a_large_model_comes_whole() {
    let authority = authority();
    let server = server(&authority, 0).await;
    let large = model(&["one"], 20_000, 1);
    let mut proxy = Proxy::start(&authority, &server, "one");
    server.publish(&large);
    proxy.step().await;
    assert_eq!(**proxy.subscriber.model(), large, "in one step, though in several messages");
    // So does the inventory of it.
    let mut again = Proxy::start_with(&authority, &server, "one", Arc::new(large), |_| {});
    again.step().await;
    assert_eq!(again.received(), 0);
    server.stop().await;
}

#[tokio::test]
async fn only_who_leads_is_followed() {
    let authority = authority();
    let server = server(&authority, 0).await;
    server.serving(false);
    let whole = model(&["one"], 1, 1);
    server.publish(&whole);
    let mut proxy = Proxy::start(&authority, &server, "one");
    let mut connected = proxy.client.connected();
    let refused = connected.wait_for(|it| it.error.is_some()).await.unwrap().error.clone();
    assert!(refused.is_some_and(|why| why.contains("does not lead")));
    server.serving(true);
    proxy.until(&whole).await;
    server.serving(false);
    connected.wait_for(|it| !it.connected).await.unwrap();
    wait(&server, "its end", |proxies| proxies.iter().all(|it| !it.connected)).await;
    assert_eq!(**proxy.subscriber.model(), whole, "what is served goes on");
    // Nothing is published: whoever comes waits.
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(!connected.borrow().connected);
    server.stop().await;
}
