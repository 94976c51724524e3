//! What other releases say, and what is made of it. `tests/data` holds what they said; a release adds its own
//! files and never touches those of another.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use fairway_model::{Feature, Features, Model, wire};
use prost::Message;

use super::batch;
use super::holding::Holding;
use super::server::accepts;
use crate::codec::{self, Kind};
use crate::proto;

/// A proxy of before `ip-deny` and `backend-h2c`, and of a minor version before this one's.
const OLD_HELLO: &[u8] = include_bytes!("../../tests/data/hello-v1-old.bin");

/// What release 0.1 sends of the model that uses every feature.
const V1: &[u8] = include_bytes!("../../tests/data/update-v1.bin");

fn model() -> Model {
    let text = include_bytes!("../../../model/tests/data/v1.json");
    wire::decode(text).expect("every release reads it")
}

fn updates(model: &Model) -> impl Iterator<Item = proto::Update> {
    batch::Updates::new(1, batch::write(codec::entries(model).collect()), Vec::new())
}

fn take_in(holding: &mut Holding, updates: impl Iterator<Item = proto::Update>) {
    let (mut put, mut removed) = (Vec::new(), Vec::new());
    for update in updates {
        put.extend(update.put);
        removed.extend(update.removed);
    }
    holding.apply(put, removed);
}

fn recorded() -> impl Iterator<Item = proto::Update> {
    let mut rest = V1;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        Some(proto::Update::decode_length_delimited(&mut rest).expect("a message"))
    })
}

#[test]
fn the_first_releases_updates_are_still_read() {
    let all: Features = Feature::ALL.iter().copied().collect();
    let mut holding = Holding::new(Arc::default(), all);
    take_in(&mut holding, recorded());
    assert_eq!(holding.refused().collect::<Vec<_>>(), []);
    assert_eq!(**holding.served(), model());
}

#[test]
fn the_previous_releases_proxy_refuses_what_it_does_not_know_and_nothing_else() {
    let hello = proto::Hello::decode(OLD_HELLO).expect("a hello");
    let gateway = fairway_model::GatewayId::new(hello.gateway.as_str());
    assert!(accepts(&hello, &gateway).is_ok(), "it may follow this controller");
    let known: Features = hello.features.iter().filter_map(|name| name.parse().ok()).collect();
    assert!(known.len() < Feature::ALL.len(), "it knows less than we do");
    let mut holding = Holding::new(Arc::default(), known.clone());
    let model = model();
    take_in(&mut holding, updates(&model));
    assert_eq!(holding.served().check(), Ok(()));
    let refused: Vec<&str> = holding.refused().map(|((_, id), _)| &**id).collect();
    assert!(!refused.is_empty());
    for (key, entry) in codec::entries(&model) {
        let foreign = entry
            .encode(&key.id)
            .features
            .into_iter()
            .any(|name| name.parse().map_or(true, |it: Feature| !known.contains(&it)));
        let is_refused = refused.contains(&&*key.id);
        assert!(!foreign || is_refused, "{key} uses what is not known");
        if let (false, Kind::Listener | Kind::Secret | Kind::Gateway) = (foreign, key.kind) {
            assert!(!is_refused, "{key} was refused for another's sake");
        }
    }
}

#[test]
fn another_protocol_is_refused_with_a_remedy() {
    let mut hello = proto::Hello::decode(OLD_HELLO).expect("a hello");
    let gateway = fairway_model::GatewayId::new(hello.gateway.as_str());
    hello.protocol += 1;
    let why = accepts(&hello, &gateway).expect_err("another protocol").to_string();
    assert!(why.contains("releases next to each other"), "{why}");
}

/// With `FAIRWAY_RECORD=1` in the environment it writes what this release says: once for each release, by hand.
#[test]
fn what_a_release_says_is_recorded_whole() {
    if std::env::var_os("FAIRWAY_RECORD").is_some() {
        record();
    }
    let hello = proto::Hello::decode(OLD_HELLO).expect("a hello");
    assert_eq!(hello.encode_to_vec(), OLD_HELLO);
    let again: Vec<u8> = recorded().flat_map(|it| it.encode_length_delimited_to_vec()).collect();
    assert_eq!(again, V1);
}

fn record() {
    let to = |name: &str| -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
    };
    let old = |it: &&Feature| !matches!(it, Feature::IpDeny | Feature::BackendH2c);
    let hello = proto::Hello {
        protocol: super::PROTOCOL,
        minor: 0,
        version: "0.0.9".to_owned(),
        name: "web-5d8f-x2".to_owned(),
        gateway: "gateway/shop/web".to_owned(),
        features: Feature::ALL.iter().filter(old).map(|it| it.name().to_owned()).collect(),
    };
    std::fs::write(to("hello-v1-old.bin"), hello.encode_to_vec()).expect("written");
    let all: Vec<u8> =
        updates(&model()).flat_map(|it| it.encode_length_delimited_to_vec()).collect();
    std::fs::write(to("update-v1.bin"), all).expect("written");
}
