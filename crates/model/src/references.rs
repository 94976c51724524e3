//! Which entries an entry names. Everything that follows Ids through a model (its check, its slices) asks here.

use crate::cluster::Authorities;
use crate::gateway::{ListenerProtocol, TlsTermination};
use crate::id::{ClusterId, SecretId};
use crate::route::{BackendTarget, HttpAction, Rule};
use crate::{Cluster, Gateway, Listener, Route};

impl Gateway {
    /// Gives the Secrets that it names.
    pub fn secrets(&self) -> impl Iterator<Item = &SecretId> {
        self.client_certificate.iter()
    }
}

impl Listener {
    /// Gives the Secrets and bundles of authorities that it names.
    pub fn secrets(&self) -> impl Iterator<Item = &SecretId> {
        let tls = match &self.protocol {
            ListenerProtocol::Https(tls) | ListenerProtocol::TlsTerminate(tls) => Some(tls),
            ListenerProtocol::Http
            | ListenerProtocol::TlsPassthrough
            | ListenerProtocol::Tcp
            | ListenerProtocol::Udp => None,
        };
        tls.into_iter().flat_map(|TlsTermination { certificates, client_validation }| {
            let authorities = client_validation.iter().flat_map(|rules| &rules.authorities);
            certificates.iter().chain(authorities)
        })
    }
}

impl Cluster {
    /// Gives the bundles of authorities that it names.
    pub fn secrets(&self) -> impl Iterator<Item = &SecretId> {
        let bundles = match self.tls.as_ref().map(|tls| &tls.authorities) {
            Some(Authorities::Bundles(bundles)) => bundles.as_slice(),
            Some(Authorities::System) | None => &[],
        };
        bundles.iter()
    }
}

impl Route {
    /// Gives the clusters that it sends traffic to, mirrors included. One may come several times.
    #[must_use]
    pub fn clusters(&self) -> Vec<&ClusterId> {
        let mut targets: Vec<&BackendTarget> = Vec::new();
        match &self.rule {
            Rule::Http(rule) => match &rule.action {
                HttpAction::Forward(forward) => {
                    targets.extend(forward.mirrors.iter().map(|mirror| &mirror.target));
                    for backend in &forward.backends {
                        targets.push(&backend.target);
                        targets.extend(backend.mirrors.iter().map(|mirror| &mirror.target));
                    }
                }
                HttpAction::Redirect(_) | HttpAction::Respond(_) | HttpAction::Fail(_) => {}
            },
            Rule::Stream(rule) => targets.extend(rule.backends.iter().map(|it| &it.target)),
        }
        let clusters = targets.into_iter().filter_map(|target| match target {
            BackendTarget::Cluster(id) => Some(id),
            BackendTarget::Fail(_) => None,
        });
        clusters.collect()
    }
}
