//! The compiled index decides as the specification written down plainly does.

use std::sync::Arc;

use fairway_model::host::HostPattern;
use fairway_model::matching::Rank;
use fairway_model::route::Rule;
use fairway_model::select::{ListenerTable, Probe, Table};
use fairway_model::{ListenerId, Model, RouteId};
use proptest::collection::vec;
use proptest::prelude::{prop_assert_eq, proptest};

use super::cases;
use super::naive;
use super::routing::{PORTS, gateway_id, host, probe, routing};

/// Compiles a model with nothing kept beside its routes.
pub(crate) fn compile(model: &Model) -> Table<()> {
    Table::compile(model, &mut |_, _| ())
}

/// Gives what the index selects in the words of the naive matcher.
pub(crate) fn key(table: &ListenerTable<()>, probe: &Probe) -> Option<naive::Key> {
    let selected = table.select(probe)?;
    let Rule::Http(rule) = &selected.route.route.rule else { panic!("a rule over requests") };
    let rank: Rank = rule.matches[selected.matched].rank.clone();
    Some((selected.host.rank, rank, selected.route.id.clone(), selected.matched))
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn the_index_selects_what_the_specification_says(
        model in routing(),
        probes in vec(probe(), 16),
    ) {
        let table = compile(&model);
        for (_, port, listeners) in table.ports() {
            for listener in listeners.listeners() {
                for probe in &probes {
                    let expected = naive::select(&model, listener.id(), probe);
                    prop_assert_eq!(key(listener, probe), expected, "{} {:?}", port, probe);
                }
            }
        }
    }

    #[test]
    fn streams_meet_the_least_rank(model in routing(), names in vec(host(), 8)) {
        let table = compile(&model);
        for listener in table.ports().flat_map(|(_, _, port)| port.listeners()) {
            for name in &names {
                let found = listener.select_stream(Some(name), None).map(|route| route.id.clone());
                let expected = naive::select_stream(&model, listener.id(), name);
                prop_assert_eq!(found, expected.map(|(_, _, id, _)| id));
            }
        }
    }

    #[test]
    fn the_most_specific_listener_answers(model in routing(), hosts in vec(host(), 16)) {
        let table = compile(&model);
        for port in PORTS {
            let listeners = table.port(gateway_id().as_str(), port);
            for host in &hosts {
                let by_host = listeners.and_then(|port| port.listener_for_host(host));
                let by_name = listeners.and_then(|port| port.listener_for_server_name(Some(host)));
                let id = |table: Option<&ListenerTable<()>>| table.map(|table| table.id().clone());
                prop_assert_eq!(id(by_host), naive::listener(&model, port, host, false));
                prop_assert_eq!(id(by_name), naive::listener(&model, port, host, true));
            }
        }
    }
}

/// A model of one HTTP listener and one route, from the wire form.
fn one_route(hosts: &str, matches: &str) -> Table<()> {
    let text = format!(
        r#"{{"gateways":{{"g":{{"namespace":"n","name":"g","addresses":[]}}}},
        "listeners":{{"l":{{"gateway":"g","name":"l","port":80,"hostname":"*","protocol":"http"}}}},
        "routes":{{"r":{{
          "origin":{{"kind":"HTTPRoute","namespace":"n","name":"r","rule":0,"generation":1}},
          "attachments":[{{"listener":"l","hosts":{hosts}}}],
          "rule":{{"http":{{"matches":{matches},"action":{{"fail":{{"status":500,"reason":""}}}}}}}}}}}}}}"#
    );
    compile(&serde_json::from_str(&text).expect("a model"))
}

const RANK: &str = r#""rank":{"class":0,"specificity":[0,0,0,0,0],"created":0,"object":"n/r","rule":0,"position":0}"#;

fn finds(table: &Table<()>, host: &str, path: &str) -> bool {
    let probe =
        Probe { host: host.into(), path: path.into(), method: "GET".into(), ..Probe::default() };
    let listener = table.port("g", 80).expect("a port").listener("l").expect("a listener");
    listener.select(&probe).is_some()
}

#[test]
fn a_prefix_ends_where_a_segment_ends() {
    let matches = format!(r#"[{{"path":{{"prefix":"/cart"}},{RANK}}}]"#);
    let table = one_route(r#"[{"pattern":"*","rank":[2,0]}]"#, &matches);
    for (path, found) in
        [("/cart", true), ("/cart/", true), ("/cart/a", true), ("/carts", false), ("/car", false)]
    {
        assert_eq!(finds(&table, "any.test", path), found, "{path}");
    }
}

#[test]
fn a_missing_host_meets_only_rules_for_all_hosts() {
    let matches = format!(r#"[{{"path":{{"prefix":"/"}},{RANK}}}]"#);
    let any = one_route(r#"[{"pattern":"*","rank":[2,0]}]"#, &matches);
    assert!(finds(&any, "", "/"));
    let one = one_route(r#"[{"pattern":"*.test","rank":[1,0]}]"#, &matches);
    assert!(!finds(&one, "", "/"));
    assert!(finds(&one, "a.b.test", "/"));
}

/// A host of dots alone, or a path of slashes, costs no more than its length.
#[test]
fn hostile_hosts_and_paths_are_cheap() {
    let matches = format!(r#"[{{"path":{{"prefix":"/a"}},{RANK}}}]"#);
    let table = one_route(r#"[{"pattern":"*.test","rank":[1,0]}]"#, &matches);
    let host = "a.".repeat(500_000) + "test";
    assert!(!finds(&table, &host, "/"));
    assert!(finds(&table, &host, &("/a".to_owned() + &"/".repeat(1_000_000))));
}

#[test]
fn the_caller_keeps_something_with_each_route() {
    let mut model = Model::default();
    let text = r#"{"origin":{"kind":"HTTPRoute","namespace":"n","name":"r","rule":0,"generation":7},
        "attachments":[],"rule":{"http":{"matches":[],"action":{"fail":{"status":500,"reason":""}}}}}"#;
    let route = serde_json::from_str(text).expect("a route");
    model.routes.insert(RouteId::new("r"), Arc::new(route));
    let table =
        Table::compile(&model, &mut |id, route| format!("{id} {}", route.origin.generation));
    assert_eq!(table.route("r").expect("it is there").extra, "r 7");
    assert!(table.route("s").is_none());
}

#[test]
fn a_rule_for_one_label_stands_beside_one_for_many() {
    let one = HostPattern::parse("?.test").expect("a pattern");
    assert!(naive::host_holds(&one, "a.test") && !naive::host_holds(&one, "a.b.test"));
    let matches = format!(r#"[{{"path":{{"prefix":"/"}},{RANK}}}]"#);
    let table = one_route(r#"[{"pattern":"?.test","rank":[1,0]}]"#, &matches);
    assert!(finds(&table, "a.test", "/") && !finds(&table, "a.b.test", "/"));
    assert!(table.port("g", 80).expect("a port").listener(ListenerId::new("x").as_str()).is_none());
}
