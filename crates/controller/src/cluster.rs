//! The loop on a cluster: watches become a snapshot, a plan, updates of the proxies, and statuses.
