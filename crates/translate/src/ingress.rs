//! Ingress: hosts, paths, TLS, default backend and class, brought to the same heads and rules as routes.

use std::sync::Arc;

use fairway_api::ingress::Ingress;

use crate::ground::Ground;
use crate::object::ObjectKey;
use crate::route::{RouteOutcome, empty};

/// Lowers an Ingress.
pub(crate) fn lower(_ground: &Ground<'_>, key: ObjectKey, ingress: &Arc<Ingress>) -> RouteOutcome {
    empty(key, ingress)
}
