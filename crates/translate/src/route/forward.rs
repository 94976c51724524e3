//! Where a rule's traffic goes: its backends with their shares and filters.

use fairway_api::reference::BackendRef;
use fairway_model::route::{BackendTarget, Failure, WeightedBackend, WeightedTarget};

use super::filters::{self, Site};
use super::ledger::Ledger;
use crate::backend::{Place, Speaks, target};
use crate::verdict::Reason;

/// Reads the backends of a rule over requests, or says why it has none to go to.
///
/// Per the HTTPRoute specification the share of a backend that is invalid fails with 500, and so does
/// every request of a rule without backends or whose weights are all zero (N20).
pub(crate) fn backends(
    ledger: &mut Ledger<'_>,
    site: Site<'_>,
    written: &[BackendRef],
) -> Result<Vec<WeightedBackend>, Failure> {
    let mut read = Vec::with_capacity(written.len());
    for (index, backend) in written.iter().enumerate() {
        let field = format!("backendRefs[{index}]");
        let place = Place { rule: site.rule, field: &field };
        let target = target(ledger, place, &backend.backend, site.speaks);
        let field = format!("{field}.filters");
        let own = Site { field: &field, of_backend: true, ..site };
        let filters = filters::read(ledger, own, &backend.filters);
        read.push(WeightedBackend {
            weight: weight(ledger, place, backend),
            target,
            request_headers: filters.request_headers,
            response_headers: filters.response_headers,
            rewrite: filters.rewrite,
            mirrors: filters.mirrors,
        });
    }
    let failure = |reason: &str| Failure { status: 500, reason: reason.into() };
    if read.is_empty() {
        return Err(failure("the rule has no backendRefs"));
    }
    if read.iter().all(|backend| backend.weight == 0) {
        return Err(failure("all weights of the rule are zero"));
    }
    let some_work = read.iter().any(|b| matches!(b.target, BackendTarget::Cluster(_)));
    if !some_work {
        let first = read.into_iter().find_map(|backend| match backend.target {
            BackendTarget::Fail(failure) => Some(failure),
            BackendTarget::Cluster(_) => None,
        });
        return Err(first.unwrap_or_else(|| failure("no backend can be used")));
    }
    Ok(read)
}

/// Reads the backends of a rule over connections.
pub(crate) fn targets(
    ledger: &mut Ledger<'_>,
    rule: usize,
    written: &[BackendRef],
    speaks: Speaks,
) -> Vec<WeightedTarget> {
    let mut read = Vec::with_capacity(written.len());
    for (index, backend) in written.iter().enumerate() {
        let field = format!("backendRefs[{index}]");
        let place = Place { rule, field: &field };
        let target = target(ledger, place, &backend.backend, speaks);
        read.push(WeightedTarget { weight: weight(ledger, place, backend), target });
    }
    read
}

fn weight(ledger: &mut Ledger<'_>, place: Place<'_>, backend: &BackendRef) -> u32 {
    let weight = backend.weight.unwrap_or(1);
    u32::try_from(weight).unwrap_or_else(|_negative| {
        let why = format!("{}: weight {weight} is negative", place.field);
        ledger.invalid(place.rule, Reason::UnsupportedValue, &why);
        0
    })
}
