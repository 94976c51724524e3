//! Placeholder.

/// What is known of an endpoint's health; kept in `generation::EndpointState`.
#[derive(Default)]
pub(crate) struct Health;
