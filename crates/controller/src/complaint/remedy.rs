//! What to do about each reason, where its message alone does not say it.

use fairway_translate::verdict::Reason;

/// Gives the remedy; none where the message has it, or nothing is wrong.
pub(super) fn remedy(reason: Reason) -> Option<&'static str> {
    Some(match reason {
        Reason::RefNotPermitted => "add a ReferenceGrant in the namespace that is referred to",
        Reason::NotAllowedByListeners => {
            "widen the listener's allowedRoutes, or attach to another listener"
        }
        Reason::NoMatchingListenerHostname => {
            "let a hostname of the route and the listener's hostname meet"
        }
        Reason::IncompatibleFilters => "keep one of the filters",
        Reason::RouteConflict
        | Reason::HostnameConflict
        | Reason::AcceptedHostnameConflict
        | Reason::ProgrammedHostnameConflict => "use another hostname, or remove the older one",
        Reason::ProtocolConflict
        | Reason::AcceptedProtocolConflict
        | Reason::ProgrammedProtocolConflict => "use another port, or the same protocol",
        Reason::InvalidKind | Reason::InvalidCaCertificateKind | Reason::InvalidRouteKinds => {
            "name a kind that is supported there"
        }
        Reason::BackendNotFound => "create it, or correct the reference",
        Reason::InvalidCertificateRef => {
            "create a Secret of type kubernetes.io/tls, or try it with --generate-certificates"
        }
        Reason::InvalidClientCertificateRef
        | Reason::InvalidCaCertificateRef
        | Reason::NoValidCaCertificate => "create or mend what is referred to",
        Reason::UnknownClass => "name a GatewayClass that exists",
        Reason::AddressNotUsable | Reason::AddressNotAssigned => {
            "ask for another address, or widen the pool"
        }
        Reason::InvalidRange | Reason::InvalidSelector => "correct it",
        Reason::OverlappingRange => "take the addresses out of one of the two pools",
        Reason::PolicyConflicted => "remove one of the policies",
        Reason::TargetNotFound => "create the target, or correct targetRefs",
        Reason::OverlappingHostnames => "give both listeners the same TLS settings, or other hosts",
        Reason::InternalError => "report this as a fault of Fairway",
        Reason::Accepted
        | Reason::ResolvedRefs
        | Reason::UnsupportedValue
        | Reason::NoMatchingParent
        | Reason::UnsupportedBackendProtocol
        | Reason::DroppedRule
        | Reason::PoolReady
        | Reason::Live
        | Reason::LivePending
        | Reason::Refused
        | Reason::SupportedVersion
        | Reason::UnsupportedVersion
        | Reason::InvalidParameters
        | Reason::UnsupportedAddress
        | Reason::SomeListenersNotValid
        | Reason::ListenersNotValid
        | Reason::NotAllowed
        | Reason::ParentNotAccepted
        | Reason::Programmed
        | Reason::ProgrammedPending
        | Reason::NoResources
        | Reason::ProgrammedInvalid
        | Reason::ProgrammedListenersNotValid
        | Reason::ProgrammedNotAllowed
        | Reason::ParentNotProgrammed
        | Reason::ListenersNotResolved
        | Reason::ConfigurationChanged
        | Reason::UnsupportedProtocol
        | Reason::NoConflicts
        | Reason::PortUnavailable
        | Reason::PolicyInvalid => return None,
    })
}
