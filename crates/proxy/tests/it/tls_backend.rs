//! TLS towards backends: which certificates are believed, and which one is shown.

use std::net::SocketAddr;
use std::sync::Arc;

use fairway_model::cluster::{Authorities, BackendProtocol, BackendTls, SubjectAltName};
use fairway_model::gateway::ListenerProtocol;
use fairway_model::{GatewayId, Model, SecretId};
use rcgen::{CertificateParams, SanType};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::rig::{self, Authority, Rig};

/// A backend with TLS that says the server name it was asked for and who asked.
async fn backend(certificate: &(String, String), clients: Option<&Authority>) -> SocketAddr {
    let chain = CertificateDer::from_pem_slice(certificate.0.as_bytes()).expect("PEM");
    let key = PrivateKeyDer::from_pem_slice(certificate.1.as_bytes()).expect("PEM");
    let builder = ServerConfig::builder();
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(authority) => {
            let mut roots = rustls::RootCertStore::empty();
            let root = CertificateDer::from_pem_slice(authority.pem().as_bytes()).expect("PEM");
            roots.add(root).expect("an authority");
            let verifier = WebPkiClientVerifier::builder(Arc::new(roots)).build();
            builder.with_client_cert_verifier(verifier.expect("it can be made"))
        }
    };
    let config = builder.with_single_cert(vec![chain], key).expect("they belong together");
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let socket = TcpListener::bind((rig::LOOPBACK, 0)).await.expect("a port is free");
    let address = socket.local_addr().expect("it is bound");
    tokio::spawn(async move {
        while let Ok((io, _)) = socket.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let mut io = acceptor.accept(io).await?;
                let asked = io.get_ref().1.server_name().unwrap_or_default().to_owned();
                let shown = io.get_ref().1.peer_certificates().map_or(0, <[_]>::len);
                io.write_all(format!("{asked} {shown}\n").as_bytes()).await?;
                io.shutdown().await
            });
        }
    });
    address
}

fn believes(hostname: &str, authorities: &[&str], names: Vec<SubjectAltName>) -> BackendTls {
    let bundles = authorities.iter().map(|name| SecretId::new(*name)).collect();
    BackendTls {
        hostname: hostname.into(),
        authorities: Authorities::Bundles(bundles),
        subject_alt_names: names,
    }
}

fn with_backend(tls: BackendTls, address: SocketAddr, authority: &Authority) -> Model {
    let mut model = rig::model();
    rig::authorities(&mut model, "ca", &authority.pem());
    rig::listener(&mut model, "tcp", 9000, "*", ListenerProtocol::Tcp);
    rig::cluster(&mut model, "backend", BackendProtocol::Tcp, &[address]);
    let cluster = model.clusters.get_mut("backend").expect("it was put");
    Arc::make_mut(cluster).tls = Some(tls);
    rig::stream_route(&mut model, "route", "tcp", ("*", 1), &[("backend", 1)]);
    model
}

async fn answer(rig: &Rig) -> String {
    let mut io = TcpStream::connect(rig.address("tcp")).await.expect("it listens");
    rig::line(&mut io).await.unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backend_is_believed_by_name_and_by_alternative_names() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let mut params =
        CertificateParams::new(vec!["backend.test".to_owned()]).expect("the name is right");
    let uri = "spiffe://cluster.local/ns/test/sa/backend";
    params.subject_alt_names.push(SanType::URI(uri.to_owned().try_into().expect("it is ASCII")));
    let address = backend(&authority.sign_params(&params), None).await;
    let dns = |name: &str| SubjectAltName::Dns(name.into());
    let uris = |name: &str| SubjectAltName::Uri(name.into());
    for (tls, expected) in [
        (believes("backend.test", &["ca"], vec![]), "backend.test 0"),
        (believes("other.test", &["ca"], vec![]), ""),
        (believes("other.test", &["ca"], vec![dns("backend.test")]), "other.test 0"),
        (believes("other.test", &["ca"], vec![dns("x.test"), uris(uri)]), "other.test 0"),
        (believes("backend.test", &["ca"], vec![uris("spiffe://cluster.local/x")]), ""),
        (believes("backend.test", &["ca"], vec![dns("x.test")]), ""),
    ] {
        let rig = Rig::start(1, with_backend(tls.clone(), address, &authority));
        assert_eq!(answer(&rig).await, expected, "{tls:?}");
    }
    let tls = believes("backend.test", &["ca"], vec![dns("backend.test")]);
    let mut rig = Rig::start(1, with_backend(tls, address, &stranger));
    assert_eq!(answer(&rig).await, "", "another authority signed it");
    assert_eq!(rig.proxy.metrics().upstream_failures.get("tls"), Some(&1));
    rig.change(|model| rig::authorities(model, "ca", &authority.pem()));
    assert_eq!(answer(&rig).await, "backend.test 0", "a changed bundle counts at once");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backend_whose_authorities_cannot_be_read_is_refused_and_gets_nothing() {
    let authority = Authority::new();
    let address = backend(&authority.sign(&["backend.test"]), None).await;
    let mut model = with_backend(believes("backend.test", &["ca"], vec![]), address, &authority);
    rig::authorities(&mut model, "ca", "no PEM");
    let mut rig = Rig::start(1, model);
    assert_eq!(answer(&rig).await, "");
    let applied = rig.change(|_| {});
    let why = applied.refused_clusters.get("backend").expect("it is refused");
    assert!(why.contains("ca"), "{why}");
    assert!(applied.refused_secrets.contains_key("ca"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_shows_its_own_certificate_to_backends() {
    let authority = Authority::new();
    let address = backend(&authority.sign(&["backend.test"]), Some(&authority)).await;
    let tls = believes("backend.test", &["ca"], vec![]);
    let mut rig = Rig::start(1, with_backend(tls, address, &authority));
    assert_eq!(answer(&rig).await, "", "the backend asks for one");
    rig.change(|model| {
        rig::certificate(model, "client", &authority.sign(&["gateway.test"]));
        let gateway = model.gateways.get_mut(&GatewayId::new(rig::GATEWAY)).expect("it is there");
        Arc::make_mut(gateway).client_certificate = Some(SecretId::new("client"));
    });
    assert_eq!(answer(&rig).await, "backend.test 1");
}
