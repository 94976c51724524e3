//! What is written is read again as it was, in this release and from earlier ones.

use std::collections::BTreeSet;

use fairway_model::delta::diff;
use fairway_model::wire::{WireError, decode, decode_delta, encode, encode_delta};
use fairway_model::{ClusterId, Feature, ListenerId, Model, SecretId, features};
use proptest::prelude::{prop_assert, prop_assert_eq, proptest};

use super::arbitrary::model;
use super::cases;

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn a_model_comes_back(model in model()) {
        let bytes = encode(&model);
        let read = decode(&bytes).unwrap();
        prop_assert_eq!(encode(&read), bytes, "equal models give equal bytes");
        prop_assert_eq!(read, model);
    }

    #[test]
    fn a_delta_comes_back(old in model(), new in model()) {
        let delta = diff(&old, &new);
        prop_assert_eq!(decode_delta(&encode_delta(&delta)).unwrap(), delta);
    }

    #[test]
    fn a_cut_text_is_refused_and_nothing_panics(model in model(), cut in 0.0..1.0) {
        let bytes = encode(&model);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a place in a text")]
        let end = (cut * bytes.len() as f64) as usize;
        prop_assert!(decode(bytes.get(..end).unwrap_or_default()).is_err());
    }
}

/// The model that release 0.1 wrote. A new release adds a file of its own and never touches this one.
const V1: &[u8] = include_bytes!("../data/v1.json");

#[test]
fn the_first_version_is_still_read() {
    let model = decode(V1).expect("every release reads version 1");
    assert!(!model.routes.is_empty());
}

/// As long as this release is the newest one, its file uses every feature.
#[test]
fn the_newest_file_uses_every_feature() {
    let used = features(&decode(V1).expect("it is read"));
    let all: BTreeSet<Feature> = Feature::ALL.iter().copied().collect();
    let missing: Vec<_> = all.difference(&used).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn ids_that_point_nowhere_are_refused() {
    let whole = decode(V1).expect("it is read");
    let breaks = |remove: &dyn Fn(&mut Model)| {
        let mut model = whole.clone();
        remove(&mut model);
        match decode(&encode(&model)) {
            Err(WireError::Dangling(dangling)) => dangling.to_string(),
            other => panic!("{other:?}"),
        }
    };
    let gone = breaks(&|model| model.secrets.clear());
    assert!(gone.ends_with("which the model does not hold"), "{gone}");
    assert!(breaks(&|model| model.gateways.clear()).contains("names the gateway"));
    assert!(breaks(&|model| model.listeners.clear()).contains("names the listener"));
    assert!(breaks(&|model| model.clusters.clear()).contains("names the cluster"));
}

#[test]
fn every_place_that_names_an_id_is_checked() {
    // Instead of listing the places once more: change each Id in the text, one at a time.
    let whole = decode(V1).expect("it is read");
    let text = String::from_utf8(encode(&whole)).expect("JSON");
    let ids: BTreeSet<&str> = whole
        .secrets
        .keys()
        .map(SecretId::as_str)
        .chain(whole.clusters.keys().map(ClusterId::as_str))
        .chain(whole.listeners.keys().map(ListenerId::as_str))
        .collect();
    for id in ids {
        let quoted = format!("\"{id}\"");
        for (at, _) in text.match_indices(&quoted) {
            let mut broken = text.clone();
            broken.replace_range(at..at + quoted.len(), "\"nowhere\"");
            let is_key = text.get(at + quoted.len()..).is_some_and(|rest| rest.starts_with(':'));
            match decode(broken.as_bytes()) {
                Err(WireError::Dangling(_)) => {}
                // An entry that nothing names may have any key.
                other => assert!(is_key, "{id} at {at}: {other:?}"),
            }
        }
    }
}

#[test]
fn keys_are_never_shown() {
    let model = decode(V1).expect("it is read");
    assert!(!format!("{model:?}").contains("PRIVATE KEY"));
    assert!(String::from_utf8_lossy(&encode(&model)).contains("PRIVATE KEY"));
}
