//! `fairway demo`: every request that it prints is run by a shell, and its output held to what is printed
//! below it.

use std::process::Command;

use crate::rig::{Loopback, OFFSET, Process, poll, shop, text};

/// A printed request with what is to be expected.
struct Printed {
    command: String,
    expect: String,
}

#[test]
fn every_printed_request_works() {
    if Command::new("curl").arg("--version").output().is_err() {
        panic!("curl is missing: install it by `apt-get install curl`");
    }
    try_all(&shop().display().to_string());
}

#[test]
fn the_shop_is_built_in() {
    let at = Loopback::new();
    let process = start("/nowhere/at/all", &at);
    process.line("that it is built in", |line| line.contains("this is the shop that is built in"));
    assert!(requests(&process).len() >= 10);
}

#[test]
fn it_leaves_nothing_behind() {
    let at = Loopback::new();
    let mut process = start("/nowhere/at/all", &at);
    let line = process.line("where statuses are", |line| line.starts_with("# Statuses"));
    let (_, statuses) = line.rsplit_once(": ").expect("a path");
    requests(&process);
    let statuses = std::path::Path::new(statuses);
    let written = statuses.join("HTTPRoute.shop.catalog.yaml");
    poll("a status", || written.exists().then_some(()));
    process.terminate();
    assert!(process.ended().success());
    assert!(!statuses.exists(), "the demo's folder is left behind");
}

fn try_all(directory: &str) {
    let at = Loopback::new();
    let process = start(directory, &at);
    let requests = requests(&process);
    assert!(requests.len() >= 12, "{}", process.printed());
    let mut wrong = Vec::new();
    for Printed { command, expect } in requests {
        let output = Command::new("sh").args(["-c", &command]).output().expect("a shell");
        let (out, errors) = (text(&output.stdout), text(&output.stderr));
        // A tunnel's end is a time-out to some versions of curl.
        let ends_well = output.status.success() || command.contains("sec-websocket-key");
        if !ends_well || !out.contains(&expect) {
            wrong.push(format!("{command}\nexpected {expect:?}, and there is\n{out}{errors}"));
        }
    }
    assert!(wrong.is_empty(), "{}\n{}", wrong.join("\n\n"), process.printed());
}

fn start(directory: &str, at: &Loopback) -> Process {
    let (pool, admin, offset) = (at.pool(), at.admin().to_string(), OFFSET.to_string());
    let options = ["--pool", &pool, "--admin", &admin, "--port-offset", &offset];
    Process::start(&[&["demo", directory][..], &options].concat())
}

/// Reads the requests, once the last one has been printed.
fn requests(process: &Process) -> Vec<Printed> {
    process.line("the last request's outcome", |line| line == "# expect: GATEWAY");
    let printed = process.printed();
    let lines: Vec<&str> = printed.lines().collect();
    let pairs = lines.iter().zip(lines.iter().skip(1));
    let requests = pairs.filter(|(line, _)| !line.is_empty() && !line.starts_with('#'));
    let read = requests.map(|(command, below)| Printed {
        command: (*command).to_owned(),
        expect: below
            .strip_prefix("# expect: ")
            .unwrap_or_else(|| panic!("nothing is expected of {command}"))
            .to_owned(),
    });
    read.collect()
}
