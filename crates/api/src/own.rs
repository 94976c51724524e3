//! Fairway's own kinds, group `fairway.dev/v1alpha1`. Their CRDs are made in [`crate::crd`]: what they
//! share with Gateway API takes its schema from there, the rest from the types here.

pub mod address;
pub mod gateway;
pub mod plugin;
pub mod proxy;
pub mod traffic_route;

pub use address::{AddressClaim, AddressPool};
pub use gateway::{FairwayGateway, GatewayProfile};
pub use traffic_route::TrafficRoute;
