//! `fairway explain`: which rule answers a request, what the backend will see, and why each other rule
//! does not answer. Nothing is sent: the matcher and the filters are asked directly.

mod answer;
mod asked;
mod text;
mod words;

use std::process::ExitCode;

use fairway_model::select::Table;
use fairway_model::{Gateway, GatewayId, Model};
use fairway_translate::object::slug;
use fairway_translate::{Kind, Name, ObjectKey};
use serde::Serialize;

use crate::arguments::ObjectName;
use crate::cli::ExplainArgs;
use crate::directory::{Certified, Directory};
use crate::output;
use answer::Answer;
use asked::Asked;

/// The whole explanation.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Explained {
    request: asked::Shown,
    /// What was assumed, and what the reader may be surprised by.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    notes: Vec<String>,
    /// One for each Gateway that listens on the request's port.
    gateways: Vec<Answer>,
}

/// # Errors
/// The directory cannot be read, the request is none, or standard output is closed.
pub(crate) fn explain(args: &ExplainArgs) -> anyhow::Result<ExitCode> {
    let asked = Asked::parse(args)?;
    let directory = Directory::read(&args.source, Certified::Assumed)?;
    let model = &directory.plan.model;
    let table = Table::compile(model, &mut |_, _| ());
    let mut notes = notes(&directory, &asked);
    let mut gateways = Vec::new();
    for (id, gateway) in &model.gateways {
        if is_meant(gateway, args.gateway.as_ref()) && listens(model, id, asked.port) {
            let explanation = table.explain(id, asked.port, &asked.probe());
            let name = name_of(&directory, id, gateway);
            let listener = explanation.listener.as_ref().and_then(|id| model.listeners.get(id));
            notes.extend(listener.and_then(|listener| asked.mismatch(&listener.protocol)));
            gateways.push(answer::answer(model, name, gateway, &explanation, &asked));
        }
    }
    if gateways.is_empty() {
        notes.push(nobody(model, args.gateway.as_ref(), asked.port));
    }
    let answered = gateways.iter().any(|answer| answer.rule.is_some());
    let explained = Explained { request: asked.shown(), notes, gateways };
    output::show(&explained, args.output, text::text)?;
    Ok(ExitCode::from(u8::from(!answered)))
}

fn notes(directory: &Directory, asked: &Asked) -> Vec<String> {
    let mut notes = asked.notes.clone();
    for name in &directory.assumed {
        notes.push(format!("TLS Secret {name} is not there and taken to be there"));
    }
    let errors = directory.scan.problems.iter().filter(|problem| problem.is_error());
    notes.extend(errors.map(|problem| format!("left out: {problem}")));
    notes
}

fn is_meant(gateway: &Gateway, wanted: Option<&ObjectName>) -> bool {
    wanted.is_none_or(|wanted| {
        *wanted.namespace == *gateway.namespace && *wanted.name == *gateway.name
    })
}

fn listens(model: &Model, gateway: &GatewayId, port: u16) -> bool {
    let mut listeners = model.listeners.values();
    listeners.any(|listener| listener.gateway == *gateway && listener.port == port)
}

/// Names a gateway as users do: an Id is not read back, so both kinds are tried.
fn name_of(directory: &Directory, id: &GatewayId, gateway: &Gateway) -> String {
    let name = Name::new(gateway.namespace.as_ref(), gateway.name.as_ref());
    let ours = format!("{}/{}/{}", slug(Kind::FairwayGateway), name.namespace, name.name);
    let is_ours = directory.snapshot.fairway_gateways.contains_key(&name) && *id.as_str() == *ours;
    let kind = if is_ours { Kind::FairwayGateway } else { Kind::Gateway };
    ObjectKey { kind, name }.to_string()
}

fn nobody(model: &Model, wanted: Option<&ObjectName>, port: u16) -> String {
    let ports = model.listeners.values().map(|listener| listener.port);
    let ports: std::collections::BTreeSet<u16> = ports.collect();
    let ports: Vec<String> = ports.iter().map(ToString::to_string).collect();
    let who = wanted.map_or_else(
        || "no Gateway".to_owned(),
        |wanted| format!("no Gateway {}/{}", wanted.namespace, wanted.name),
    );
    let others =
        if ports.is_empty() { "no listener is served".to_owned() } else { ports.join(", ") };
    format!("{who} listens on port {port}; ports that are listened on: {others}")
}
