//! Which endpoint takes the next request.

use fairway_api::own::plugin::{self, LoadBalancingAlgorithm};
use fairway_model::policy::{HashSource, LoadBalancing};

use crate::route::fields::header_name;

/// Reads the block.
pub(crate) fn read(written: &plugin::LoadBalancing) -> Result<LoadBalancing, String> {
    let algorithm = written.algorithm.as_ref();
    match algorithm.unwrap_or(&LoadBalancingAlgorithm::RoundRobin) {
        LoadBalancingAlgorithm::RoundRobin => Ok(LoadBalancing::RoundRobin),
        LoadBalancingAlgorithm::LeastRequest => Ok(LoadBalancing::LeastRequest),
        LoadBalancingAlgorithm::Random => Ok(LoadBalancing::Random),
        LoadBalancingAlgorithm::ConsistentHash => {
            let written = written.consistent_hash.as_ref();
            let written = written.ok_or("loadBalancing.consistentHash is missing")?;
            source(written)
                .map(LoadBalancing::ConsistentHash)
                .map_err(|why| format!("loadBalancing.consistentHash: {why}"))
        }
        LoadBalancingAlgorithm::Other(word) => {
            Err(format!("loadBalancing.algorithm: {word} is not known"))
        }
    }
}

fn source(written: &plugin::ConsistentHash) -> Result<HashSource, String> {
    let name = || written.name.as_deref().filter(|n| !n.is_empty()).ok_or("name is missing");
    match &written.source {
        plugin::HashSource::Header => Ok(HashSource::Header(header_name(name()?)?)),
        plugin::HashSource::Cookie => Ok(HashSource::Cookie(name()?.into())),
        plugin::HashSource::ClientIp => Ok(HashSource::ClientIp),
        plugin::HashSource::Path => Ok(HashSource::Path),
        plugin::HashSource::QueryParam => Ok(HashSource::QueryParam(name()?.into())),
        plugin::HashSource::Other(word) => Err(format!("source {word} is not known")),
    }
}
