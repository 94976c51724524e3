//! Features in Gateway API's own names, as `GatewayClass.status.supportedFeatures` lists them. Which names there are
//! depends on the release whose CRDs are installed; what we do does not.

/// Releases that have a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Named {
    Always,
    /// Up to v1.6.
    Before17,
    /// From v1.7 on.
    Since17,
}

use Named::{Always, Before17, Since17};

/// Sorted, as the field's description asks.
const FEATURES: &[(&str, Named)] = &[
    ("BackendTLSPolicy", Always),
    ("BackendTLSPolicySANValidation", Always),
    ("GRPCRoute", Always),
    ("GRPCRouteNamedRouteRule", Always),
    ("GRPCRouteRequestHeaderModifier", Since17),
    ("Gateway", Always),
    ("GatewayAddressEmpty", Always),
    ("GatewayBackendClientCertificate", Always),
    ("GatewayFrontendClientCertificateValidation", Always),
    ("GatewayFrontendClientCertificateValidationInsecureFallback", Always),
    ("GatewayHTTPListenerIsolation", Always),
    ("GatewayHTTPSListenerDetectMisdirectedRequests", Always),
    ("GatewayInfrastructure", Always),
    ("GatewayPort8080", Always),
    ("GatewayRouteHostnameIntersectionPrecedence", Since17),
    ("GatewayStaticAddresses", Always),
    ("HTTPRoute", Always),
    ("HTTPRoute303RedirectStatusCode", Always),
    ("HTTPRoute307RedirectStatusCode", Always),
    ("HTTPRoute308RedirectStatusCode", Always),
    ("HTTPRouteBackendProtocolH2C", Always),
    ("HTTPRouteBackendProtocolWebSocket", Always),
    ("HTTPRouteBackendRequestHeaderModification", Always),
    ("HTTPRouteBackendTimeout", Always),
    ("HTTPRouteBackendURLRewrite", Since17),
    ("HTTPRouteCORS", Always),
    ("HTTPRouteDestinationPortMatching", Always),
    ("HTTPRouteHostRewrite", Always),
    ("HTTPRouteMethodMatching", Always),
    ("HTTPRouteNamedRouteRule", Always),
    ("HTTPRouteParentRefPort", Always),
    ("HTTPRoutePathRedirect", Always),
    ("HTTPRoutePathRewrite", Always),
    ("HTTPRoutePortRedirect", Always),
    ("HTTPRouteQueryParamMatching", Always),
    ("HTTPRouteRequestMirror", Always),
    ("HTTPRouteRequestMultipleMirrors", Always),
    ("HTTPRouteRequestPercentageMirror", Always),
    ("HTTPRouteRequestTimeout", Always),
    ("HTTPRouteResponseHeaderModification", Always),
    ("HTTPRouteRetry", Before17),
    ("HTTPRouteRetryBackendTimeout", Before17),
    ("HTTPRouteRetryCodes", Since17),
    ("HTTPRouteRetryConnectionError", Always),
    ("HTTPRouteSchemeRedirect", Always),
    ("ListenerSet", Always),
    ("ReferenceGrant", Always),
    ("TCPRoute", Always),
    ("TLSRoute", Always),
    ("TLSRouteModeMixed", Always),
    ("TLSRouteModeTerminate", Always),
    ("UDPRoute", Always),
];

/// Gives the features of a release (`v1.6.3`); those of the newest that we know when none is known.
pub(super) fn supported(bundle_version: Option<&str>) -> Vec<&'static str> {
    let before = bundle_version.is_some_and(is_before_17);
    let is_named = |named: Named| match named {
        Always => true,
        Before17 => before,
        Since17 => !before,
    };
    FEATURES.iter().filter(|(_, named)| is_named(*named)).map(|(name, _)| *name).collect()
}

/// Builds between releases, which call themselves v0.0.0, are newer than any.
fn is_before_17(version: &str) -> bool {
    let minor = version.strip_prefix("v1.").and_then(|rest| rest.split('.').next());
    minor.and_then(|minor| minor.parse::<u32>().ok()).is_some_and(|minor| minor < 7)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_release_has_its_own_names_sorted() {
        let (old, new) = (supported(Some("v1.6.3")), supported(Some("v1.7.0")));
        assert!(old.is_sorted() && new.is_sorted());
        assert!(old.contains(&"HTTPRouteRetry") && !old.contains(&"HTTPRouteRetryCodes"));
        assert!(new.contains(&"HTTPRouteRetryCodes") && !new.contains(&"HTTPRouteRetry"));
        assert_eq!(supported(None), new);
        for (version, names) in [("v1.5.1", &old), ("v1.10.0", &new), ("v0.0.0-dev", &new)] {
            assert_eq!(&supported(Some(version)), names, "{version}");
        }
    }
}
