//! Where addresses come from (AddressPool), and who has which one (AddressClaim). How they are announced stands
//! elsewhere.
//!
//! The doc comments of the fields are the help text of the CRDs.

use std::net::IpAddr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::meta::{LabelSelector, Object};
use crate::status::Condition;

/// An AddressPool: addresses that may be given, and to whom.
pub type AddressPool = Object<AddressPoolSpec, AddressPoolStatus>;
/// An AddressClaim: one address is somebody's. It is named by the address ([`claim_name`]), so that creating it
/// is the lock.
pub type AddressClaim = Object<AddressClaimSpec, ()>;

/// Addresses that may be given, and to whom.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AddressPoolSpec {
    /// `10.0.0.0/24`, `10.0.0.10-10.0.0.20` or `10.0.0.7`; IPv4 or IPv6.
    pub ranges: Vec<String>,
    /// Whether those get an address who ask for none in particular; true when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auto_assign: Option<bool>,
    /// Of several pools the one with the highest is drawn from first; 0 when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<i32>,
    /// Namespaces that may use it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub namespaces: Vec<String>,
    /// Labels of further namespaces that may use it. Without this and without `namespaces`, all may.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace_selector: Option<LabelSelector>,
}

/// How a pool is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AddressPoolStatus {
    /// How many addresses it has; at most 2^63 - 1 are counted.
    pub total: i64,
    /// How many of them are somebody's.
    pub assigned: i64,
    /// How many are left.
    pub available: i64,
    /// What holds of it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
}

/// One address is somebody's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AddressClaimSpec {
    /// The address.
    #[schemars(length(max = 45), extend("x-kubernetes-validations" = [{
        "rule": "isIP(self)",
        "message": "write an address, such as 10.0.0.7 or fd00::7",
    }]))]
    pub address: String,
    /// The AddressPool that it was drawn from; absent when it was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", length(min = 1, max = 253))]
    pub pool: Option<String>,
    /// Whose it is.
    pub owner: ClaimOwner,
}

/// Whose an address is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct ClaimOwner {
    /// Its API group; empty for the core group.
    #[serde(default)]
    #[schemars(length(max = 253))]
    pub group: String,
    /// Its kind.
    #[schemars(length(min = 1, max = 63))]
    pub kind: String,
    /// Its namespace.
    #[schemars(length(min = 1, max = 63))]
    pub namespace: String,
    /// Its name.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// Its uid: another object of the same name does not inherit the address.
    #[schemars(length(min = 1, max = 253))]
    pub uid: String,
}

/// Gives the name of the claim of an address. An IPv6 address is written in full, with dashes for colons
/// (`fd00-0000-0000-0000-0000-0000-0000-0007`), since no name begins or ends with a dash.
#[must_use]
pub fn claim_name(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => address.segments().map(|part| format!("{part:04x}")).join("-"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claims_are_named_by_their_address() {
        let name = |address: &str| claim_name(address.parse().expect("an address"));
        assert_eq!(name("10.0.0.7"), "10.0.0.7");
        assert_eq!(name("fd00::7"), "fd00-0000-0000-0000-0000-0000-0000-0007");
        assert_eq!(name("::"), "0000-0000-0000-0000-0000-0000-0000-0000");
    }
}
