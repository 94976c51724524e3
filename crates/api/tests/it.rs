//! What holds the types to the CRDs: upstream's and ours.

#[path = "it/coverage.rs"]
mod coverage;
#[path = "it/crds.rs"]
mod crds;
