//! Which features a model uses, type by type. Every type is taken apart in full, without `..` and
//! without `_ =>`: what is added to the model must be placed here.

use std::sync::Arc;

use super::{Feature, Features};
use crate::cluster::{
    Authorities, BackendProtocol, BackendTls, Endpoint, EndpointState, SubjectAltName,
};
use crate::filter::{
    Cors, DirectResponse, HeaderModifier, Mirror, OriginMatch, PathRewrite, Redirect, UrlRewrite,
};
use crate::gateway::{ClientValidation, ClientValidationMode, ListenerProtocol, TlsTermination};
use crate::host::{HostPattern, WildcardDepth};
use crate::matching::{FieldMatch, HttpMatch, PathMatch, ValueMatch};
use crate::policy::{
    HashSource, IpAccess, LoadBalancing, PassiveHealth, RateLimit, RateLimitKey, Retry, RetryOn,
    SessionCarrier, SessionPersistence, Timeouts,
};
use crate::route::{
    AttachedHost, Attachment, BackendTarget, Forward, HttpAction, HttpDialect, HttpRule, Rule,
    StreamRule, WeightedBackend, WeightedTarget,
};
use crate::{Cluster, Endpoints, Gateway, Listener, Model, Route};

/// Gives all features that a model uses.
#[must_use]
pub fn features(model: &Model) -> Features {
    let mut used = Features::new();
    model.collect(&mut used);
    used
}

/// A part of a model that can say which features it uses.
pub trait UsesFeatures {
    /// Adds the features that it uses, its parts included, and those that it refers to by Id not.
    fn collect(&self, used: &mut Features);
}

impl<T: UsesFeatures> UsesFeatures for Option<T> {
    fn collect(&self, used: &mut Features) {
        self.iter().for_each(|value| value.collect(used));
    }
}

impl<T: UsesFeatures> UsesFeatures for Vec<T> {
    fn collect(&self, used: &mut Features) {
        self.iter().for_each(|value| value.collect(used));
    }
}

impl<T: UsesFeatures> UsesFeatures for Arc<T> {
    fn collect(&self, used: &mut Features) {
        (**self).collect(used);
    }
}

/// Adds a feature if something asks for it.
fn if_used(asked: bool, feature: Feature, used: &mut Features) {
    if asked {
        used.insert(feature);
    }
}

impl UsesFeatures for Model {
    fn collect(&self, used: &mut Features) {
        let Self { gateways, listeners, routes, clusters, endpoints, secrets: _ } = self;
        gateways.values().for_each(|gateway| gateway.collect(used));
        listeners.values().for_each(|listener| listener.collect(used));
        routes.values().for_each(|route| route.collect(used));
        clusters.values().for_each(|cluster| cluster.collect(used));
        endpoints.values().for_each(|endpoints| endpoints.collect(used));
    }
}

impl UsesFeatures for Gateway {
    fn collect(&self, used: &mut Features) {
        let Self { namespace: _, name: _, addresses: _, client_certificate } = self;
        if_used(client_certificate.is_some(), Feature::GatewayClientCertificate, used);
    }
}

impl UsesFeatures for Listener {
    fn collect(&self, used: &mut Features) {
        let Self { gateway: _, name: _, port: _, hostname, protocol } = self;
        if_used(*hostname != HostPattern::Any, Feature::ListenerHostname, used);
        protocol.collect(used);
    }
}

impl UsesFeatures for ListenerProtocol {
    fn collect(&self, used: &mut Features) {
        let (feature, tls) = match self {
            Self::Http => (Feature::HttpListener, None),
            Self::Https(tls) => (Feature::HttpsListener, Some(tls)),
            Self::TlsTerminate(tls) => (Feature::TlsTerminateListener, Some(tls)),
            Self::TlsPassthrough => (Feature::TlsPassthroughListener, None),
            Self::Tcp => (Feature::TcpListener, None),
            Self::Udp => (Feature::UdpListener, None),
        };
        used.insert(feature);
        if let Some(TlsTermination { certificates, client_validation }) = tls {
            if_used(certificates.len() > 1, Feature::SeveralCertificates, used);
            client_validation.collect(used);
        }
    }
}

impl UsesFeatures for ClientValidation {
    fn collect(&self, used: &mut Features) {
        let Self { authorities: _, mode } = self;
        used.insert(match mode {
            ClientValidationMode::Required => Feature::ClientCertificateRequired,
            ClientValidationMode::InsecureFallback => Feature::ClientCertificateInsecureFallback,
        });
    }
}

impl UsesFeatures for Route {
    fn collect(&self, used: &mut Features) {
        let Self { origin: _, attachments, rule } = self;
        attachments.collect(used);
        match rule {
            Rule::Http(rule) => rule.collect(used),
            Rule::Stream(rule) => rule.collect(used),
        }
    }
}

impl UsesFeatures for Attachment {
    fn collect(&self, used: &mut Features) {
        let Self { listener: _, hosts } = self;
        for AttachedHost { pattern, rank: _ } in hosts {
            match pattern {
                HostPattern::Any => {}
                HostPattern::Exact(_) => {
                    used.insert(Feature::HostExact);
                }
                HostPattern::Wildcard { suffix: _, depth } => {
                    used.insert(match depth {
                        WildcardDepth::Many => Feature::HostWildcard,
                        WildcardDepth::One => Feature::HostSingleLabelWildcard,
                    });
                }
            }
        }
    }
}

impl UsesFeatures for HttpRule {
    fn collect(&self, used: &mut Features) {
        let Self {
            matches,
            dialect,
            ip_access,
            rate_limits,
            cors,
            action,
            response_headers: HeaderModifier { set, add, remove },
        } = self;
        matches.collect(used);
        match dialect {
            HttpDialect::Plain => {}
            HttpDialect::Grpc => {
                used.insert(Feature::GrpcDialect);
            }
        }
        ip_access.collect(used);
        rate_limits.collect(used);
        cors.collect(used);
        action.collect(used);
        if_used(!set.is_empty(), Feature::ResponseHeaderSet, used);
        if_used(!add.is_empty(), Feature::ResponseHeaderAdd, used);
        if_used(!remove.is_empty(), Feature::ResponseHeaderRemove, used);
    }
}

impl UsesFeatures for HttpMatch {
    fn collect(&self, used: &mut Features) {
        let Self { path, methods, headers, query, cookies, clients, rank: _ } = self;
        used.insert(match path {
            PathMatch::Exact(_) => Feature::PathExact,
            PathMatch::Prefix(_) => Feature::PathPrefix,
            PathMatch::StringPrefix(_) => Feature::PathStringPrefix,
            PathMatch::Regex(_) => Feature::PathRegex,
            PathMatch::ExactIgnoreCase(_) => Feature::PathExactIgnoreCase,
            PathMatch::PrefixIgnoreCase(_) => Feature::PathPrefixIgnoreCase,
        });
        if_used(!methods.is_empty(), Feature::MethodMatch, used);
        headers.iter().for_each(|field| collect_field(field, &HEADER, used));
        query.iter().for_each(|field| collect_field(field, &QUERY, used));
        cookies.iter().for_each(|field| collect_field(field, &COOKIE, used));
        if_used(!clients.is_empty(), Feature::ClientMatch, used);
    }
}

/// What the ways to match a field are called for one kind of field.
struct FieldFeatures {
    exact: Feature,
    prefix: Feature,
    suffix: Feature,
    contains: Feature,
    regex: Feature,
    present: Feature,
    negate: Feature,
}

const HEADER: FieldFeatures = FieldFeatures {
    exact: Feature::HeaderExact,
    prefix: Feature::HeaderPrefix,
    suffix: Feature::HeaderSuffix,
    contains: Feature::HeaderContains,
    regex: Feature::HeaderRegex,
    present: Feature::HeaderPresent,
    negate: Feature::HeaderNegate,
};

const QUERY: FieldFeatures = FieldFeatures {
    exact: Feature::QueryExact,
    prefix: Feature::QueryPrefix,
    suffix: Feature::QuerySuffix,
    contains: Feature::QueryContains,
    regex: Feature::QueryRegex,
    present: Feature::QueryPresent,
    negate: Feature::QueryNegate,
};

const COOKIE: FieldFeatures = FieldFeatures {
    exact: Feature::CookieExact,
    prefix: Feature::CookiePrefix,
    suffix: Feature::CookieSuffix,
    contains: Feature::CookieContains,
    regex: Feature::CookieRegex,
    present: Feature::CookiePresent,
    negate: Feature::CookieNegate,
};

fn collect_field(field: &FieldMatch, names: &FieldFeatures, used: &mut Features) {
    let FieldMatch { name: _, value, negate } = field;
    used.insert(match value {
        ValueMatch::Exact(_) => names.exact,
        ValueMatch::Prefix(_) => names.prefix,
        ValueMatch::Suffix(_) => names.suffix,
        ValueMatch::Contains(_) => names.contains,
        ValueMatch::Regex(_) => names.regex,
        ValueMatch::Present => names.present,
    });
    if_used(*negate, names.negate, used);
}

impl UsesFeatures for IpAccess {
    fn collect(&self, used: &mut Features) {
        let Self { allow, deny } = self;
        if_used(!allow.is_empty(), Feature::IpAllow, used);
        if_used(!deny.is_empty(), Feature::IpDeny, used);
    }
}

impl UsesFeatures for RateLimit {
    fn collect(&self, used: &mut Features) {
        let Self { key, requests: _, period: _, burst: _, status: _ } = self;
        used.insert(match key {
            RateLimitKey::ClientIp => Feature::RateLimitByClientIp,
            RateLimitKey::Header(_) => Feature::RateLimitByHeader,
            RateLimitKey::Constant => Feature::RateLimitConstant,
        });
    }
}

impl UsesFeatures for Cors {
    fn collect(&self, used: &mut Features) {
        let Self {
            allow_origins,
            allow_credentials,
            allow_methods,
            allow_headers,
            expose_headers,
            max_age: _,
        } = self;
        used.extend(allow_origins.iter().map(|origin| match origin {
            OriginMatch::Any => Feature::CorsAnyOrigin,
            OriginMatch::Exact(_) => Feature::CorsExactOrigin,
            OriginMatch::Wildcard { prefix: _, suffix: _ } => Feature::CorsWildcardOrigin,
        }));
        if_used(*allow_credentials, Feature::CorsCredentials, used);
        if_used(!allow_methods.is_empty(), Feature::CorsMethods, used);
        if_used(!allow_headers.is_empty(), Feature::CorsHeaders, used);
        if_used(!expose_headers.is_empty(), Feature::CorsExposeHeaders, used);
    }
}

impl UsesFeatures for HttpAction {
    fn collect(&self, used: &mut Features) {
        match self {
            Self::Forward(forward) => forward.collect(used),
            Self::Redirect(redirect) => redirect.collect(used),
            Self::Respond(DirectResponse { status: _, content_type: _, body }) => {
                used.insert(Feature::DirectResponse);
                if_used(!body.is_empty(), Feature::DirectResponseBody, used);
            }
            Self::Fail(_) => {
                used.insert(Feature::FailClosed);
            }
        }
    }
}

impl UsesFeatures for Redirect {
    fn collect(&self, used: &mut Features) {
        let Self { scheme, hostname, port, path, status: _ } = self;
        used.insert(Feature::Redirect);
        if_used(scheme.is_some(), Feature::RedirectScheme, used);
        if_used(hostname.is_some(), Feature::RedirectHostname, used);
        if_used(port.is_some(), Feature::RedirectPort, used);
        used.extend(path.iter().map(|path| match path {
            PathRewrite::ReplaceFull(_) => Feature::RedirectReplaceFullPath,
            PathRewrite::ReplacePrefix(_) => Feature::RedirectReplacePrefix,
        }));
    }
}

impl UsesFeatures for UrlRewrite {
    fn collect(&self, used: &mut Features) {
        let Self { hostname, path } = self;
        if_used(hostname.is_some(), Feature::RewriteHostname, used);
        used.extend(path.iter().map(|path| match path {
            PathRewrite::ReplaceFull(_) => Feature::RewriteReplaceFullPath,
            PathRewrite::ReplacePrefix(_) => Feature::RewriteReplacePrefix,
        }));
    }
}

impl UsesFeatures for Forward {
    fn collect(&self, used: &mut Features) {
        let Self {
            backends,
            request_headers: HeaderModifier { set, add, remove },
            rewrite,
            mirrors,
            timeouts,
            retry,
            session,
            load_balancing,
            passive_health,
        } = self;
        if_used(backends.len() > 1, Feature::Weights, used);
        backends.collect(used);
        if_used(!set.is_empty(), Feature::RequestHeaderSet, used);
        if_used(!add.is_empty(), Feature::RequestHeaderAdd, used);
        if_used(!remove.is_empty(), Feature::RequestHeaderRemove, used);
        rewrite.collect(used);
        mirrors.collect(used);
        timeouts.collect(used);
        retry.collect(used);
        session.collect(used);
        load_balancing.collect(used);
        passive_health.collect(used);
    }
}

impl UsesFeatures for WeightedBackend {
    fn collect(&self, used: &mut Features) {
        let Self { weight: _, target, request_headers, response_headers, rewrite, mirrors } = self;
        target.collect(used);
        if_used(!request_headers.is_empty(), Feature::BackendRequestHeaders, used);
        if_used(!response_headers.is_empty(), Feature::BackendResponseHeaders, used);
        if_used(rewrite.is_some(), Feature::BackendRewrite, used);
        rewrite.collect(used);
        if_used(!mirrors.is_empty(), Feature::BackendMirror, used);
        mirrors.collect(used);
    }
}

impl UsesFeatures for BackendTarget {
    fn collect(&self, used: &mut Features) {
        match self {
            Self::Cluster(_) => {}
            Self::Fail(_) => {
                used.insert(Feature::FailClosed);
            }
        }
    }
}

impl UsesFeatures for Mirror {
    fn collect(&self, used: &mut Features) {
        let Self { target, numerator, denominator } = self;
        target.collect(used);
        used.insert(Feature::Mirror);
        if_used(numerator != denominator, Feature::MirrorFraction, used);
    }
}

impl UsesFeatures for Timeouts {
    fn collect(&self, used: &mut Features) {
        let Self { request, backend_request, connect, idle } = self;
        if_used(request.is_some(), Feature::TimeoutRequest, used);
        if_used(backend_request.is_some(), Feature::TimeoutBackendRequest, used);
        if_used(connect.is_some(), Feature::TimeoutConnect, used);
        if_used(idle.is_some(), Feature::TimeoutIdle, used);
    }
}

impl UsesFeatures for Retry {
    fn collect(&self, used: &mut Features) {
        let Self { attempts: _, codes, on, backoff, per_try_timeout, non_idempotent } = self;
        used.insert(Feature::Retry);
        if_used(!codes.is_empty(), Feature::RetryCodes, used);
        used.extend(on.iter().map(|on| match on {
            RetryOn::ConnectFailure => Feature::RetryOnConnectFailure,
            RetryOn::Reset => Feature::RetryOnReset,
            RetryOn::Timeout => Feature::RetryOnTimeout,
            RetryOn::RefusedStream => Feature::RetryOnRefusedStream,
        }));
        if_used(backoff.is_some(), Feature::RetryBackoff, used);
        if_used(per_try_timeout.is_some(), Feature::RetryPerTryTimeout, used);
        if_used(*non_idempotent, Feature::RetryNonIdempotent, used);
    }
}

impl UsesFeatures for SessionPersistence {
    fn collect(&self, used: &mut Features) {
        let Self { name: _, carrier, absolute_timeout, idle_timeout } = self;
        match carrier {
            SessionCarrier::Cookie { path: _, permanent } => {
                used.insert(Feature::SessionCookie);
                if_used(*permanent, Feature::SessionCookiePermanent, used);
            }
            SessionCarrier::Header => {
                used.insert(Feature::SessionHeader);
            }
        }
        if_used(absolute_timeout.is_some(), Feature::SessionAbsoluteTimeout, used);
        if_used(idle_timeout.is_some(), Feature::SessionIdleTimeout, used);
    }
}

impl UsesFeatures for LoadBalancing {
    fn collect(&self, used: &mut Features) {
        used.insert(match self {
            Self::RoundRobin => Feature::RoundRobin,
            Self::LeastRequest => Feature::LeastRequest,
            Self::Random => Feature::Random,
            Self::ConsistentHash(HashSource::Header(_)) => Feature::HashByHeader,
            Self::ConsistentHash(HashSource::Cookie(_)) => Feature::HashByCookie,
            Self::ConsistentHash(HashSource::ClientIp) => Feature::HashByClientIp,
            Self::ConsistentHash(HashSource::Path) => Feature::HashByPath,
            Self::ConsistentHash(HashSource::QueryParam(_)) => Feature::HashByQueryParam,
        });
    }
}

impl UsesFeatures for PassiveHealth {
    fn collect(&self, used: &mut Features) {
        let Self {
            consecutive_5xx,
            consecutive_gateway_errors,
            interval: _,
            base_ejection_time: _,
            max_ejection_percent: _,
        } = self;
        if_used(consecutive_5xx.is_some(), Feature::PassiveHealthConsecutive5xx, used);
        if_used(
            consecutive_gateway_errors.is_some(),
            Feature::PassiveHealthConsecutiveGatewayErrors,
            used,
        );
    }
}

impl UsesFeatures for StreamRule {
    fn collect(&self, used: &mut Features) {
        let Self { rank: _, backends, load_balancing, ip_access } = self;
        if_used(backends.len() > 1, Feature::Weights, used);
        for WeightedTarget { weight: _, target } in backends {
            target.collect(used);
        }
        load_balancing.collect(used);
        ip_access.collect(used);
    }
}

impl UsesFeatures for Cluster {
    fn collect(&self, used: &mut Features) {
        let Self { namespace: _, service: _, port: _, protocol, tls } = self;
        match protocol {
            // What every route of that kind needs anyway.
            BackendProtocol::Http | BackendProtocol::Tcp | BackendProtocol::Udp => {}
            BackendProtocol::H2c => {
                used.insert(Feature::BackendH2c);
            }
        }
        tls.collect(used);
    }
}

impl UsesFeatures for BackendTls {
    fn collect(&self, used: &mut Features) {
        let Self { hostname: _, authorities, subject_alt_names } = self;
        used.insert(Feature::BackendTls);
        used.insert(match authorities {
            Authorities::System => Feature::BackendTlsSystemAuthorities,
            Authorities::Bundles(_) => Feature::BackendTlsBundles,
        });
        used.extend(subject_alt_names.iter().map(|name| match name {
            SubjectAltName::Dns(_) => Feature::BackendTlsSanDns,
            SubjectAltName::Uri(_) => Feature::BackendTlsSanUri,
        }));
    }
}

impl UsesFeatures for Endpoints {
    fn collect(&self, used: &mut Features) {
        let Self(endpoints) = self;
        for Endpoint { address: _, state } in endpoints {
            match state {
                EndpointState::Ready => {}
                EndpointState::Draining => {
                    used.insert(Feature::DrainingEndpoints);
                }
            }
        }
    }
}
