//! Policies of Gateway API: BackendTLSPolicy, and the experimental XBackendTrafficPolicy and
//! XTelemetryPolicy.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::duration::GepDuration;
use crate::meta::Object;
use crate::reference::{BackendObjectReference, LocalObjectReference, PolicyTargetReference};
use crate::route::filter::{Fraction, HeaderField};
use crate::route::session::SessionPersistence;
use crate::status::PolicyStatus;

/// A BackendTLSPolicy.
pub type BackendTlsPolicy = Object<BackendTlsPolicySpec, PolicyStatus>;
/// An XBackendTrafficPolicy.
pub type XBackendTrafficPolicy = Object<BackendTrafficPolicySpec, PolicyStatus>;
/// An XTelemetryPolicy.
pub type XTelemetryPolicy = Object<TelemetryPolicySpec, PolicyStatus>;

/// How Services prove who they are (GEP-1897).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct BackendTlsPolicySpec {
    /// The Services, or ports of them.
    pub target_refs: Vec<PolicyTargetReference>,
    /// How they prove it.
    pub validation: BackendTlsValidation,
    /// Options of implementations.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub options: BTreeMap<String, String>,
}

/// How a backend proves who it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct BackendTlsValidation {
    /// Bundles of authorities: ConfigMaps with `ca.crt`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ca_certificate_refs: Vec<LocalObjectReference>,
    /// Authorities that everybody knows; `System`.
    #[serde(rename = "wellKnownCACertificates", skip_serializing_if = "Option::is_none")]
    pub well_known_ca_certificates: Option<WellKnownCaCertificates>,
    /// The server name, which the certificate must carry unless `subject_alt_names` says otherwise.
    pub hostname: String,
    /// Names, one of which the certificate must carry.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub subject_alt_names: Vec<SubjectAltName>,
}

open_enum! {
    /// Authorities that everybody knows.
    WellKnownCaCertificates {
        /// Those of the system.
        System = "System",
    }
}

/// A name in a certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubjectAltName {
    /// Which field counts.
    #[serde(rename = "type")]
    pub kind: SubjectAltNameType,
    /// A DNS name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hostname: Option<String>,
    /// A URI.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uri: Option<String>,
}

open_enum! {
    /// The kinds of name in a certificate.
    SubjectAltNameType {
        /// A DNS name.
        Hostname = "Hostname",
        /// A URI.
        Uri = "URI",
    }
}

/// How traffic to Services is treated (experimental).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct BackendTrafficPolicySpec {
    /// The Services.
    pub target_refs: Vec<PolicyTargetReference>,
    /// How many retries there may be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_constraint: Option<RetryConstraint>,
    /// How clients stay with an endpoint.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_persistence: Option<SessionPersistence>,
}

/// How many retries there may be (GEP-3388).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RetryConstraint {
    /// A share of all requests.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub budget: Option<RetryBudget>,
    /// So many are always allowed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_retry_rate: Option<RequestRate>,
}

/// Retries as a share of requests.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RetryBudget {
    /// The share.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub percent: Option<i32>,
    /// Over this time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interval: Option<GepDuration>,
}

/// So many requests in a time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RequestRate {
    /// How many.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<i32>,
    /// In which time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interval: Option<GepDuration>,
}

/// What is recorded of traffic (experimental, v1.7).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TelemetryPolicySpec {
    /// The Gateways.
    pub target_refs: Vec<PolicyTargetReference>,
    /// Traces.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tracing: Option<Tracing>,
}

/// What is traced (GEP-4768).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Tracing {
    /// Whether.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<TracingMode>,
    /// Who collects the traces.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider: Option<TracingProvider>,
    /// Which share of requests.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sampling_rate: Option<Fraction>,
    /// What counts when the caller has decided already.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent_based_sampling: Option<ParentBasedSampling>,
    /// Name of the service in traces.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_name: Option<String>,
    /// Name of spans.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub span_name: Option<String>,
    /// Further attributes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub attributes: Vec<TracingAttribute>,
}

open_enum! {
    /// Whether something is done.
    TracingMode {
        /// Yes.
        Enabled = "Enabled",
        /// No.
        Disabled = "Disabled",
        /// As the implementation likes.
        ImplementationDefault = "ImplementationDefault",
    }
}

/// Who collects traces.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TracingProvider {
    /// The collector.
    pub backend_ref: BackendObjectReference,
    /// Headers to send to it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<HeaderField>,
}

/// What counts when the caller has decided already.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ParentBasedSampling {
    /// Whether the caller's decision counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<TracingMode>,
    /// Which share of those is traced.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sampling_rate: Option<Fraction>,
}

/// An attribute of traces.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TracingAttribute {
    /// Its name.
    pub name: String,
    /// Where its value comes from: `Header`, `Literal` or `Attribute`.
    pub source_type: String,
    /// For `Header`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub header_name: Option<String>,
    /// For `Literal`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub literal_value: Option<String>,
    /// For `Attribute`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attribute_key: Option<String>,
}
