//! Events: what happened to an object, for `kubectl describe`.
