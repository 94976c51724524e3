//! The Proxy Operator: the objects that run a Gateway's proxies.
