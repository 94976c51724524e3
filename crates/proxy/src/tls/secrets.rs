//! The model's secrets, read. One that cannot be read leaves what was read under its Id before in place.

use std::collections::BTreeMap;
use std::sync::Arc;

use fairway_model::delta::Changes;
use fairway_model::{Secret, SecretId};
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::certificate::Certificate;

/// All secrets of the model by Id.
#[derive(Default)]
pub(crate) struct Secrets(BTreeMap<SecretId, Entry>);

#[derive(Default)]
struct Entry {
    /// The last one that could be read.
    usable: Option<Usable>,
    /// Why the newest one could not.
    broken: Option<String>,
}

#[derive(Clone)]
enum Usable {
    Certificate(Arc<Certificate>),
    Authorities(Vec<CertificateDer<'static>>),
}

impl Secrets {
    /// Reads what is new.
    pub(crate) fn change(&mut self, changes: &Changes<SecretId, Secret>) {
        for id in &changes.removed {
            self.0.remove(id);
        }
        for (id, secret) in &changes.put {
            let entry = self.0.entry(id.clone()).or_default();
            match read(secret) {
                Ok(usable) => *entry = Entry { usable: Some(usable), broken: None },
                Err(why) => entry.broken = Some(why),
            }
        }
    }

    /// Walks those whose newest form cannot be read, with the reason.
    pub(crate) fn broken(&self) -> impl Iterator<Item = (&SecretId, &str)> {
        self.0.iter().filter_map(|(id, entry)| Some((id, entry.broken.as_deref()?)))
    }

    /// Gives a certificate with its key.
    ///
    /// # Errors
    /// Says why it cannot be used.
    pub(super) fn certificate(&self, id: &SecretId) -> Result<Arc<Certificate>, String> {
        match &self.entry(id)?.usable {
            Some(Usable::Certificate(certificate)) => Ok(Arc::clone(certificate)),
            Some(Usable::Authorities(_)) => Err(format!("{id} holds no certificate with a key")),
            None => Err(self.why(id)),
        }
    }

    /// Gives the authorities of all these bundles together.
    ///
    /// # Errors
    /// Says why none of them can be used: one bundle that can be read is enough.
    pub(super) fn authorities(&self, ids: &[SecretId]) -> Result<Arc<RootCertStore>, String> {
        let mut roots = RootCertStore::empty();
        let mut why = "no certificate authority is named".to_owned();
        for id in ids {
            match self.entry(id).map(|entry| &entry.usable) {
                Ok(Some(Usable::Authorities(bundle))) => {
                    let (added, _) = roots.add_parsable_certificates(bundle.iter().cloned());
                    if added == 0 {
                        why = format!("{id} holds no certificate that an authority could have");
                    }
                }
                Ok(Some(Usable::Certificate(_))) => why = format!("{id} holds no authorities"),
                Ok(None) => why = self.why(id),
                Err(missing) => why = missing,
            }
        }
        if roots.is_empty() { Err(why) } else { Ok(Arc::new(roots)) }
    }

    fn entry(&self, id: &SecretId) -> Result<&Entry, String> {
        self.0.get(id).ok_or_else(|| format!("{id} is not there"))
    }

    fn why(&self, id: &SecretId) -> String {
        let broken = self.0.get(id).and_then(|entry| entry.broken.as_deref());
        format!("{id}: {}", broken.unwrap_or("cannot be read"))
    }
}

fn read(secret: &Secret) -> Result<Usable, String> {
    match secret {
        Secret::Certificate { chain, key } => {
            Certificate::load(chain, key).map(|certificate| Usable::Certificate(certificate.into()))
        }
        Secret::Authorities { bundle } => {
            let bundle = CertificateDer::pem_slice_iter(bundle.as_bytes())
                .collect::<Result<Vec<_>, _>>()
                .map_err(|error| format!("the bundle is not PEM: {error}"))?;
            if bundle.is_empty() {
                return Err("there is no certificate in it".to_owned());
            }
            Ok(Usable::Authorities(bundle))
        }
    }
}
