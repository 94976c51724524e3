//! How things stand, as tables: of this process, or of another one's admin endpoint.

use comfy_table::{Table, presets};
use serde_json::Value;

/// Rows of routes that are well are shown up to this many; those that are not, always.
const WELL: usize = 30;

/// Draws what `/api/gateways` of the admin endpoint gives.
pub(crate) fn of_json(view: &Value) -> String {
    let list = |name: &str| view[name].as_array().map(Vec::as_slice).unwrap_or_default();
    let mut parts = vec![gateways(list("gateways")), routes(list("routes"))];
    let problems: Vec<String> = list("problems").iter().map(problem).collect();
    if !problems.is_empty() {
        parts.push(format!("PROBLEMS\n{}", problems.join("\n")));
    }
    if view["lastGood"] == true {
        parts.push("what is served comes in part from an earlier, good state of the files".into());
    }
    parts.retain(|part| !part.is_empty());
    parts.join("\n\n") + "\n"
}

fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(header.to_vec());
    table
}

fn gateways(gateways: &[Value]) -> String {
    if gateways.is_empty() {
        return "no Gateway is served: DIR declares none that is ours".to_owned();
    }
    let mut table = table(&["GATEWAY", "LISTENER", "ADDRESS", "ROUTES", "STATE"]);
    for gateway in gateways {
        let name = text(&gateway["gateway"]);
        let listeners = gateway["listeners"].as_array().map(Vec::as_slice).unwrap_or_default();
        if listeners.is_empty() || gateway["state"]["ok"] == false {
            table.add_row([name.clone(), "–".into(), "–".into(), "–".into(), state(gateway)]);
        }
        for listener in listeners {
            let bound = listener["bound"].as_array().map(Vec::as_slice).unwrap_or_default();
            let bound: Vec<String> = bound.iter().map(text).collect();
            let bound = if bound.is_empty() { "–".to_owned() } else { bound.join(" ") };
            let routes = listener["attachedRoutes"].to_string();
            let row = [name.clone(), text(&listener["name"]), bound, routes, state(listener)];
            table.add_row(row);
        }
    }
    trimmed(&table)
}

fn routes(routes: &[Value]) -> String {
    if routes.is_empty() {
        return String::new();
    }
    let mut table = table(&["ROUTE", "STATE"]);
    let (well, ill): (Vec<&Value>, Vec<&Value>) =
        routes.iter().partition(|route| route["state"]["ok"] == true);
    for route in ill.iter().chain(well.iter().take(WELL)) {
        table.add_row([text(&route["route"]), state(route)]);
    }
    let mut drawn = trimmed(&table);
    if let Some(more) = well.len().checked_sub(WELL).filter(|more| *more > 0) {
        drawn.push_str(&format!("\n… and {more} more that are well"));
    }
    drawn
}

/// `ok`, or what is not well.
pub(super) fn state(of: &Value) -> String {
    if of["state"]["ok"] == true {
        return "ok".to_owned();
    }
    let messages = of["state"]["messages"].as_array().map(Vec::as_slice).unwrap_or_default();
    let messages: Vec<String> = messages.iter().map(|message| hinted(&text(message))).collect();
    messages.join("; ")
}

/// Adds what to do about a port that may not be bound, or is taken.
fn hinted(message: &str) -> String {
    let lower = message.to_lowercase();
    if lower.contains("permission denied") || lower.contains("in use") {
        format!("{message}; start with --port-offset 8000 to use other ports")
    } else {
        message.to_owned()
    }
}

/// As `Problem` displays itself: in one line with place, object, field, message and remedy.
fn problem(problem: &Value) -> String {
    let mut line =
        format!("{}:{}:{}: ", text(&problem["file"]), problem["line"], problem["column"]);
    if problem["severity"] == "warning" {
        line.push_str("warning: ");
    }
    let object = &problem["object"];
    if object.is_object() {
        let namespace = object["namespace"].as_str().map(|namespace| format!("{namespace}/"));
        let namespace = namespace.unwrap_or_default();
        line.push_str(&format!("{} {namespace}{}: ", text(&object["kind"]), text(&object["name"])));
    }
    if let Some(field) = problem["field"].as_str() {
        line.push_str(&format!("{field}: "));
    }
    line.push_str(&text(&problem["message"]));
    if let Some(remedy) = problem["remedy"].as_str() {
        line.push_str(&format!("; {remedy}"));
    }
    line
}

pub(super) fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned)
}

fn trimmed(table: &Table) -> String {
    table.trim_fmt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_not_well_is_shown_with_its_remedy() {
        let view = json!({
            "gateways": [{
                "gateway": "Gateway shop/public",
                "state": {"ok": true, "messages": []},
                "listeners": [{
                    "name": "http", "bound": [], "attachedRoutes": 2,
                    "state": {"ok": false, "messages": ["port 80: Permission denied"]},
                }],
            }],
            "routes": [{"route": "HTTPRoute shop/a", "state": {"ok": true, "messages": []}}],
            "problems": [{
                "file": "a.yaml", "line": 3, "column": 5, "severity": "error",
                "message": "is required", "remedy": "add it",
            }],
        });
        let drawn = of_json(&view);
        assert!(drawn.contains("--port-offset 8000"), "{drawn}");
        assert!(drawn.contains("HTTPRoute shop/a"), "{drawn}");
        assert!(drawn.contains("a.yaml:3:5: is required; add it"), "{drawn}");
    }
}
