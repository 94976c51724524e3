//! A gateway's slice holds what it needs and nothing else; together the slices hold all that is used.

use std::collections::BTreeSet;
use std::sync::Arc;

use fairway_model::slice::slices;
use fairway_model::{Model, RouteId};
use proptest::prelude::{prop_assert, prop_assert_eq, proptest};

use super::arbitrary::model;
use super::cases;

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn each_slice_is_whole_and_only_its_gateways(model in model()) {
        let all = slices(&model, None);
        prop_assert_eq!(all.len(), model.gateways.len());
        for (id, slice) in &all {
            prop_assert_eq!(slice.check(), Ok(()));
            prop_assert_eq!(&model.slice(id), &**slice, "one alone is the same as one of all");
            prop_assert_eq!(slice.gateways.keys().collect::<Vec<_>>(), [id]);
            let own = |listener: &str| {
                model.listeners.get(listener).is_some_and(|listener| listener.gateway == *id)
            };
            prop_assert!(slice.listeners.keys().all(|listener| own(listener.as_str())));
            for route in slice.routes.values() {
                prop_assert!(route.attachments.iter().all(|it| own(it.listener.as_str())));
                prop_assert!(!route.attachments.is_empty());
            }
            prop_assert_eq!(names_nothing_in_vain(slice), true);
        }
    }

    #[test]
    fn together_they_cover_the_model(model in model()) {
        let all = slices(&model, None);
        let mut attachments = 0;
        let mut routes: BTreeSet<&RouteId> = BTreeSet::new();
        for slice in all.values() {
            attachments += slice.routes.values().map(|it| it.attachments.len()).sum::<usize>();
            routes.extend(slice.routes.keys());
            for (id, route) in &slice.routes {
                prop_assert_eq!(&route.rule, &model.routes[id].rule);
                prop_assert_eq!(&route.origin, &model.routes[id].origin);
            }
            for (id, cluster) in &slice.clusters {
                prop_assert!(Arc::ptr_eq(cluster, &model.clusters[id]));
                prop_assert_eq!(slice.endpoints.get(id), model.endpoints.get(id));
            }
        }
        let whole = model.routes.values().map(|it| it.attachments.len()).sum::<usize>();
        prop_assert_eq!(attachments, whole);
        prop_assert_eq!(routes.len(), model.routes.len());
        let listeners = all.values().map(|slice| slice.listeners.len()).sum::<usize>();
        prop_assert_eq!(listeners, model.listeners.len());
    }

    #[test]
    fn the_memo_changes_no_value_and_keeps_what_did_not_change(old in model(), new in model()) {
        let before = slices(&old, None);
        let with = slices(&new, Some(&before));
        prop_assert_eq!(&with, &slices(&new, None));
        let again = slices(&new, Some(&with));
        for (id, slice) in &again {
            prop_assert!(Arc::ptr_eq(slice, &with[id]), "{} was made anew", id);
        }
    }
}

/// Says whether every cluster and every Secret of a slice is named by something in it.
fn names_nothing_in_vain(slice: &Model) -> bool {
    let clusters: BTreeSet<_> = slice.routes.values().flat_map(|route| route.clusters()).collect();
    let secrets: BTreeSet<_> = slice
        .gateways
        .values()
        .flat_map(|it| it.secrets())
        .chain(slice.listeners.values().flat_map(|it| it.secrets()))
        .chain(slice.clusters.values().flat_map(|it| it.secrets()))
        .collect();
    slice.clusters.keys().all(|id| clusters.contains(id))
        && slice.endpoints.keys().all(|id| clusters.contains(id))
        && slice.secrets.keys().all(|id| secrets.contains(id))
}

#[test]
fn a_gateway_that_is_not_there_has_nothing() {
    let id = fairway_model::GatewayId::new("gateway/nobody/nothing");
    assert_eq!(Model::default().slice(&id), Model::default());
}
