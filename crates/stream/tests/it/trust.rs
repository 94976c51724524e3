//! Who is let in: the proxies of a gateway, by their certificate, and nobody else.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use fairway_model::GatewayId;
use fairway_stream::Subscriber as _;
use fairway_stream::grpc::Identity;
use fairway_stream::grpc::client::{Client, Settings};
use fairway_stream::identity::SERVER_NAME;
use tempfile::TempDir;

use super::rig::{Proxy, authority, gateway, identity, model, server, server_identity, settings};

/// Waits until a proxy of these settings says why it is not connected.
async fn refused(settings: Settings) -> String {
    let (client, mut subscriber) = Client::start(settings, Arc::default());
    let mut connected = client.connected();
    let why = tokio::select! {
        told = connected.wait_for(|it| it.error.is_some()) => told.unwrap().error.clone(),
        _ = subscriber.next() => panic!("it was let in"),
    };
    why.unwrap_or_default()
}

#[tokio::test]
async fn a_certificate_counts_for_one_gateway_alone() {
    let authority = authority();
    let server = server(&authority, 0).await;
    server.publish(&model(&["one", "two"], 1, 1));
    let for_one = identity(&authority, &authority, &gateway("one"));
    let why = refused(settings(&server, &for_one, gateway("two"))).await;
    assert!(why.contains("its certificate is for gateway/shop/one"), "{why}");
    server.stop().await;
}

#[tokio::test]
async fn strangers_are_refused_by_both_sides() {
    let other = authority();
    let authority = authority();
    let server = server(&authority, 0).await;
    server.publish(&model(&["one"], 1, 1));
    let stranger = identity(&other, &authority, &gateway("one"));
    let why = refused(settings(&server, &stranger, gateway("one"))).await;
    assert!(!why.is_empty());
    let trusts_others = identity(&authority, &other, &gateway("one"));
    let why = refused(settings(&server, &trusts_others, gateway("one"))).await;
    assert!(why.contains("certificate"), "{why}");
    let own = identity_of(&authority);
    let mut misled = settings(&server, &own, gateway("one"));
    misled.server_name = "somebody-else".to_owned();
    let why = refused(misled).await;
    assert!(why.contains("certificate"), "{why}");
    assert!(server.proxies().is_empty());

    // A controller's certificate is signed by the same authority, and no proxy's.
    let controllers = tempfile::tempdir().unwrap();
    let own = server_identity(&authority);
    write(&controllers, &own);
    let why = refused(settings(&server, &controllers, gateway("one"))).await;
    assert!(!why.is_empty());
    let missing = tempfile::tempdir().unwrap();
    let why = refused(settings(&server, &missing, gateway("one"))).await;
    assert!(why.contains("tls.crt"), "{why}");
    server.stop().await;
}

fn identity_of(authority: &fairway_stream::identity::Authority) -> TempDir {
    identity(authority, authority, &gateway("one"))
}

fn write(folder: &TempDir, identity: &Identity) {
    let files = [
        ("tls.crt", &identity.certificate),
        ("tls.key", &identity.key),
        ("ca.crt", &identity.authorities),
    ];
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
}

#[tokio::test]
async fn authorities_change_without_a_stream_lost() {
    let (old, new) = (authority(), authority());
    let server = server(&old, 0).await;
    let whole = model(&["one"], 1, 1);
    server.publish(&whole);
    let mut proxy = Proxy::start(&old, &server, "one");
    proxy.until(&whole).await;
    // Both are trusted for a while; the server's own certificate is the new one's.
    let both = format!("{}{}", old.certificate(), new.certificate());
    let issued = new.issue_server(&[SERVER_NAME], SystemTime::now(), Duration::from_secs(3600));
    let issued = issued.unwrap();
    let identity = Identity { certificate: issued.certificate, key: issued.key, authorities: both };
    server.identify(&identity).unwrap();
    let mut of_the_new = Proxy::start(&new, &server, "one");
    of_the_new.until(&whole).await;
    let next = model(&["one"], 1, 2);
    server.publish(&next);
    proxy.until(&next).await;
    of_the_new.until(&next).await;
    assert_eq!(proxy.client.connected().borrow().connections, 1, "its stream was not cut");
    let broken = Identity { key: "none".to_owned(), ..identity };
    server.identify(&broken).expect_err("no key");
    server.stop().await;
}

#[tokio::test]
async fn a_stream_ends_with_its_certificate() {
    let authority = authority();
    let server = server(&authority, 0).await;
    let whole = model(&["one"], 1, 1);
    server.publish(&whole);
    let folder = identity_of(&authority);
    let short =
        authority.issue_proxy(&gateway("one"), SystemTime::now(), Duration::from_secs(3)).unwrap();
    let authorities = authority.certificate().to_owned();
    write(&folder, &Identity { certificate: short.certificate, key: short.key, authorities });
    let (client, mut subscriber) =
        Client::start(settings(&server, &folder, gateway("one")), Arc::default());
    subscriber.next().await.expect("an update");
    let mut connected = client.connected();
    let told = connected.wait_for(|it| it.error.is_some()).await.unwrap().error.clone();
    assert!(told.is_some_and(|why| why.contains("has ended")));
    server.stop().await;
}

#[test]
fn an_id_that_cannot_stand_in_a_uri_is_an_error() {
    let odd = GatewayId::new("gateway/ä/b");
    authority()
        .issue_proxy(&odd, SystemTime::now(), Duration::from_secs(60))
        .expect_err("not ASCII");
}
