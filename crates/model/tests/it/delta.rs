//! A delta leads from one model to the other, and says nothing where nothing changed.

use fairway_model::Model;
use fairway_model::delta::{apply, diff};
use proptest::prelude::{prop_assert, prop_assert_eq, proptest};

use super::arbitrary::model;
use super::cases;

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn apply_is_the_inverse_of_diff(old in model(), new in model()) {
        let delta = diff(&old, &new);
        prop_assert_eq!(delta.is_empty(), old == new);
        let mut applied = old;
        apply(&mut applied, delta);
        prop_assert_eq!(applied, new);
    }

    #[test]
    fn nothing_changed_is_an_empty_delta(model in model()) {
        prop_assert!(diff(&model, &model).is_empty());
        // Equal values behind other `Arc`s are equal all the same.
        let copy: Model = serde_json::from_slice(&serde_json::to_vec(&model).unwrap()).unwrap();
        prop_assert!(diff(&model, &copy).is_empty());
    }

    #[test]
    fn a_delta_holds_no_more_than_what_changed(old in model(), new in model()) {
        let delta = diff(&old, &new);
        for (id, route) in &delta.routes.put {
            prop_assert!(old.routes.get(id) != Some(route));
        }
        for id in &delta.routes.removed {
            prop_assert!(old.routes.contains_key(id) && !new.routes.contains_key(id));
        }
    }
}
