//! What a run shows while it goes on: on a terminal a table that is drawn anew at each change, elsewhere
//! one line for each thing that has changed.

use std::collections::BTreeSet;
use std::io::IsTerminal;

use fairway_controller::view::RunView;
use serde_json::Value;

use super::table;
use crate::output;

/// See the module.
pub(crate) struct Screen {
    mode: Mode,
    /// Lines that hold now, in plain mode.
    lines: BTreeSet<String>,
}

enum Mode {
    /// Lines that were drawn last.
    Table(usize),
    /// What stands before each line.
    Lines(&'static str),
}

impl Screen {
    /// A screen that shares standard output with an access log draws nothing over it.
    pub(crate) fn new(shared: bool) -> Self {
        let draws = !shared && std::io::stdout().is_terminal();
        let mode = if draws { Mode::Table(0) } else { Mode::Lines("") };
        Self { mode, lines: BTreeSet::new() }
    }

    /// Lines that a shell passes over.
    pub(crate) fn comments() -> Self {
        Self { mode: Mode::Lines("# "), lines: BTreeSet::new() }
    }

    /// Shows how things stand now.
    pub(crate) fn show(&mut self, view: &RunView) {
        let json = serde_json::to_value(view).expect("a view is plain data");
        let text = match self.mode {
            Mode::Table(before) => {
                let drawn = table::of_json(&json);
                self.mode = Mode::Table(drawn.lines().count());
                // Back to where the last table began, and all below it away.
                let up = if before > 0 { format!("\x1b[{before}A\x1b[J") } else { String::new() };
                up + &drawn
            }
            Mode::Lines(prefix) => self.changes(&json, view, prefix),
        };
        // Whoever looked on has gone; requests are served all the same.
        output::print(&text).unwrap_or_default();
    }

    fn changes(&mut self, json: &Value, view: &RunView, prefix: &str) -> String {
        let now = lines(json, view);
        let mut text = String::new();
        for line in now.difference(&self.lines) {
            text.push_str(&format!("{prefix}{line}\n"));
        }
        for line in self.lines.difference(&now).filter(|line| line.starts_with("problem: ")) {
            text.push_str(&format!("{prefix}mended: {line}\n"));
        }
        if !view.took.is_zero() {
            let milliseconds = view.took.as_secs_f64() * 1000.0;
            text.push_str(&format!("{prefix}served after {milliseconds:.1} ms\n"));
        }
        self.lines = now;
        text
    }
}

fn lines(json: &Value, view: &RunView) -> BTreeSet<String> {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let mut lines = BTreeSet::new();
    for gateway in list(&json["gateways"]) {
        let name = table::text(&gateway["gateway"]);
        if gateway["state"]["ok"] == false {
            lines.insert(format!("gateway {name}: {}", table::state(&gateway)));
        }
        for listener in list(&gateway["listeners"]) {
            let bound: Vec<String> = list(&listener["bound"]).iter().map(table::text).collect();
            if bound.is_empty() && listener["state"]["ok"] == true {
                // It is about to listen.
                continue;
            }
            let listener_name = table::text(&listener["name"]);
            lines.insert(format!(
                "listener {name} {listener_name} on {}: {}",
                if bound.is_empty() { "nothing".to_owned() } else { bound.join(" ") },
                table::state(&listener)
            ));
        }
    }
    for route in list(&json["routes"]) {
        lines.insert(format!("route {}: {}", table::text(&route["route"]), table::state(&route)));
    }
    lines.extend(view.problems.iter().map(|problem| format!("problem: {problem}")));
    if view.last_good {
        lines.insert("the last good state is served where the files cannot be read".to_owned());
    }
    lines
}
