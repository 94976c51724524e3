//! What rules do to requests and responses: one file a filter, named as in the model. Pure: heads in,
//! heads or answers out. In which order they run is `http`'s matter.

pub(crate) mod cors;
pub(crate) mod headers;
pub(crate) mod ip_access;
pub(crate) mod mirror;
pub(crate) mod redirect;
pub(crate) mod rewrite;
