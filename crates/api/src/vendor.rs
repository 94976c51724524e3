//! Gateway API's own CRDs, as data: for validation of files, and for the tests that hold our types to them.

/// A release of Gateway API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// v1.6.3.
    V1_6_3,
    /// v1.7.0.
    V1_7_0,
}

/// A channel of a release.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Channel {
    /// What is promised to stay.
    Standard,
    /// All there is.
    Experimental,
}

/// The kinds that every channel has, and after them those that only this one has.
macro_rules! crds {
    ($version:literal, $channel:literal, $($more:literal),*) => {
        crds!(@files $version, $channel,
            "gateway.networking.k8s.io_backendtlspolicies",
            "gateway.networking.k8s.io_gatewayclasses",
            "gateway.networking.k8s.io_gateways",
            "gateway.networking.k8s.io_grpcroutes",
            "gateway.networking.k8s.io_httproutes",
            "gateway.networking.k8s.io_listenersets",
            "gateway.networking.k8s.io_referencegrants",
            "gateway.networking.k8s.io_tcproutes",
            "gateway.networking.k8s.io_tlsroutes",
            "gateway.networking.k8s.io_udproutes"
            $(, $more)*
        )
    };
    (@files $version:literal, $channel:literal, $($name:literal),+) => {
        &[$(($name, include_str!(concat!(
            "../vendor/gateway-api/", $version, "/", $channel, "/", $name, ".yaml"
        )))),+]
    };
}

/// A CRD: the name of its file, and its YAML.
pub type Crd = (&'static str, &'static str);

/// Gives the CRDs of a release and channel.
#[must_use]
pub const fn gateway_api(version: Version, channel: Channel) -> &'static [Crd] {
    match (version, channel) {
        (Version::V1_6_3, Channel::Standard) => STANDARD_1_6,
        (Version::V1_6_3, Channel::Experimental) => EXPERIMENTAL_1_6,
        (Version::V1_7_0, Channel::Standard) => STANDARD_1_7,
        (Version::V1_7_0, Channel::Experimental) => EXPERIMENTAL_1_7,
    }
}

const STANDARD_1_6: &[Crd] = crds!("v1.6.3", "standard",);

const EXPERIMENTAL_1_6: &[Crd] = crds!(
    "v1.6.3",
    "experimental",
    "gateway.networking.x-k8s.io_xbackends",
    "gateway.networking.x-k8s.io_xbackendtrafficpolicies",
    "gateway.networking.x-k8s.io_xmeshes"
);

const STANDARD_1_7: &[Crd] = crds!("v1.7.0", "standard",);

const EXPERIMENTAL_1_7: &[Crd] = crds!(
    "v1.7.0",
    "experimental",
    "gateway.networking.x-k8s.io_xbackends",
    "gateway.networking.x-k8s.io_xbackendtrafficpolicies",
    "gateway.networking.x-k8s.io_xmeshes",
    "gateway.networking.x-k8s.io_xtelemetrypolicies"
);
