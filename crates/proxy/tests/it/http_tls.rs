//! HTTP inside TLS: the version that ALPN chose, the listener that the server name chose, and what
//! endpoints speak behind.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use fairway_model::cluster::{Authorities, BackendProtocol, BackendTls};
use fairway_model::filter::DirectResponse;
use fairway_model::gateway::ListenerProtocol;
use fairway_model::route::HttpAction;
use fairway_model::{Model, SecretId};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::client::TlsStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::http_h2::{call, client};
use super::http_rig as http;
use super::rig::{self, Authority, Rig};

/// Listeners for `a.shop.test`, `*.shop.test` and all other hosts but none for `none.example`, on one port.
fn model(authority: &Authority) -> Model {
    let mut model = rig::model();
    rig::certificate(
        &mut model,
        "cert",
        &authority.sign(&["a.shop.test", "*.shop.test", "deep.a.shop.test"]),
    );
    for (name, host) in [("exact", "a.shop.test"), ("wild", "*.shop.test")] {
        let protocol = ListenerProtocol::Https(rig::ends_tls(&["cert"]));
        rig::listener(&mut model, name, 443, host, protocol);
        let answer = DirectResponse { status: 200, content_type: None, body: name.into() };
        http::put(&mut model, name, name, host, http::plain_rule("/", HttpAction::Respond(answer)));
    }
    model
}

async fn connect(rig: &Rig, authority: &Authority, name: &str, alpn: &str) -> TlsStream<TcpStream> {
    let mut roots = RootCertStore::empty();
    let root = CertificateDer::from_pem_slice(authority.pem().as_bytes()).expect("PEM");
    roots.add(root).expect("an authority");
    let mut config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![alpn.as_bytes().to_vec()];
    let io = TcpStream::connect(rig.address("exact")).await.expect("it listens");
    let name = ServerName::try_from(name.to_owned()).expect("a name");
    TlsConnector::from(Arc::new(config)).connect(name, io).await.expect("a handshake")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_of_another_listener_than_the_server_names_is_misdirected() {
    let authority = Authority::new();
    let rig = Rig::start(1, model(&authority));
    for (name, host, status) in [
        ("a.shop.test", "a.shop.test", 200),
        ("a.shop.test", "A.Shop.Test.:443", 200),
        ("b.shop.test", "c.shop.test", 200),
        ("a.shop.test", "b.shop.test", 421),
        ("b.shop.test", "a.shop.test", 421),
        ("a.shop.test", "none.example", 404),
        ("b.shop.test", "shop.test", 404),
    ] {
        let mut io = connect(&rig, &authority, name, "http/1.1").await;
        let request = format!("GET / HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
        io.write_all(request.as_bytes()).await.expect("it is open");
        let mut got = String::new();
        io.read_to_string(&mut got).await.expect("it ends well");
        assert!(got.starts_with(&format!("HTTP/1.1 {status} ")), "{name} {host}: {got}");
        let send = client(connect(&rig, &authority, name, "h2").await).await;
        let uri = format!("https://{host}/");
        let request = ::http::Request::builder().uri(uri).body(()).expect("a request");
        let got = call(&send, request, Vec::new(), None).await.expect("an answer");
        assert_eq!(got.status(), status, "{name} {host}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn both_versions_are_spoken_inside_tls_on_one_connection_each() {
    let authority = Authority::new();
    let rig = Rig::start(4, model(&authority));
    let mut io = connect(&rig, &authority, "a.shop.test", "http/1.1").await;
    for _ in 0..5 {
        io.write_all(b"GET / HTTP/1.1\r\nhost: a.shop.test\r\n\r\n").await.expect("it is open");
        let mut got = Vec::new();
        while !got.ends_with(b"exact") {
            got.push(io.read_u8().await.expect("it is open"));
        }
    }
    let send = client(connect(&rig, &authority, "a.shop.test", "h2").await).await;
    for _ in 0..5 {
        let request = ::http::Request::builder().uri("https://a.shop.test/").body(());
        let request = request.expect("a request");
        let got = call(&send, request, Vec::new(), None).await.expect("an answer");
        assert_eq!(got.body, b"exact");
    }
}

/// A backend with TLS that agrees on `alpn`, and says with what it was reached.
async fn backend(authority: &Authority, alpn: &'static [&'static str]) -> SocketAddr {
    let (chain, key) = authority.sign(&["backend.test"]);
    let chain = CertificateDer::from_pem_slice(chain.as_bytes()).expect("PEM");
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).expect("PEM");
    let config = ServerConfig::builder().with_no_client_auth().with_single_cert(vec![chain], key);
    let mut config = config.expect("they belong together");
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let socket = TcpListener::bind((rig::LOOPBACK, 0)).await.expect("a port is free");
    let address = socket.local_addr().expect("it is bound");
    tokio::spawn(async move {
        while let Ok((io, _)) = socket.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(mut io) = acceptor.accept(io).await else { return };
                if io.get_ref().1.alpn_protocol() == Some(b"h2") {
                    let mut connection = h2::server::handshake(io).await.expect("it is HTTP/2");
                    while let Some(Ok((_, mut respond))) = connection.accept().await {
                        let mut stream = respond
                            .send_response(::http::Response::new(()), false)
                            .expect("it is open");
                        stream.send_data(Bytes::from_static(b"h2"), true).expect("it is open");
                    }
                    return;
                }
                let mut head = Vec::new();
                while let Ok(byte) = io.read_u8().await {
                    head.push(byte);
                    if head.ends_with(b"\r\n\r\n") {
                        head.clear();
                        let answer = http::response(200, "http/1.1");
                        io.write_all(&answer).await.expect("it is open");
                    }
                }
            });
        }
    });
    address
}

#[tokio::test(flavor = "multi_thread")]
async fn endpoints_inside_tls_are_spoken_to_as_alpn_says() {
    let authority = Authority::new();
    for (alpn, spoken) in
        [(&["h2", "http/1.1"][..], "h2"), (&["http/1.1"], "http/1.1"), (&[], "http/1.1")]
    {
        let address = backend(&authority, alpn).await;
        let mut model = http::forwarding(&[]);
        rig::authorities(&mut model, "ca", &authority.pem());
        rig::cluster(&mut model, "backend", BackendProtocol::Http, &[address]);
        let cluster = model.clusters.get_mut("backend").expect("it was put");
        Arc::make_mut(cluster).tls = Some(BackendTls {
            hostname: "backend.test".into(),
            authorities: Authorities::Bundles(vec![SecretId::new("ca")]),
            subject_alt_names: Vec::new(),
        });
        let mut rig = Rig::start(1, model);
        let mut caller = http::Caller::to(&rig).await;
        for _ in 0..5 {
            let got = caller.get("/").await;
            assert_eq!((got.status, got.text()), (200, spoken.to_owned()));
        }
        let metrics = rig.proxy.metrics();
        assert_eq!(metrics.counter(fairway_proxy::Counter::UpstreamConnections), 1);
        // Another authority: nothing is sent, not even on connections that stand.
        let stranger = Authority::new();
        rig.change(|model| rig::authorities(model, "ca", &stranger.pem()));
        assert_eq!(caller.get("/").await.status, 502);
        rig.change(|model| rig::authorities(model, "ca", "no PEM"));
        assert_eq!(caller.get("/").await.status, 502);
    }
}
