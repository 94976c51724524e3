//! What to wait for: `route/cart`, `fgw/web`, as people write it.

use std::str::FromStr;
use std::time::Duration;

use fairway_translate::Kind;

/// `KIND/NAME`, with every kind that the word may mean.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    pub kinds: &'static [Kind],
    /// What the user wrote for the kind.
    pub word: String,
    pub name: String,
}

const ROUTES: &[Kind] = &[
    Kind::TrafficRoute,
    Kind::HttpRoute,
    Kind::GrpcRoute,
    Kind::TlsRoute,
    Kind::TcpRoute,
    Kind::UdpRoute,
];

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (word, name) = text
            .split_once('/')
            .ok_or_else(|| format!("{text:?} is not KIND/NAME, such as route/cart"))?;
        let kinds = kinds(&word.to_ascii_lowercase()).ok_or_else(|| {
            format!(
                "{word:?} is no kind to wait for; there are route, httproute, grpcroute, tlsroute, \
                 tcproute, udproute, tr, gateway, gtw (Gateway API's alone), fgw (fairway.dev's alone), \
                 gatewayclass, listenerset, backendtlspolicy, ingress"
            )
        })?;
        if !is_name(name) {
            return Err(format!("{name:?} is not the name of an object"));
        }
        Ok(Self { kinds, word: word.to_owned(), name: name.to_owned() })
    }
}

fn kinds(word: &str) -> Option<&'static [Kind]> {
    Some(match word {
        "route" | "routes" => ROUTES,
        "tr" | "trafficroute" | "trafficroutes" | "trafficroutes.fairway.dev" => {
            &[Kind::TrafficRoute]
        }
        "httproute" | "httproutes" => &[Kind::HttpRoute],
        "grpcroute" | "grpcroutes" => &[Kind::GrpcRoute],
        "tlsroute" | "tlsroutes" => &[Kind::TlsRoute],
        "tcproute" | "tcproutes" => &[Kind::TcpRoute],
        "udproute" | "udproutes" => &[Kind::UdpRoute],
        "gateway" | "gateways" => &[Kind::Gateway, Kind::FairwayGateway],
        "gtw" | "gateway.gateway.networking.k8s.io" | "gateways.gateway.networking.k8s.io" => {
            &[Kind::Gateway]
        }
        "fgw" | "fairwaygateway" | "gateway.fairway.dev" | "gateways.fairway.dev" => {
            &[Kind::FairwayGateway]
        }
        "gc" | "gatewayclass" | "gatewayclasses" => &[Kind::GatewayClass],
        "lset" | "listenerset" | "listenersets" => &[Kind::ListenerSet],
        "btlspolicy" | "backendtlspolicy" | "backendtlspolicies" => &[Kind::BackendTlsPolicy],
        "fap" | "addresspool" | "addresspools" => &[Kind::AddressPool],
        "ing" | "ingress" | "ingresses" => &[Kind::Ingress],
        _ => return None,
    })
}

/// Gives the word that means one kind alone.
pub(super) const fn word(kind: Kind) -> &'static str {
    match kind {
        Kind::Gateway => "gtw",
        Kind::FairwayGateway => "fgw",
        Kind::TrafficRoute => "tr",
        Kind::GatewayClass
        | Kind::ListenerSet
        | Kind::HttpRoute
        | Kind::GrpcRoute
        | Kind::TlsRoute
        | Kind::TcpRoute
        | Kind::UdpRoute
        | Kind::ReferenceGrant
        | Kind::BackendTlsPolicy
        | Kind::XBackend
        | Kind::XBackendTrafficPolicy
        | Kind::XMesh
        | Kind::XTelemetryPolicy
        | Kind::GatewayProfile
        | Kind::AddressPool
        | Kind::AddressClaim
        | Kind::Ingress
        | Kind::IngressClass
        | Kind::Service
        | Kind::EndpointSlice
        | Kind::Secret
        | Kind::ConfigMap
        | Kind::Namespace
        | Kind::Node => kind.plural(),
    }
}

/// Nothing else may reach a path: RFC 1123 subdomain, as names of objects are.
pub(super) fn is_name(text: &str) -> bool {
    let may = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.');
    let dotted = text.starts_with('.') || text.ends_with('.');
    !text.is_empty() && text.len() <= 253 && !dotted && text.bytes().all(may)
}

/// `90s`, `2m`, `1h`, `500ms`; a number alone is of seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span(pub Duration);

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let digits = text.trim_end_matches(|letter: char| letter.is_ascii_lowercase());
        let unit = text.strip_prefix(digits).unwrap_or_default();
        let factor = match unit {
            "ms" => Some(1),
            "" | "s" => Some(1_000),
            "m" => Some(60_000),
            "h" => Some(3_600_000),
            _ => None,
        };
        let number = digits.parse::<u64>().ok();
        let milliseconds =
            number.zip(factor).and_then(|(number, factor)| number.checked_mul(factor));
        // More than a year is a slip, and would not fit every clock.
        milliseconds
            .filter(|milliseconds| *milliseconds <= 365 * 24 * 3_600_000)
            .map(|milliseconds| Self(Duration::from_millis(milliseconds)))
            .ok_or_else(|| format!("{text:?} is no time, such as 60s, 2m or 500ms"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_written_as_kubectl_has_them() {
        let route: Target = "route/cart".parse().expect("valid");
        assert_eq!((route.kinds, route.name.as_str()), (ROUTES, "cart"));
        let gateway: Target = "fgw/web".parse().expect("valid");
        assert_eq!(gateway.kinds, [Kind::FairwayGateway]);
        assert_eq!("HTTPRoute/a".parse::<Target>().expect("valid").kinds, [Kind::HttpRoute]);
        for wrong in
            ["cart", "pod/cart", "route/", "route/../x", "route/a/b", "route/A", "route/.."]
        {
            assert!(wrong.parse::<Target>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_word_for_one_kind_means_it() {
        let all: [&[Kind]; 2] = [ROUTES, &[Kind::Gateway, Kind::FairwayGateway]];
        for kind in all.concat() {
            assert_eq!(kinds(word(kind)), Some(&[kind][..]), "{kind}");
        }
    }

    #[test]
    fn times() {
        let parse = |text: &str| text.parse::<Span>().map(|span| span.0);
        assert_eq!(parse("60s"), Ok(Duration::from_secs(60)));
        assert_eq!(parse("2m"), Ok(Duration::from_secs(120)));
        assert_eq!(parse("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(parse("7"), Ok(Duration::from_secs(7)));
        for wrong in
            ["", "s", "1d", "-1s", "1.5s", "99999999999999999999s", "18446744073709551615h"]
        {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
