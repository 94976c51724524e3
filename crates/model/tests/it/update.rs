//! A table that follows a model through its changes selects what one compiled anew selects, and
//! shares with the old one what did not change.

use std::sync::Arc;

use fairway_model::delta::diff;
use fairway_model::select::{Probe, Table};
use fairway_model::{Model, RouteId};
use proptest::collection::vec;
use proptest::prelude::{TestCaseError, prop_assert, prop_assert_eq, proptest};

use super::cases;
use super::routing::{PORTS, gateway_id, history, probe};
use super::select::{compile, key};

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn an_updated_table_is_the_compiled_one(models in history(), probes in vec(probe(), 8)) {
        let mut table = compile(&models[0]);
        for pair in models.windows(2) {
            let [old, new] = pair else { unreachable!("windows of two") };
            table = updated(&table, old, new)?;
            same(&table, &compile(new), &probes)?;
        }
    }

    #[test]
    fn an_old_table_does_not_change(models in history(), probes in vec(probe(), 8)) {
        let (Some(first), Some(last)) = (models.first(), models.last()) else { return Ok(()) };
        let table = compile(first);
        updated(&table, first, last)?;
        same(&table, &compile(first), &probes)?;
    }

    #[test]
    fn what_is_taken_down_leaves_nothing_behind(models in history()) {
        let model = &models[0];
        let empty = Model::default();
        let table = updated(&compile(model), model, &empty)?;
        prop_assert_eq!(table.ports().count(), 0);
        // Nor do rules come back when only the listeners do.
        let listeners = Model { routes: Default::default(), ..model.clone() };
        let table = updated(&table, &empty, &listeners)?;
        same(&table, &compile(&listeners), &[Probe { path: "/".into(), ..Probe::default() }])?;
    }
}

/// Follows a change, and checks that no route was made again without need.
fn updated(table: &Table<()>, old: &Model, new: &Model) -> Result<Table<()>, TestCaseError> {
    let delta = diff(old, new);
    let mut made: Vec<RouteId> = Vec::new();
    let next = table.update(new, &delta, &mut |id, _| made.push(id.clone()));
    let put: Vec<RouteId> = delta.routes.put.keys().cloned().collect();
    prop_assert_eq!(made, put);
    for id in new.routes.keys().filter(|id| !delta.routes.put.contains_key(*id)) {
        let shared = table.route(id.as_str()).zip(next.route(id.as_str()));
        prop_assert!(shared.is_some_and(|(old, new)| Arc::ptr_eq(old, new)), "{} is the same", id);
    }
    Ok(next)
}

/// Compares two tables by all that can be asked of them.
fn same(a: &Table<()>, b: &Table<()>, probes: &[Probe]) -> Result<(), TestCaseError> {
    let shape = |table: &Table<()>| -> Vec<_> {
        let ports = table.ports();
        ports
            .flat_map(|(gateway, port, table)| {
                table
                    .listeners()
                    .map(move |l| (gateway.clone(), port, l.id().clone(), l.listener().clone()))
            })
            .collect()
    };
    prop_assert_eq!(shape(a), shape(b));
    for port in PORTS {
        let gateway = gateway_id();
        let (a, b) = (a.port(gateway.as_str(), port), b.port(gateway.as_str(), port));
        let (Some(a), Some(b)) = (a, b) else { continue };
        for probe in probes {
            let by_host = |port: &fairway_model::select::PortTable<()>| {
                (
                    port.listener_for_host(&probe.host).map(|table| table.id().clone()),
                    port.listener_for_server_name(Some(&probe.host))
                        .map(|table| table.id().clone()),
                )
            };
            prop_assert_eq!(by_host(a), by_host(b));
            for (a, b) in a.listeners().zip(b.listeners()) {
                prop_assert_eq!(key(a, probe), key(b, probe), "{} {:?}", a.id(), probe);
                let stream = |table: &fairway_model::select::ListenerTable<()>| {
                    table.select_stream(Some(&probe.host), None).map(|route| route.id.clone())
                };
                prop_assert_eq!(stream(a), stream(b));
            }
        }
    }
    Ok(())
}
