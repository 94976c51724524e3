//! The words users write: Gateway API, Ingress, the core fields that are read, and Fairway's own kinds.
//!
//! Hand-shaped types with one struct for one thing: ONE [`reference::ParentReference`], ONE
//! [`reference::BackendRef`], one filter set, one status shape. What the fields *mean* is the matter of
//! `translate`. Unknown fields are passed over and unknown enum values kept ([`open_enum`]), so that one
//! odd object never stops the reading of its neighbours.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

#[macro_use]
mod open_enum;

// Parts that many kinds share.
pub mod duration;
pub mod meta;
pub mod reference;
pub mod status;

// Kubernetes' own.
pub mod core;
pub mod ingress;

// Gateway API.
pub mod backend;
pub mod gateway;
pub mod grant;
pub mod mesh;
pub mod policy;
pub mod route;

// Fairway's.
pub mod own;

// All of them.
pub mod crd;
pub mod kind;
pub mod vendor;

pub use kind::{AnyObject, Kind};
pub use meta::{Object, ObjectMeta};
