//! What is written is read again as it was, whatever the model; anything else is refused and panics nobody.

use fairway_model::{features, wire};
use proptest::prelude::{ProptestConfig, any, prop_assert_eq, proptest};

use super::*;

#[path = "../../../model/tests/it/arbitrary.rs"]
mod arbitrary;
#[path = "../../../model/tests/it/routing.rs"]
#[expect(dead_code, reason = "only a part of it is asked for here")]
mod routing;

fn all() -> Features {
    Feature::ALL.iter().copied().collect()
}

fn there_and_back(model: &Model) -> Model {
    let mut delta = Delta::default();
    for (key, entry) in entries(model) {
        let message = entry.encode(&key.id);
        let bytes = message.encode_to_vec();
        let read = proto::Resource::decode(bytes.as_slice()).expect("what was written");
        assert_eq!(digest(&read), digest(&message));
        let kind = Kind::decode(read.kind).expect("a kind of our own");
        decode(kind, &read, &all()).expect("an entry of our own").put(&read.id, &mut delta);
    }
    let mut back = Model::default();
    fairway_model::delta::apply(&mut back, delta);
    back
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_model_comes_back(model in arbitrary::model()) {
        prop_assert_eq!(there_and_back(&model), model);
    }

    #[test]
    fn whatever_is_sent_nothing_panics(kind in 0..9_i32, body in any::<Vec<u8>>()) {
        let resource = proto::Resource { kind, body: body.into(), ..proto::Resource::default() };
        if let Some(kind) = Kind::decode(kind) {
            drop(decode(kind, &resource, &all()));
        }
    }

    #[test]
    fn a_broken_entry_panics_nobody(model in arbitrary::model(), at in any::<usize>(), to in any::<u8>()) {
        for (key, entry) in entries(&model) {
            let mut resource = entry.encode(&key.id);
            let mut body = resource.body.to_vec();
            let length = body.len().max(1);
            if let Some(byte) = body.get_mut(at % length) {
                *byte = to;
            }
            resource.body = body.into();
            drop(decode(key.kind, &resource, &all()));
        }
    }
}

#[test]
fn every_feature_travels_and_is_named() {
    let text = include_bytes!("../../../model/tests/data/v1.json");
    let model = wire::decode(text).expect("every release reads it");
    assert_eq!(features(&model), all(), "it uses every feature");
    assert_eq!(there_and_back(&model), model);
    let named: std::collections::BTreeSet<String> =
        entries(&model).flat_map(|(key, entry)| entry.encode(&key.id).features).collect();
    assert_eq!(named, Feature::ALL.iter().map(|it| it.name().to_owned()).collect());
}

#[test]
fn one_feature_unknown_is_enough_to_refuse() {
    let text = include_bytes!("../../../model/tests/data/v1.json");
    let model = wire::decode(text).expect("every release reads it");
    for feature in Feature::ALL {
        let mut known = all();
        known.remove(feature);
        let refused = entries(&model).filter(|(key, entry)| {
            let refused = decode(key.kind, &entry.encode(&key.id), &known);
            refused.is_err_and(|why| why.to_string().contains(feature.name()))
        });
        assert!(refused.count() > 0, "{feature}");
    }
}
