//! TLS that ends here: who answers for which server name, with which certificate, to which client.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use fairway_model::cluster::BackendProtocol;
use fairway_model::gateway::{
    ClientValidation, ClientValidationMode, ListenerProtocol, TlsTermination,
};
use fairway_model::{ListenerId, Model, SecretId};
use fairway_proxy::{Counter, Settings};
use rcgen::CertificateParams;
use rustls::ClientConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::rig::{self, Authority, Rig};

/// A client that trusts an authority, and shows a certificate if it has one.
fn client(authority: &Authority, shown: Option<&(String, String)>, alpn: &[&str]) -> ClientConfig {
    let mut roots = rustls::RootCertStore::empty();
    let root = CertificateDer::from_pem_slice(authority.pem().as_bytes()).expect("PEM");
    roots.add(root).expect("an authority");
    let builder = ClientConfig::builder().with_root_certificates(roots);
    let mut config = match shown {
        None => builder.with_no_client_auth(),
        Some((chain, key)) => {
            let chain = CertificateDer::from_pem_slice(chain.as_bytes()).expect("PEM");
            let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).expect("PEM");
            builder.with_client_auth_cert(vec![chain], key).expect("they belong together")
        }
    };
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    config
}

/// The same without memory: each handshake is a whole one, in which the certificate is shown.
fn forgetful(mut config: ClientConfig) -> ClientConfig {
    config.resumption = rustls::client::Resumption::disabled();
    config
}

async fn connect(
    config: &ClientConfig,
    address: SocketAddr,
    name: &str,
) -> std::io::Result<TlsStream<TcpStream>> {
    let io = TcpStream::connect(address).await?;
    let name = ServerName::try_from(name.to_owned()).expect("a name");
    TlsConnector::from(Arc::new(config.clone())).connect(name, io).await
}

/// Connects and gives what the backend says first.
async fn first_line(
    config: &ClientConfig,
    address: SocketAddr,
    name: &str,
) -> std::io::Result<String> {
    let mut io = connect(config, address, name).await?;
    rig::line(&mut io).await
}

/// The end of the stream or a reset, and not one byte before it.
async fn is_closed_without_a_word(config: &ClientConfig, address: SocketAddr, name: &str) {
    let error = connect(config, address, name).await.expect_err("nobody answers");
    let kind = error.kind();
    let expected = [std::io::ErrorKind::UnexpectedEof, std::io::ErrorKind::ConnectionReset];
    assert!(expected.contains(&kind), "{name}: {error}");
}

fn shown(io: &TlsStream<TcpStream>) -> CertificateDer<'static> {
    let certificates = io.get_ref().1.peer_certificates().expect("the server has one");
    certificates.first().expect("the server has one").clone().into_owned()
}

fn der(certificate: &(String, String)) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(certificate.0.as_bytes()).expect("PEM")
}

/// A listener that ends TLS, with a backend that says `name`.
async fn terminated(model: &mut Model, name: &'static str, host: &str, tls: TlsTermination) {
    rig::listener(model, name, 443, host, ListenerProtocol::TlsTerminate(tls));
    rig::cluster(model, name, BackendProtocol::Tcp, &[rig::echo(name).await]);
    rig::stream_route(model, name, name, ("*", 1), &[(name, 1)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_most_specific_listener_answers_for_a_server_name() {
    for threads in [1, 4] {
        let authority = Authority::new();
        let mut model = rig::model();
        let names = ["a.example.com", "*.example.com", "*.a.example.com", "other.test"];
        rig::certificate(&mut model, "secret", &authority.sign(&names));
        terminated(&mut model, "exact", "a.example.com", rig::ends_tls(&["secret"])).await;
        terminated(&mut model, "near", "*.a.example.com", rig::ends_tls(&["secret"])).await;
        terminated(&mut model, "far", "*.example.com", rig::ends_tls(&["secret"])).await;
        let rig = Rig::start(threads, model);
        let address = rig.address("exact");
        assert_eq!(rig.address("far"), address, "they share a port");
        let config = client(&authority, None, &[]);
        for (name, expected) in [
            ("a.example.com", "exact"),
            ("A.Example.com", "exact"),
            ("b.a.example.com", "near"),
            ("b.example.com", "far"),
        ] {
            let answer = first_line(&config, address, name).await.expect(name);
            assert_eq!(answer, expected, "{name}");
        }
        is_closed_without_a_word(&config, address, "other.test").await;
        is_closed_without_a_word(&config, address, "127.0.0.1").await;
        let metrics = rig.proxy.metrics();
        assert_eq!(metrics.counter(Counter::TlsHandshakes), 4);
        assert_eq!(metrics.counter(Counter::TlsFailures), 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_route_takes_is_closed_before_the_handshake() {
    let authority = Authority::new();
    let mut model = rig::model();
    rig::certificate(&mut model, "secret", &authority.sign(&["a.test", "b.test"]));
    terminated(&mut model, "tls", "*.test", rig::ends_tls(&["secret"])).await;
    rig::stream_route(&mut model, "tls", "tls", ("a.test", 1), &[("tls", 1)]);
    let mut rig = Rig::start(1, model);
    let config = client(&authority, None, &[]);
    let address = rig.address("tls");
    assert_eq!(first_line(&config, address, "a.test").await.expect("it is served"), "tls");
    is_closed_without_a_word(&config, address, "b.test").await;
    rig.change(|model| rig::stream_route(model, "tls", "tls", ("a.test", 1), &[("tls", 0)]));
    is_closed_without_a_word(&config, address, "a.test").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn https_offers_both_versions_of_http_and_certificates_are_chosen_by_name() {
    let authority = Authority::new();
    let mut model = rig::model();
    let (one, star) = (authority.sign(&["a.example.com"]), authority.sign(&["*.example.com"]));
    rig::certificate(&mut model, "star", &star);
    rig::certificate(&mut model, "one", &one);
    let tls = rig::ends_tls(&["star", "one"]);
    rig::listener(&mut model, "https", 443, "*", ListenerProtocol::Https(tls));
    let rig = Rig::start(1, model);
    let address = rig.address("https");
    for (offered, agreed) in [
        (&["h2", "http/1.1"][..], Some(&b"h2"[..])),
        (&["http/1.1"], Some(b"http/1.1")),
        (&[], None),
    ] {
        let config = client(&authority, None, offered);
        let io = connect(&config, address, "a.example.com").await.expect("TLS");
        assert_eq!(io.get_ref().1.alpn_protocol(), agreed);
        assert_eq!(shown(&io), der(&one));
        let io = connect(&config, address, "b.example.com").await.expect("TLS");
        assert_eq!(shown(&io), der(&star));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hello_cut_into_three_bytes_chooses_the_same_listener() {
    let authority = Authority::new();
    let mut model = rig::model();
    rig::certificate(&mut model, "secret", &authority.sign(&["a.test", "b.test"]));
    terminated(&mut model, "a", "a.test", rig::ends_tls(&["secret"])).await;
    terminated(&mut model, "b", "b.test", rig::ends_tls(&["secret"])).await;
    let rig = Rig::start(1, model);
    let config = Arc::new(client(&authority, None, &[]));
    for name in ["a", "b"] {
        let server_name = ServerName::try_from(format!("{name}.test")).expect("a name");
        let mut tls = rustls::ClientConnection::new(Arc::clone(&config), server_name).expect("TLS");
        let mut hello = Vec::new();
        tls.write_tls(&mut hello).expect("memory takes it");
        let io = TcpStream::connect(rig.address("a")).await.expect("it listens");
        io.set_nodelay(true).expect("it is a socket");
        let (mut from, mut to) = io.into_split();
        // Each piece is a packet of its own, and the record itself is cut up too.
        for piece in recut(&hello, 40).chunks(3) {
            to.write_all(piece).await.expect("it is read");
            tokio::task::yield_now().await;
        }
        let mut said = Vec::new();
        while !String::from_utf8_lossy(&said).contains('\n') {
            let mut buffer = [0; 4096];
            let read = from.read(&mut buffer).await.expect("it answers");
            assert!(read > 0, "it goes on");
            let mut unread = &buffer[..read];
            while !unread.is_empty() {
                tls.read_tls(&mut unread).expect("memory gives it");
                let state = tls.process_new_packets().expect("TLS");
                let mut plain = vec![0; state.plaintext_bytes_to_read()];
                std::io::Read::read_exact(&mut tls.reader(), &mut plain).expect("it is there");
                said.extend(plain);
            }
            let mut answer = Vec::new();
            tls.write_tls(&mut answer).expect("memory takes it");
            to.write_all(&answer).await.expect("it is read");
        }
        assert_eq!(String::from_utf8_lossy(&said), format!("{name}\n"));
    }
}

/// Cuts the one record of a ClientHello into many (RFC 8446 section 5.1 allows it).
fn recut(record: &[u8], size: usize) -> Vec<u8> {
    let (head, body) = record.split_at(5);
    let mut records = Vec::new();
    for piece in body.chunks(size) {
        records.extend_from_slice(&head[..3]);
        records.extend(u16::try_from(piece.len()).expect("it is short").to_be_bytes());
        records.extend_from_slice(piece);
    }
    records
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_does_not_finish_the_handshake_is_closed_in_time() {
    let authority = Authority::new();
    let mut model = rig::model();
    rig::certificate(&mut model, "secret", &authority.sign(&["a.test"]));
    terminated(&mut model, "a", "a.test", rig::ends_tls(&["secret"])).await;
    let mut settings = Settings { threads: 1, ephemeral_ports: true, ..Settings::default() };
    settings.timeouts.handshake = Duration::from_millis(300);
    let rig = Rig::start_with(settings, model);
    let address = rig.address("a");
    let began = std::time::Instant::now();
    let mut silent = TcpStream::connect(address).await.expect("it listens");
    let mut slow = TcpStream::connect(address).await.expect("it listens");
    let drip = async {
        // A record that promises 512 bytes; each byte would reset a naive time-out.
        let (mut from, mut to) = slow.split();
        let head = [22, 3, 1, 2, 0, 1, 0, 1, 252];
        for byte in head.into_iter().chain(std::iter::repeat_n(0, 490)) {
            if to.write_all(&[byte]).await.is_err() {
                break;
            }
            let mut buffer = [0; 16];
            let end = tokio::time::timeout(Duration::from_millis(20), from.read(&mut buffer));
            if end.await.is_ok() {
                break;
            }
        }
    };
    let mut buffer = [0; 16];
    let (end, ()) = tokio::join!(silent.read(&mut buffer), drip);
    assert!(matches!(end, Ok(0) | Err(_)));
    assert!(began.elapsed() >= Duration::from_millis(300));
    assert!(began.elapsed() < Duration::from_secs(5));
    assert_eq!(rig.proxy.metrics().counter(Counter::TlsFailures), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_are_replaced_under_load_without_a_failure() {
    for threads in [1, 4] {
        let authority = Authority::new();
        let (old, new) = (authority.sign(&["a.test"]), authority.sign(&["a.test"]));
        let mut model = rig::model();
        rig::certificate(&mut model, "secret", &old);
        terminated(&mut model, "a", "a.test", rig::ends_tls(&["secret"])).await;
        let mut rig = Rig::start(threads, model);
        let address = rig.address("a");
        let stop = Arc::new(AtomicBool::new(false));
        let done = Arc::new(AtomicUsize::new(0));
        let load = |_| {
            let (stop, done) = (Arc::clone(&stop), Arc::clone(&done));
            let config = client(&authority, None, &[]);
            tokio::spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    let answer = first_line(&config, address, "a.test").await;
                    assert_eq!(answer.expect("it is served"), "a");
                    done.fetch_add(1, Ordering::Relaxed);
                }
            })
        };
        let load: Vec<_> = (0..4).map(load).collect();
        let config = forgetful(client(&authority, None, &[]));
        let mut kept = connect(&config, address, "a.test").await.expect("TLS");
        assert_eq!(rig::line(&mut kept).await.expect("it answers"), "a");
        for round in 0..20 {
            let certificate = if round % 2 == 0 { &new } else { &old };
            rig.change(|model| rig::certificate(model, "secret", certificate));
            let io = connect(&config, address, "a.test").await.expect("TLS");
            assert_eq!(shown(&io), der(certificate), "the next connection sees it");
        }
        stop.store(true, Ordering::Relaxed);
        for task in load {
            task.await.expect("no connection failed");
        }
        assert!(done.load(Ordering::Relaxed) > 10);
        kept.write_all(b"still here\n").await.expect("it is open");
        assert_eq!(rig::line(&mut kept).await.expect("it is open"), "still here");
        assert_eq!(rig.proxy.metrics().counter(Counter::TlsFailures), 0);
    }
}

fn validating(mode: ClientValidationMode) -> TlsTermination {
    let authorities = vec![SecretId::new("ca")];
    let client_validation = Some(ClientValidation { authorities, mode });
    TlsTermination { client_validation, ..rig::ends_tls(&["secret"]) }
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_prove_who_they_are_where_they_must() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let mut model = rig::model();
    rig::certificate(&mut model, "secret", &authority.sign(&["a.test", "b.test", "c.test"]));
    rig::authorities(&mut model, "ca", &authority.pem());
    terminated(&mut model, "a", "a.test", validating(ClientValidationMode::Required)).await;
    let fallback = validating(ClientValidationMode::InsecureFallback);
    terminated(&mut model, "b", "b.test", fallback).await;
    terminated(&mut model, "c", "c.test", rig::ends_tls(&["secret"])).await;
    let mut rig = Rig::start(1, model);
    let address = rig.address("a");

    // Without any name: who it is for is not its authority's matter.
    let good = authority.sign(&[]);
    let bad = stranger.sign(&["client.test"]);
    let (known, unknown) =
        (client(&authority, Some(&good), &[]), client(&authority, Some(&bad), &[]));
    let nobody = client(&authority, None, &[]);
    assert_eq!(first_line(&known, address, "a.test").await.expect("it is let in"), "a");
    for config in [&unknown, &nobody] {
        let answer = first_line(config, address, "a.test").await;
        assert!(answer.is_err() || answer.is_ok_and(|line| line.is_empty()));
    }
    for config in [&known, &unknown, &nobody] {
        assert_eq!(first_line(config, address, "b.test").await.expect("it is let in"), "b");
        assert_eq!(first_line(config, address, "c.test").await.expect("it is let in"), "c");
    }

    // A session begun when nothing was asked is not resumed once something is.
    let before = first_line(&nobody, address, "c.test").await;
    assert_eq!(before.expect("it is let in"), "c");
    rig.change(|model| {
        let required = ListenerProtocol::TlsTerminate(validating(ClientValidationMode::Required));
        rig::listener(model, "c", 443, "c.test", required);
    });
    let after = first_line(&nobody, address, "c.test").await;
    assert!(after.is_err() || after.is_ok_and(|line| line.is_empty()));
    assert_eq!(first_line(&known, address, "c.test").await.expect("it is let in"), "c");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_of_one_listener_is_never_resumed_at_another() {
    let authority = Authority::new();
    let mut model = rig::model();
    rig::certificate(&mut model, "secret", &authority.sign(&["a.test"]));
    rig::authorities(&mut model, "ca", &authority.pem());
    terminated(&mut model, "open", "a.test", rig::ends_tls(&["secret"])).await;
    terminated(&mut model, "strict", "a.test", validating(ClientValidationMode::Required)).await;
    let strict = model.listeners.get_mut("strict").expect("it was put");
    Arc::make_mut(strict).port = 8443;
    let rig = Rig::start(1, model);
    let nobody = client(&authority, None, &[]);
    for _ in 0..3 {
        let answer = first_line(&nobody, rig.address("open"), "a.test").await;
        assert_eq!(answer.expect("it is let in"), "open");
    }
    let answer = first_line(&nobody, rig.address("strict"), "a.test").await;
    assert!(answer.is_err() || answer.is_ok_and(|line| line.is_empty()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_secret_takes_down_its_own_listener_alone_and_can_be_mended() {
    let authority = Authority::new();
    let good = authority.sign(&["a.test", "b.test"]);
    let mut model = rig::model();
    rig::certificate(&mut model, "good", &good);
    rig::certificate(&mut model, "bad", &(good.0.clone(), "no key".to_owned()));
    terminated(&mut model, "a", "a.test", rig::ends_tls(&["good"])).await;
    terminated(&mut model, "b", "b.test", rig::ends_tls(&["bad"])).await;
    let mut rig = Rig::start(1, model);
    let config = client(&authority, None, &[]);
    let address = rig.address("a");
    assert_eq!(rig.error("a"), None);
    let error = rig.error("b").expect("it is refused");
    assert!(error.contains("listener b") && error.contains("bad"), "{error}");
    assert_eq!(first_line(&config, address, "a.test").await.expect("it is served"), "a");
    is_closed_without_a_word(&config, address, "b.test").await;

    let applied = rig.change(|model| rig::certificate(model, "bad", &good));
    assert!(applied.refused_secrets.is_empty());
    assert_eq!(rig.error("b"), None);
    assert_eq!(first_line(&config, address, "b.test").await.expect("it is served"), "b");

    // Broken again: what could be read last is used on, and it is said.
    let mismatched = (good.0.clone(), authority.sign(&["b.test"]).1);
    let applied = rig.change(|model| rig::certificate(model, "bad", &mismatched));
    let why = applied.refused_secrets.get("bad").expect("it is refused");
    assert!(why.contains("does not belong"), "{why}");
    assert_eq!(first_line(&config, address, "b.test").await.expect("it is served"), "b");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_let_in_where_clients_cannot_be_validated() {
    let authority = Authority::new();
    let mut model = rig::model();
    rig::certificate(&mut model, "secret", &authority.sign(&["a.test"]));
    rig::authorities(&mut model, "ca", "no PEM");
    terminated(&mut model, "a", "a.test", validating(ClientValidationMode::Required)).await;
    let mut rig = Rig::start(1, model);
    let error = rig.error("a").expect("it is refused");
    assert!(error.contains("ca"), "{error}");
    let shown = authority.sign(&[]);
    let config = client(&authority, Some(&shown), &[]);
    let address = rig.address("a");
    is_closed_without_a_word(&config, address, "a.test").await;
    rig.change(|model| rig::authorities(model, "ca", &authority.pem()));
    assert_eq!(first_line(&config, address, "a.test").await.expect("it is let in"), "a");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_oddly_named_certificate_is_served_all_the_same() {
    let authority = Authority::new();
    let mut params = CertificateParams::new(Vec::new()).expect("no name is wrong");
    let odd = ["", "*", "*.*.test", "under_score.test", "a b"];
    let names = odd
        .iter()
        .map(|name| rcgen::SanType::DnsName((*name).to_owned().try_into().expect("it is ASCII")));
    params.subject_alt_names = names.collect();
    let mut model = rig::model();
    let certificate = authority.sign_params(&params);
    rig::certificate(&mut model, "odd", &certificate);
    rig::listener(&mut model, "a", 443, "*", ListenerProtocol::Https(rig::ends_tls(&["odd"])));
    let rig = Rig::start(1, model);
    assert_eq!(rig.error("a"), None);
    let config = client(&authority, None, &[]);
    let error = connect(&config, rig.address("a"), "a.test").await.expect_err("a wrong name");
    assert!(error.to_string().contains("certificate"), "it was shown: {error}");
    assert!(rig.model.listeners.contains_key(&ListenerId::new("a")));
}
