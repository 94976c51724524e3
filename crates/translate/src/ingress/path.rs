//! Rules and paths of an Ingress, each a rule of the model. Per the Ingress documentation the longest path
//! wins, and of equally long ones the exact one; what nothing else takes goes to the default backend.

use std::sync::Arc;

use fairway_api::ingress::{
    HttpIngressPath, IngressBackend, IngressServiceBackend, IngressSpec, PathType,
};
use fairway_api::reference::BackendObjectReference;
use fairway_model::filter::HeaderModifier;
use fairway_model::host::HostPattern;
use fairway_model::matching::{HttpMatch, PathMatch};
use fairway_model::policy::{IpAccess, LoadBalancing, Timeouts};
use fairway_model::route::{
    BackendTarget, Failure, Forward, HttpAction, HttpDialect, HttpRule, WeightedBackend,
};

use crate::backend::{self, Place, Speaks};
use crate::hostname;
use crate::object::Name;
use crate::route::ledger::Ledger;
use crate::route::matches::prefix;
use crate::route::{matches, rank};
use crate::verdict::Reason;

/// One path of one host, or the default backend.
pub(super) struct Spot {
    pub(super) rule: usize,
    /// Its number among all paths of the Ingress.
    pub(super) unit: usize,
    /// Last part of its Id: `rule/0/path/1`, `default`.
    pub(super) place: String,
    pub(super) host: HostPattern,
    pub(super) http: HttpRule,
}

/// Where a default backend stands: after everything else of its class.
const LAST: u32 = 3;

/// Reads all rules; what cannot be served is noted and left out. Gives also how many there are, those
/// left out included.
pub(super) fn spots(ledger: &mut Ledger<'_>, spec: &IngressSpec) -> (Vec<Spot>, usize) {
    let mut spots = Vec::new();
    let mut units = 0;
    for (index, rule) in spec.rules.iter().enumerate() {
        let Some(host) = hostname::parse_single_label(rule.host.as_deref()) else {
            let host = rule.host.as_deref().unwrap_or_default();
            let message = format!("rules[{index}]: host {host:?} is no hostname");
            ledger.invalid_unit(units, Reason::UnsupportedValue, message);
            units += 1;
            continue;
        };
        let paths = rule.http.as_ref().map_or(&[][..], |http| &http.paths);
        for (number, written) in paths.iter().enumerate() {
            match path(written) {
                Ok(matched) => {
                    let field = format!("paths[{number}].backend");
                    let action = action(ledger, (index, &field), &written.backend);
                    let http = rule_of(ledger, matched, action, (index, number));
                    let place = format!("rule/{index}/path/{number}");
                    spots.push(Spot { rule: index, unit: units, place, host: host.clone(), http });
                }
                Err(why) => {
                    let message = format!("rules[{index}]: paths[{number}]: {why}");
                    ledger.invalid_unit(units, Reason::UnsupportedValue, message);
                }
            }
            units += 1;
        }
        // A rule without paths sends its host to the default backend.
        if let Some(backend) = spec.default_backend.as_ref().filter(|_| paths.is_empty()) {
            let place = format!("rule/{index}/default");
            spots.push(default(ledger, (index, units), (place, host), backend));
            units += 1;
        }
    }
    if let Some(backend) = &spec.default_backend {
        let place = ("default".to_owned(), HostPattern::Any);
        spots.push(default(ledger, (spec.rules.len(), units), place, backend));
        units += 1;
    }
    (spots, units)
}

fn default(
    ledger: &mut Ledger<'_>,
    (rule, unit): (usize, usize),
    (place, host): (String, HostPattern),
    backend: &IngressBackend,
) -> Spot {
    let action = action(ledger, (rule, "defaultBackend"), backend);
    let mut http = rule_of(ledger, PathMatch::Prefix("/".into()), action, (rule, 0));
    for matched in &mut http.matches {
        matched.rank.specificity[0] = LAST;
    }
    Spot { rule, unit, place, host, http }
}

fn path(written: &HttpIngressPath) -> Result<PathMatch, String> {
    let text = written.path.as_deref().filter(|text| !text.is_empty()).unwrap_or("/");
    match &written.path_type {
        PathType::Exact => Ok(PathMatch::Exact(matches::literal(text)?.into())),
        PathType::Prefix | PathType::ImplementationSpecific => {
            Ok(PathMatch::Prefix(prefix(text)?.into()))
        }
        PathType::Other(word) => Err(format!("pathType {word} is not known")),
    }
}

fn rule_of(
    ledger: &Ledger<'_>,
    path: PathMatch,
    action: HttpAction,
    (rule, number): (usize, usize),
) -> HttpRule {
    let mut matched = HttpMatch {
        path,
        methods: Vec::new(),
        headers: Vec::new(),
        query: Vec::new(),
        cookies: Vec::new(),
        clients: Vec::new(),
        rank: rank::of(ledger.head, [0; 5], rule, number),
    };
    matched.rank = rank::rank(ledger.head, &matched, rule, number);
    matched.rank.class = 1;
    HttpRule {
        matches: vec![matched],
        dialect: HttpDialect::Plain,
        ip_access: IpAccess::default(),
        rate_limits: Vec::new(),
        cors: None,
        action,
        response_headers: HeaderModifier::default(),
    }
}

fn action(
    ledger: &mut Ledger<'_>,
    (rule, field): (usize, &str),
    written: &IngressBackend,
) -> HttpAction {
    let target = match reference(ledger, written) {
        Ok(reference) => backend::target(ledger, Place { rule, field }, &reference, Speaks::Http),
        Err((reason, why)) => {
            ledger.unresolved(rule, reason, &format!("{field}: {why}"));
            BackendTarget::Fail(Failure { status: 500, reason: why.into() })
        }
    };
    match target {
        BackendTarget::Fail(failure) => HttpAction::Fail(failure),
        target @ BackendTarget::Cluster(_) => HttpAction::Forward(Box::new(Forward {
            backends: vec![WeightedBackend {
                weight: 1,
                target,
                request_headers: HeaderModifier::default(),
                response_headers: HeaderModifier::default(),
                rewrite: None,
                mirrors: Vec::new(),
            }],
            request_headers: HeaderModifier::default(),
            rewrite: None,
            mirrors: Vec::new(),
            timeouts: Timeouts::default(),
            retry: None,
            session: None,
            load_balancing: LoadBalancing::default(),
            passive_health: None,
        })),
    }
}

/// Turns a backend into a reference by number, as routes have it.
fn reference(
    ledger: &mut Ledger<'_>,
    written: &IngressBackend,
) -> Result<BackendObjectReference, (Reason, String)> {
    let service = match (&written.service, &written.resource) {
        (Some(service), None) => service,
        (_, Some(resource)) => {
            let why = format!("resource {} is no backend: name a Service", resource.kind);
            return Err((Reason::InvalidKind, why));
        }
        (None, None) => return Err((Reason::BackendNotFound, "no Service is named".to_owned())),
    };
    let port = match (&service.port.number, &service.port.name) {
        (Some(number), _) => Some(*number),
        (None, Some(name)) => Some(port_by_name(ledger, service, name)?),
        (None, None) => None,
    };
    Ok(BackendObjectReference {
        name: service.name.clone(),
        port,
        ..BackendObjectReference::default()
    })
}

fn port_by_name(
    ledger: &mut Ledger<'_>,
    written: &IngressServiceBackend,
    port: &str,
) -> Result<i32, (Reason, String)> {
    let namespace = Arc::clone(&ledger.head.key.name.namespace);
    let name = Name::new(namespace, written.name.as_str());
    let service = ledger.ground.snapshot.services.get(&name).cloned();
    ledger.services.insert(name.clone(), service.clone());
    let not_found = |why: String| (Reason::BackendNotFound, why);
    let service = service.ok_or_else(|| not_found(format!("Service {name} does not exist")))?;
    let mut ports = service.spec.ports.iter();
    let found = ports.find(|known| known.name.as_deref() == Some(port));
    let found =
        found.ok_or_else(|| not_found(format!("Service {name} has no port named {port}")))?;
    Ok(found.port)
}
