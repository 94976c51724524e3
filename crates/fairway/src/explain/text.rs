//! An explanation as text for people.

use std::fmt::Write as _;

use super::Explained;
use super::answer::{Action, Answer, Backend, Loser, Winner};

const NEVER: &str = "writing to a String never fails";

pub(super) fn text(explained: &Explained) -> String {
    let request = &explained.request;
    let query = request.query.as_ref().map(|query| format!("?{query}")).unwrap_or_default();
    let mut out = format!(
        "{} {}://{}:{}{}{query} from {}\n",
        request.method, request.scheme, request.host, request.port, request.path, request.client
    );
    for note in &explained.notes {
        writeln!(out, "note: {note}").expect(NEVER);
    }
    for answer in &explained.gateways {
        gateway(&mut out, answer);
    }
    if !explained.gateways.iter().any(|answer| answer.rule.is_some()) {
        out.push_str("\nno rule answers\n");
    }
    out
}

fn gateway(out: &mut String, answer: &Answer) {
    let addresses: Vec<String> = answer.addresses.iter().map(ToString::to_string).collect();
    writeln!(out, "\n{} port {} ({})", answer.gateway, answer.port, addresses.join(", "))
        .expect(NEVER);
    match &answer.listener {
        Some(listener) => {
            let what = format!("{} ({}, {})", listener.name, listener.protocol, listener.hostname);
            line(out, "listener", &what);
        }
        None => line(out, "listener", "none takes the request: 404, or no TLS handshake"),
    }
    match &answer.rule {
        Some(rule) => winner(out, rule),
        None if answer.listener.is_some() => line(out, "rule", "none: 404"),
        None => {}
    }
    losers(out, "other rules, and why they do not answer", &answer.other_rules);
    losers(out, "other listeners", &answer.other_listeners);
}

fn winner(out: &mut String, winner: &Winner) {
    line(out, "rule", &winner.rule);
    line(out, "match", &format!("{}; host {}", winner.matched, winner.host));
    for before in &winner.before {
        line(out, "before", before);
    }
    match &winner.action {
        Action::Answers(text) => line(out, "answers", text),
        Action::Backends(backends) => all_backends(out, backends),
    }
}

fn all_backends(out: &mut String, backends: &[Backend]) {
    if backends.is_empty() {
        line(out, "backend", "none: the connection is closed");
    }
    for backend in backends {
        let fate = match &backend.fails {
            Some(failure) => format!("answers {failure}"),
            None if backend.endpoints.is_empty() => {
                "no endpoint in the files: they come from the cluster, or from --backend".to_owned()
            }
            None => {
                let all: Vec<String> = backend.endpoints.iter().map(ToString::to_string).collect();
                all.join(", ")
            }
        };
        let share = format!("{:.4}", backend.percent);
        let share = share.trim_end_matches('0').trim_end_matches('.');
        line(out, "backend", &format!("{share}% {} – {fate}", backend.backend));
        for copy in &backend.copies {
            line(out, "copies", copy);
        }
    }
    let mut shown: Vec<&[String]> = Vec::new();
    for backend in backends.iter().filter(|backend| !backend.sees.is_empty()) {
        // Backends without changes of their own see the same.
        if shown.contains(&&backend.sees[..]) {
            continue;
        }
        shown.push(&backend.sees);
        let mut lines = backend.sees.iter();
        line(out, "it sees", lines.next().map_or("", String::as_str));
        lines.for_each(|seen| line(out, "", seen));
    }
}

fn losers(out: &mut String, title: &str, losers: &[Loser]) {
    if losers.is_empty() {
        return;
    }
    writeln!(out, "  {title}").expect(NEVER);
    for loser in losers {
        writeln!(out, "    {}: {}", loser.name, loser.why).expect(NEVER);
    }
}

fn line(out: &mut String, label: &str, text: &str) {
    writeln!(out, "  {label:<10}{text}").expect(NEVER);
}
