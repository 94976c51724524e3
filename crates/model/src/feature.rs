//! One name for every feature that a model can use: golden cases, docs and each proxy's table of
//! support speak of features by these names. Which ones a model uses is told by [`features`]; a
//! field or variant of the model that nobody has placed here does not compile.

mod collect;

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

pub use collect::{UsesFeatures, features};

macro_rules! features {
    ($($variant:ident $name:literal $description:literal;)*) => {
        /// Something that a model can ask of a data plane.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum Feature {
            $(#[doc = $description] #[serde(rename = $name)] $variant,)*
        }

        impl Feature {
            /// All of them, in the order of the model.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// Its name in files and messages.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }

            /// What it is, in one line.
            #[must_use]
            pub const fn description(self) -> &'static str {
                match self {
                    $(Self::$variant => $description,)*
                }
            }
        }
    };
}

features! {
    // Gateways and listeners.
    GatewayClientCertificate "gateway-client-certificate" "The gateway shows backends a certificate of its own.";
    HttpListener "http-listener" "A listener of HTTP in clear text.";
    HttpsListener "https-listener" "A listener of HTTP inside TLS that ends there.";
    TlsTerminateListener "tls-terminate-listener" "A listener of bytes inside TLS that ends there.";
    TlsPassthroughListener "tls-passthrough-listener" "A listener of TLS that the backend ends.";
    TcpListener "tcp-listener" "A listener of bytes.";
    UdpListener "udp-listener" "A listener of datagrams.";
    ListenerHostname "listener-hostname" "A listener that answers for some hosts only.";
    SeveralCertificates "several-certificates" "A listener that chooses between certificates by server name.";
    ClientCertificateRequired "client-certificate-required" "Clients without a valid certificate are refused.";
    ClientCertificateInsecureFallback "client-certificate-insecure-fallback" "Clients are asked for a certificate and let in without a valid one.";

    // Hosts and matches.
    HostExact "host-exact" "A rule for one host.";
    HostWildcard "host-wildcard" "A rule for all hosts below a name, at any depth.";
    HostSingleLabelWildcard "host-single-label-wildcard" "A rule for all hosts one label below a name.";
    PathExact "path-exact" "A path, every byte of it.";
    PathPrefix "path-prefix" "A path and all below it, by whole segments.";
    PathStringPrefix "path-string-prefix" "All paths that begin with a text.";
    PathRegex "path-regex" "All paths that a regular expression matches as a whole.";
    PathExactIgnoreCase "path-exact-ignore-case" "A path, whatever the case of its letters.";
    PathPrefixIgnoreCase "path-prefix-ignore-case" "A path and all below it, whatever the case of its letters.";
    MethodMatch "method-match" "Some request methods only.";
    HeaderExact "header-exact" "A header field of one value.";
    HeaderPrefix "header-prefix" "A header field whose value begins with a text.";
    HeaderSuffix "header-suffix" "A header field whose value ends in a text.";
    HeaderContains "header-contains" "A header field whose value holds a text.";
    HeaderRegex "header-regex" "A header field whose value a regular expression matches as a whole.";
    HeaderPresent "header-present" "A header field of any value.";
    HeaderNegate "header-negate" "A header field that must not be so.";
    QueryExact "query-exact" "A query parameter of one value.";
    QueryPrefix "query-prefix" "A query parameter whose value begins with a text.";
    QuerySuffix "query-suffix" "A query parameter whose value ends in a text.";
    QueryContains "query-contains" "A query parameter whose value holds a text.";
    QueryRegex "query-regex" "A query parameter whose value a regular expression matches as a whole.";
    QueryPresent "query-present" "A query parameter of any value.";
    QueryNegate "query-negate" "A query parameter that must not be so.";
    CookieExact "cookie-exact" "A cookie of one value.";
    CookiePrefix "cookie-prefix" "A cookie whose value begins with a text.";
    CookieSuffix "cookie-suffix" "A cookie whose value ends in a text.";
    CookieContains "cookie-contains" "A cookie whose value holds a text.";
    CookieRegex "cookie-regex" "A cookie whose value a regular expression matches as a whole.";
    CookiePresent "cookie-present" "A cookie of any value.";
    CookieNegate "cookie-negate" "A cookie that must not be so.";
    ClientMatch "client-match" "Clients of some networks only.";

    // Rules.
    GrpcDialect "grpc-dialect" "Errors of our own are answered as gRPC statuses.";
    IpAllow "ip-allow" "Only clients of some networks may call.";
    IpDeny "ip-deny" "Clients of some networks may not call.";
    RateLimitByClientIp "rate-limit-by-client-ip" "So many requests from one address.";
    RateLimitByHeader "rate-limit-by-header" "So many requests with one value of a header.";
    RateLimitConstant "rate-limit-constant" "So many requests in all.";
    CorsAnyOrigin "cors-any-origin" "Pages of every origin may call.";
    CorsExactOrigin "cors-exact-origin" "Pages of one origin may call.";
    CorsWildcardOrigin "cors-wildcard-origin" "Pages of all origins below a name may call.";
    CorsCredentials "cors-credentials" "Pages may call with cookies and the like.";
    CorsMethods "cors-methods" "Pages may call with these methods.";
    CorsHeaders "cors-headers" "Pages may send these headers.";
    CorsExposeHeaders "cors-expose-headers" "Pages may read these headers of the response.";
    ResponseHeaderSet "response-header-set" "A header of the response is replaced.";
    ResponseHeaderAdd "response-header-add" "A header is added to the response.";
    ResponseHeaderRemove "response-header-remove" "A header of the response is taken away.";

    // Actions without a backend.
    Redirect "redirect" "The client is sent elsewhere.";
    RedirectScheme "redirect-scheme" "The client is sent to another scheme.";
    RedirectHostname "redirect-hostname" "The client is sent to another host.";
    RedirectPort "redirect-port" "The client is sent to another port.";
    RedirectReplaceFullPath "redirect-replace-full-path" "The client is sent to one path.";
    RedirectReplacePrefix "redirect-replace-prefix" "The client is sent to a path with another prefix.";
    DirectResponse "direct-response" "The data plane answers by itself.";
    DirectResponseBody "direct-response-body" "The data plane answers by itself, with a body.";
    FailClosed "fail-closed" "What cannot be served as written answers an error.";

    // Forwarding.
    Weights "weights" "Traffic is shared by weight between several backends.";
    RequestHeaderSet "request-header-set" "A header of the request is replaced.";
    RequestHeaderAdd "request-header-add" "A header is added to the request.";
    RequestHeaderRemove "request-header-remove" "A header of the request is taken away.";
    RewriteHostname "rewrite-hostname" "The backend sees another host.";
    RewriteReplaceFullPath "rewrite-replace-full-path" "The backend sees one path.";
    RewriteReplacePrefix "rewrite-replace-prefix" "The backend sees a path with another prefix.";
    Mirror "mirror" "Requests are copied to another backend.";
    MirrorFraction "mirror-fraction" "Some of the requests are copied to another backend.";
    BackendRequestHeaders "backend-request-headers" "One of several backends gets changed headers.";
    BackendResponseHeaders "backend-response-headers" "The headers of one of several backends' responses are changed.";
    BackendRewrite "backend-rewrite" "One of several backends sees another host or path.";
    BackendMirror "backend-mirror" "Requests to one of several backends are copied.";
    TimeoutRequest "timeout-request" "A whole exchange may take so long.";
    TimeoutBackendRequest "timeout-backend-request" "One attempt at a backend may take so long.";
    TimeoutConnect "timeout-connect" "A connection to a backend may take so long to stand.";
    TimeoutIdle "timeout-idle" "An exchange may be silent for so long.";
    Retry "retry" "What failed is tried again.";
    RetryCodes "retry-codes" "Some statuses call for another try.";
    RetryOnConnectFailure "retry-on-connect-failure" "A connection that does not come about calls for another try.";
    RetryOnReset "retry-on-reset" "A connection that breaks calls for another try.";
    RetryOnTimeout "retry-on-timeout" "An attempt that takes too long calls for another try.";
    RetryOnRefusedStream "retry-on-refused-stream" "A refused HTTP/2 stream calls for another try.";
    RetryBackoff "retry-backoff" "There is a wait between two tries.";
    RetryPerTryTimeout "retry-per-try-timeout" "One try may take so long.";
    RetryNonIdempotent "retry-non-idempotent" "Methods such as POST are tried again too.";
    SessionCookie "session-cookie" "Clients stay with an endpoint by a cookie.";
    SessionCookiePermanent "session-cookie-permanent" "The session's cookie outlives the browser's session.";
    SessionHeader "session-header" "Clients stay with an endpoint by a header.";
    SessionAbsoluteTimeout "session-absolute-timeout" "Sessions end after so long.";
    SessionIdleTimeout "session-idle-timeout" "Sessions end after so long without a request.";
    RoundRobin "round-robin" "Each endpoint in turn.";
    LeastRequest "least-request" "The less busy endpoint of two.";
    Random "random" "Any endpoint.";
    HashByHeader "hash-by-header" "One endpoint for one value of a header.";
    HashByCookie "hash-by-cookie" "One endpoint for one value of a cookie.";
    HashByClientIp "hash-by-client-ip" "One endpoint for one client address.";
    HashByPath "hash-by-path" "One endpoint for one path.";
    HashByQueryParam "hash-by-query-param" "One endpoint for one value of a query parameter.";
    PassiveHealthConsecutive5xx "passive-health-consecutive-5xx" "An endpoint rests after so many server errors in a row.";
    PassiveHealthConsecutiveGatewayErrors "passive-health-consecutive-gateway-errors" "An endpoint rests after so many gateway errors in a row.";

    // Backends.
    BackendH2c "backend-h2c" "A backend of HTTP/2 in clear text.";
    BackendTls "backend-tls" "A backend inside TLS, whose certificate is checked.";
    BackendTlsSystemAuthorities "backend-tls-system-authorities" "A backend whose certificate the system's authorities signed.";
    BackendTlsBundles "backend-tls-bundles" "A backend whose certificate given authorities signed.";
    BackendTlsSanDns "backend-tls-san-dns" "A backend known by a DNS name other than the one it is called by.";
    BackendTlsSanUri "backend-tls-san-uri" "A backend known by a URI.";
    DrainingEndpoints "draining-endpoints" "Endpoints that are going away and still serve.";
}

impl fmt::Display for Feature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Looks a feature up by its name.
impl std::str::FromStr for Feature {
    type Err = UnknownFeature;

    fn from_str(name: &str) -> Result<Self, UnknownFeature> {
        let found = Self::ALL.iter().find(|feature| feature.name() == name);
        found.copied().ok_or_else(|| UnknownFeature(name.to_owned()))
    }
}

/// A name that no feature has.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not the name of a feature")]
pub struct UnknownFeature(pub String);

/// A set of features.
pub type Features = BTreeSet<Feature>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_the_variants_in_kebab_case() {
        for feature in Feature::ALL {
            let words = format!("{feature:?}").chars().fold(String::new(), |mut words, c| {
                if c.is_ascii_uppercase() && !words.is_empty() {
                    words.push('-');
                }
                words.push(c.to_ascii_lowercase());
                words
            });
            assert_eq!(words.replace("consecutive5xx", "consecutive-5xx"), feature.name());
            assert_eq!(feature.name().parse(), Ok(*feature));
            assert!(feature.description().ends_with('.'), "{feature}");
        }
        let distinct: BTreeSet<&str> = Feature::ALL.iter().map(|f| f.description()).collect();
        assert_eq!(distinct.len(), Feature::ALL.len(), "a description says what is particular");
    }
}
