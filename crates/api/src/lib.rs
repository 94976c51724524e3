//! The words users write: Gateway API, Ingress, the core fields that are read, and Fairway's own kinds.
