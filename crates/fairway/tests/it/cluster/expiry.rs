//! A watch whose history the API server has forgotten (410): everything is listed anew, and nobody notices.

use super::Cluster;
use super::load::Load;
use super::process::signal;
use super::world::{address, await_answer, await_live, begin, route, status};

/// More routes than may vanish without a word.
const ROUTES: usize = 20;

fn expired(cluster: &Cluster) -> u64 {
    let curl = cluster.command("curl").args(["--silent", "http://127.0.0.1:9900/metrics"]).output();
    let text = String::from_utf8(curl.expect("curl runs").stdout).expect("a text");
    let count = text.lines().find_map(|line| line.strip_prefix("fairway_watches_expired_total "));
    assert!(count.is_some(), "no count in {text}");
    count.and_then(|count| count.parse().ok()).expect("a number")
}

fn transition(cluster: &Cluster, route: &str) -> String {
    let live = "{.status.parents[0].conditions[?(@.type=='Live')].lastTransitionTime}";
    cluster.get(&format!("httproute/{route}"), live)
}

#[test]
fn an_expired_watch_takes_nothing_away_and_misses_nothing() {
    let mut cluster = Cluster::start("test-expiry");
    begin(&cluster);
    let names: Vec<String> = (0..ROUTES).map(|number| format!("kept-{number}")).collect();
    let all: Vec<String> = names.iter().map(|name| route(name)).collect();
    cluster.apply(&format!("{}---{}", all.join("---"), route("doomed")));
    for name in names.iter().chain([&"doomed".to_owned()]) {
        await_live(&cluster, name);
    }
    let to = address(&cluster);
    let before = transition(&cluster, "kept-7");
    // A kind that has just been defined may have had to be listed twice.
    let few = expired(&cluster);
    let load = Load::begin(cluster.lab.namespace(), to, "first.example", "/");

    // While the controller sees nothing, one route comes, one goes, and the API server begins anew: what it
    // keeps of the history begins after both.
    let controller = cluster.controller().expect("it was started");
    signal("-STOP", controller);
    cluster.apply(&route("meanwhile"));
    cluster.kubectl(&["--namespace=shop", "delete", "httproute", "doomed"]);
    let plane = cluster.lab.control_plane().expect("it runs");
    plane.stop_api_server();
    plane.start_api_server().expect("it comes back");
    cluster.apply(&route("after"));
    signal("-CONT", controller);

    await_answer(&cluster, "after.example");
    await_answer(&cluster, "meanwhile.example");
    await_live(&cluster, "meanwhile");
    cluster.until("the deletion that nobody saw", |cluster| {
        status(cluster, to, "doomed.example") == 404
    });
    for name in &names {
        assert_eq!(status(&cluster, to, &format!("{name}.example")), 200, "{name}");
    }
    let many = expired(&cluster) - few;
    assert!(many >= 5, "only {many} watches expired: the test does not test what it says");
    assert_eq!(transition(&cluster, "kept-7"), before, "it was live all the time");
    assert!(cluster.controller_runs(), "it did not begin anew");
    assert_eq!(load.refused(), 0);
    load.end();
}
