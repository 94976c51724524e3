//! All that we ever say to a user about an object: a reason, which decides the condition, and a message
//! that names object, field and remedy. How verdicts become a `status` is [`crate::status`]'s matter.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use fairway_api::reference::{ParentReference, RouteGroupKind};
use fairway_model::ListenerId;
use serde::Serialize;

use crate::object::ObjectKey;

/// A condition that we write into a status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Condition {
    /// The object makes sense and is taken into account.
    Accepted,
    /// Every object that it names exists and may be named.
    ResolvedRefs,
    /// Part of it is left out.
    PartiallyInvalid,
    /// The listener stands in the way of another one, or another one in its.
    Conflicted,
    /// Another listener on the port answers for some of the same hosts with other TLS settings.
    OverlappingTlsConfig,
    /// Clients without a valid certificate are let in.
    InsecureFrontendValidationMode,
    /// The data plane has, or is about to have, what it asks for.
    Programmed,
    /// The installed CRDs are of a version that we know.
    SupportedVersion,
    /// The data plane has confirmed this generation. Ours.
    Live,
    /// All of an AddressPool can be used. Ours.
    Ready,
}

impl Condition {
    /// Every condition that we can write.
    pub const ALL: &'static [Self] = &[
        Self::Accepted,
        Self::ResolvedRefs,
        Self::PartiallyInvalid,
        Self::Conflicted,
        Self::OverlappingTlsConfig,
        Self::InsecureFrontendValidationMode,
        Self::Programmed,
        Self::SupportedVersion,
        Self::Live,
        Self::Ready,
    ];

    /// Gives the `type` as it is written in a status.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Accepted => "Accepted",
            Self::ResolvedRefs => "ResolvedRefs",
            Self::PartiallyInvalid => "PartiallyInvalid",
            Self::Conflicted => "Conflicted",
            Self::OverlappingTlsConfig => "OverlappingTLSConfig",
            Self::InsecureFrontendValidationMode => "InsecureFrontendValidationMode",
            Self::Programmed => "Programmed",
            Self::SupportedVersion => "SupportedVersion",
            Self::Live => "Live",
            Self::Ready => "Ready",
        }
    }
}

/// Whether a condition holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Holds {
    /// It does.
    True,
    /// It does not.
    False,
    /// Nobody knows yet.
    Unknown,
}

impl Holds {
    /// Gives the `status` as it is written in a condition.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::True => "True",
            Self::False => "False",
            Self::Unknown => "Unknown",
        }
    }
}

macro_rules! reasons {
    ($($(#[$doc:meta])* $variant:ident = $word:literal: $condition:ident $holds:ident;)*) => {
        /// Why a condition holds or does not. The reason decides the condition, so that nobody can
        /// write the pair wrongly.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Reason {
            $($(#[$doc])* $variant,)*
        }

        impl Reason {
            /// Every reason that we can write.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// Gives the word as it is written in a condition.
            #[must_use]
            pub const fn word(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)*
                }
            }

            /// Gives the condition that this reason speaks of, and whether it holds.
            #[must_use]
            pub const fn condition(self) -> (Condition, Holds) {
                match self {
                    $(Self::$variant => (Condition::$condition, Holds::$holds),)*
                }
            }
        }
    };
}

reasons! {
    // What all kinds have in common.
    /// Nothing is wrong with it.
    Accepted = "Accepted": Accepted True;
    /// A fault of ours while looking at this object; the others go on.
    InternalError = "InternalError": Accepted False;
    /// Every reference leads somewhere.
    ResolvedRefs = "ResolvedRefs": ResolvedRefs True;
    /// A reference into another namespace without a ReferenceGrant there.
    RefNotPermitted = "RefNotPermitted": ResolvedRefs False;
    /// A value that we do not know or cannot serve.
    UnsupportedValue = "UnsupportedValue": Accepted False;

    // Routes, for each parent.
    /// No listener of the parent lets this kind or this namespace in.
    NotAllowedByListeners = "NotAllowedByListeners": Accepted False;
    /// No hostname of the route is one of the listener's.
    NoMatchingListenerHostname = "NoMatchingListenerHostname": Accepted False;
    /// The parent, or the listener named by `sectionName` or `port`, does not exist.
    NoMatchingParent = "NoMatchingParent": Accepted False;
    /// Filters of which only one can act.
    IncompatibleFilters = "IncompatibleFilters": Accepted False;
    /// A route of the other kind (HTTPRoute, GRPCRoute) came first on this listener and hostname.
    RouteConflict = "HostnameConflict": Accepted False;
    /// A reference to a kind that is no backend.
    InvalidKind = "InvalidKind": ResolvedRefs False;
    /// The backend, or its port, does not exist.
    BackendNotFound = "BackendNotFound": ResolvedRefs False;
    /// The backend's `appProtocol` is none that this kind of route can speak.
    UnsupportedBackendProtocol = "UnsupportedProtocol": ResolvedRefs False;
    /// Some rules are dropped, the others are served.
    DroppedRule = "UnsupportedValue": PartiallyInvalid True;
    /// The data plane has confirmed this generation.
    Live = "Acknowledged": Live True;
    /// The data plane has not answered yet.
    LivePending = "Pending": Live Unknown;
    /// The data plane refuses it.
    Refused = "Refused": Live False;

    // GatewayClasses.
    /// The installed CRDs are of a version that we know.
    SupportedVersion = "SupportedVersion": SupportedVersion True;
    /// The installed CRDs are of another version than those we know.
    UnsupportedVersion = "UnsupportedVersion": SupportedVersion False;

    // Gateways and ListenerSets.
    /// There is no such class, and no other controller whose class it might become.
    UnknownClass = "GatewayClassNotFound": Accepted False;
    /// `parametersRef` names nothing that we can use.
    InvalidParameters = "InvalidParameters": Accepted False;
    /// An address of a type that we cannot serve.
    UnsupportedAddress = "UnsupportedAddress": Accepted False;
    /// Some listeners are invalid, at least one is served.
    SomeListenersNotValid = "ListenersNotValid": Accepted True;
    /// No listener is valid.
    ListenersNotValid = "ListenersNotValid": Accepted False;
    /// The Gateway does not let this ListenerSet in.
    NotAllowed = "NotAllowed": Accepted False;
    /// The Gateway does not exist or is not accepted.
    ParentNotAccepted = "ParentNotAccepted": Accepted False;
    /// It is served.
    Programmed = "Programmed": Programmed True;
    /// It is about to be served.
    ProgrammedPending = "Pending": Programmed False;
    /// Its proxies do not run, and why.
    NoResources = "NoResources": Programmed False;
    /// It is invalid and so not served.
    ProgrammedInvalid = "Invalid": Programmed False;
    /// No listener is valid, so nothing is served.
    ProgrammedListenersNotValid = "ListenersNotValid": Programmed False;
    /// The Gateway does not let this ListenerSet in.
    ProgrammedNotAllowed = "NotAllowed": Programmed False;
    /// The Gateway does not exist or is not served.
    ParentNotProgrammed = "ParentNotProgrammed": Programmed False;
    /// No address is left, or none is claimed yet.
    AddressNotAssigned = "AddressNotAssigned": Programmed False;
    /// An address that was asked for cannot be had.
    AddressNotUsable = "AddressNotUsable": Programmed False;
    /// The certificate shown to backends is missing or broken.
    InvalidClientCertificateRef = "InvalidClientCertificateRef": ResolvedRefs False;
    /// A listener has references that lead nowhere.
    ListenersNotResolved = "ListenersNotResolved": ResolvedRefs False;
    /// Clients without a valid certificate are let in.
    ConfigurationChanged = "ConfigurationChanged": InsecureFrontendValidationMode True;

    // Listeners.
    /// A protocol that we do not know.
    UnsupportedProtocol = "UnsupportedProtocol": Accepted False;
    /// None of the authorities that should check clients (or backends) can be used.
    NoValidCaCertificate = "NoValidCACertificate": Accepted False;
    /// A certificate that is missing or broken.
    InvalidCertificateRef = "InvalidCertificateRef": ResolvedRefs False;
    /// A kind of route that this protocol cannot carry.
    InvalidRouteKinds = "InvalidRouteKinds": ResolvedRefs False;
    /// A bundle of authorities that is missing or broken.
    InvalidCaCertificateRef = "InvalidCACertificateRef": ResolvedRefs False;
    /// A reference to a kind that holds no authorities.
    InvalidCaCertificateKind = "InvalidCACertificateKind": ResolvedRefs False;
    /// Another listener has the same port and hostname.
    HostnameConflict = "HostnameConflict": Conflicted True;
    /// Another listener speaks another protocol on the same port.
    ProtocolConflict = "ProtocolConflict": Conflicted True;
    /// As [`Reason::HostnameConflict`], said in `Accepted`.
    AcceptedHostnameConflict = "HostnameConflict": Accepted False;
    /// As [`Reason::ProtocolConflict`], said in `Accepted`.
    AcceptedProtocolConflict = "ProtocolConflict": Accepted False;
    /// As [`Reason::HostnameConflict`], said in `Programmed`.
    ProgrammedHostnameConflict = "HostnameConflict": Programmed False;
    /// As [`Reason::ProtocolConflict`], said in `Programmed`.
    ProgrammedProtocolConflict = "ProtocolConflict": Programmed False;
    /// No other listener is in its way.
    NoConflicts = "NoConflicts": Conflicted False;
    /// Another listener on the port answers for some of the same hosts with other TLS settings.
    OverlappingHostnames = "OverlappingHostnames": OverlappingTlsConfig True;
    /// The data plane cannot listen there.
    PortUnavailable = "PortUnavailable": Programmed False;

    // AddressPools.
    /// All of it can be used.
    PoolReady = "Ready": Ready True;
    /// A range that is none; the others are used.
    InvalidRange = "InvalidRange": Ready False;
    /// A range with addresses of another one, which keeps them.
    OverlappingRange = "OverlappingRange": Ready False;
    /// A selector with an operator that is none, which selects nothing.
    InvalidSelector = "InvalidSelector": Ready False;

    // Policies.
    /// An older policy holds for the same target.
    PolicyConflicted = "Conflicted": Accepted False;
    /// The target does not exist.
    TargetNotFound = "TargetNotFound": Accepted False;
    /// The policy contradicts itself.
    PolicyInvalid = "Invalid": Accepted False;
}

/// A reason with the words for the user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Why; it decides the condition.
    pub reason: Reason,
    /// What is so, where, and what would change it. Empty when there is nothing to add.
    pub message: Arc<str>,
}

impl Verdict {
    /// Says why, with words.
    #[must_use]
    pub fn new(reason: Reason, message: impl Into<Arc<str>>) -> Self {
        Self { reason, message: message.into() }
    }
}

impl fmt::Display for Verdict {
    /// `ResolvedRefs: False BackendNotFound (Service shop/cart does not exist)`, as golden cases show it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (condition, holds) = self.reason.condition();
        write!(f, "{}: {} {}", condition.name(), holds.name(), self.reason.word())?;
        if self.message.is_empty() { Ok(()) } else { write!(f, " ({})", self.message) }
    }
}

/// What is said about one subject: at most one verdict a condition, in the order of [`Condition`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Conditions(Vec<Verdict>);

impl Conditions {
    /// Says it, unless something was said of the same condition before: the first fault is shown.
    pub fn say(&mut self, reason: Reason, message: impl Into<Arc<str>>) {
        let condition = reason.condition().0;
        if let Err(place) = self.0.binary_search_by_key(&condition, |v| v.reason.condition().0) {
            self.0.insert(place, Verdict::new(reason, message));
        }
    }

    /// Says it, whatever was said of the same condition before.
    pub fn replace(&mut self, reason: Reason, message: impl Into<Arc<str>>) {
        let condition = reason.condition().0;
        self.0.retain(|v| v.reason.condition().0 != condition);
        self.say(reason, message);
    }

    /// Gives what was said of a condition.
    #[must_use]
    pub fn get(&self, condition: Condition) -> Option<&Verdict> {
        self.0.iter().find(|v| v.reason.condition().0 == condition)
    }

    /// Says whether the condition is known to hold.
    #[must_use]
    pub fn holds(&self, condition: Condition) -> bool {
        self.get(condition).is_some_and(|v| v.reason.condition().1 == Holds::True)
    }

    /// Walks over all of it.
    pub fn iter(&self) -> std::slice::Iter<'_, Verdict> {
        self.0.iter()
    }
}

/// What is said about an object for one of its parents (routes) or ancestors (policies).
#[derive(Clone, Debug, PartialEq)]
pub struct ParentVerdicts {
    /// The parent as the user wrote it.
    pub parent: ParentReference,
    /// What is said.
    pub conditions: Conditions,
}

/// What is said about one listener of a Gateway or ListenerSet.
#[derive(Clone, Debug, PartialEq)]
pub struct ListenerVerdicts {
    /// Its name in its object.
    pub name: Arc<str>,
    /// Its entry in the model, unless it is invalid.
    pub id: Option<ListenerId>,
    /// Kinds of route that it takes.
    pub supported_kinds: Vec<RouteGroupKind>,
    /// How many routes hang on it.
    pub attached_routes: i32,
    /// What is said.
    pub conditions: Conditions,
}

/// What is said about one object.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ObjectVerdicts {
    /// Generation of the object that was looked at.
    pub generation: i64,
    /// What is said about the object as a whole.
    pub conditions: Conditions,
    /// What is said for each parent that is ours, in the order of the spec.
    pub parents: Vec<ParentVerdicts>,
    /// What is said about each listener, in the order of the spec.
    pub listeners: Vec<ListenerVerdicts>,
    /// Other facts that its status shows.
    pub facts: Facts,
}

/// Facts that a status shows besides conditions.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Facts {
    /// Addresses of a Gateway, or those that an Ingress is reachable at.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<std::net::IpAddr>,
    /// How many accepted ListenerSets a Gateway has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attached_listener_sets: Option<i32>,
    /// Features that a GatewayClass offers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub supported_features: Vec<&'static str>,
    /// How much of an AddressPool is left.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pool: Option<PoolFigures>,
}

/// How many addresses an AddressPool has; no more than 2^63 - 1 are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct PoolFigures {
    /// All of them.
    pub total: i64,
    /// Those that are somebody's.
    pub assigned: i64,
    /// Those that are left.
    pub available: i64,
}

/// All that is said about all objects that are ours. Shared: what is said about an unchanged object is
/// the same `Arc` in the next plan.
pub type Verdicts = BTreeMap<ObjectKey, Arc<ObjectVerdicts>>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_fault_is_shown_in_order() {
        let mut said = Conditions::default();
        said.say(Reason::BackendNotFound, "Service a/b does not exist");
        said.say(Reason::RefNotPermitted, "later");
        said.say(Reason::Accepted, "");
        let shown: Vec<String> = said.iter().map(ToString::to_string).collect();
        assert_eq!(
            shown,
            [
                "Accepted: True Accepted",
                "ResolvedRefs: False BackendNotFound (Service a/b does not exist)"
            ]
        );
        said.replace(Reason::InternalError, "");
        assert!(!said.holds(Condition::Accepted));
    }
}
