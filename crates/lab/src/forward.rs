//! The Service forwarder: addresses of Services lead to ready endpoints, by nftables.
