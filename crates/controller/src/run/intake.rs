//! From files to a snapshot: scans, keeps the snapshot in step, adds certificates that are to be made, and
//! remembers on disk which objects counted, for a start on broken files.

use std::collections::HashSet;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use fairway_api::AnyObject;
use fairway_model::Model;
use fairway_stream::store::Store;
use fairway_translate::verdict::Verdicts;
use fairway_translate::{Name, ObjectKey, Snapshot};

use super::Options;
use crate::certificates::Certificates;
use crate::complaint::Complaints;
use crate::sources::admission::Schemas;
use crate::sources::expiry::expiring;
use crate::sources::revive::Remembered;
use crate::sources::{AdmittedObject, FileSource, Placed, Problem};

/// Reads the files of a run.
pub(super) struct Intake {
    source: FileSource,
    objects: Arc<[Placed]>,
    revived: Vec<Arc<AdmittedObject>>,
    problems: Vec<Problem>,
    complaints: Complaints,
    /// What the files say.
    files: Snapshot,
    /// The same, with the certificates that are made.
    snapshot: Snapshot,
    remembered: Remembered,
    certificates: Option<Certificates>,
    certificate_folder: PathBuf,
    looked: bool,
}

/// What a look at the files gave.
pub(super) struct Looked {
    /// Whether anything is different: objects or problems. The first look is always.
    pub(super) changed: bool,
    /// Whether the files say nothing at all, though they did before.
    pub(super) unreadable: bool,
    /// Whether objects of the run before stand in for what cannot be read.
    pub(super) revived: bool,
    pub(super) snapshot: Snapshot,
    pub(super) objects: u64,
}

impl Intake {
    pub(super) fn new(options: &Options, schemas: &Arc<Schemas>) -> Self {
        Self {
            source: FileSource::new(&options.directory, schemas),
            objects: Arc::new([]),
            revived: Vec::new(),
            problems: Vec::new(),
            complaints: Complaints::default(),
            files: Snapshot::default(),
            snapshot: Snapshot::default(),
            remembered: Remembered::open(options.state.join("objects.json")),
            certificates: options.generate_certificates.then(Certificates::default),
            certificate_folder: options.state.join("certificates"),
            looked: false,
        }
    }

    /// What is wrong with the files.
    pub(super) fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// What is wrong with the files, and with their objects as they were understood.
    pub(super) fn complaints(&mut self, verdicts: &Verdicts) -> Vec<Problem> {
        let mut all = self.problems.clone();
        all.extend(self.complaints.follow(&self.source, &self.objects, verdicts));
        all.sort();
        all
    }

    pub(super) fn look(&mut self) -> Looked {
        let now = jiff::Timestamp::now();
        let mut scan = self.source.scan(now);
        scan.problems.extend(expiring(&self.source, &scan.objects, now));
        let revived = self.remembered.revive(&scan);
        let first = !std::mem::replace(&mut self.looked, true);
        let same_revived = revived.len() == self.revived.len()
            && revived.iter().zip(&self.revived).all(|(now, before)| Arc::ptr_eq(now, before));
        let changed = first || scan.changed || !same_revived || scan.problems != self.problems;
        let errors = scan.problems.iter().any(Problem::is_error);
        let unreadable = errors && scan.objects.is_empty() && revived.is_empty();
        self.problems = scan.problems;
        if changed && !unreadable {
            self.follow(&scan.objects, &revived);
            self.objects = scan.objects;
            self.revived = revived;
            self.remembered.remember(&self.objects, &self.revived);
        }
        let objects = u64::try_from(self.objects.len()).unwrap_or(u64::MAX);
        let revived = !self.revived.is_empty();
        Looked { changed, unreadable, revived, snapshot: self.snapshot.clone(), objects }
    }

    /// Brings the snapshot to the new objects. What is the same `Arc` is not touched.
    fn follow(&mut self, objects: &[Placed], revived: &[Arc<AdmittedObject>]) {
        let now = || objects.iter().map(|placed| &placed.object).chain(revived);
        let before = || self.objects.iter().map(|placed| &placed.object).chain(&self.revived);
        let known: HashSet<*const AdmittedObject> = before().map(Arc::as_ptr).collect();
        let still: HashSet<*const AdmittedObject> = now().map(Arc::as_ptr).collect();
        let put = now().filter(|object| !known.contains(&Arc::as_ptr(object)));
        let put: Vec<AnyObject> = put.map(|object| object.object.clone()).collect();
        let gone = before().filter(|object| !still.contains(&Arc::as_ptr(object)));
        let removed: Vec<ObjectKey> = gone.map(|object| key(&object.object)).collect();
        self.files = self.files.next(put, removed);
        self.snapshot = self.files.clone();
        self.generate_certificates();
    }

    fn generate_certificates(&mut self) {
        let Some(certificates) = &mut self.certificates else { return };
        match certificates.missing(&self.files) {
            Ok(secrets) => self.snapshot = self.files.next(secrets, []),
            Err(error) => tracing::error!(%error, "making certificates"),
        }
        for (name, pem) in certificates.take_fresh() {
            let file = format!("{}_{}.crt", name.namespace, name.name);
            let path = self.certificate_folder.join(file);
            let written =
                fs::create_dir_all(&self.certificate_folder).and_then(|()| fs::write(&path, pem));
            if let Err(error) = written {
                tracing::error!(%error, "writing {}", path.display());
            }
        }
    }
}

/// Gives the model to begin with: the last good one, until the files have been looked at. So an address
/// that was served is served again at once, also when the files cannot be read.
pub(super) fn last_good_model(store: &Store) -> Model {
    match store.load() {
        Ok(model) => model.unwrap_or_default(),
        Err(error) => {
            tracing::error!(%error, "the last good model is not used");
            Model::default()
        }
    }
}

fn key(object: &AnyObject) -> ObjectKey {
    ObjectKey { kind: object.kind(), name: Name::of(object.metadata()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drivers::embedded;
    use std::time::Duration;

    fn gateway(hostname: &str, label: &str) -> String {
        format!(
            "apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {{namespace: shop, name: web, labels: {{a: {label}}}}}
spec:
  gatewayClassName: fairway
  listeners:
  - {{name: https, protocol: HTTPS, port: 443, hostname: {hostname}, tls: {{certificateRefs: [{{name: tls}}]}}}}
"
        )
    }

    #[test]
    fn a_made_certificate_follows_its_hosts_and_is_written_once() {
        let folder = tempfile::tempdir().expect("a folder");
        let options = Options {
            directory: folder.path().join("files"),
            translate: fairway_translate::Settings::for_files(),
            proxy: embedded::Settings::default(),
            admin: None,
            state: folder.path().join("state"),
            status_dir: folder.path().join("status"),
            generate_certificates: true,
            drain: Duration::ZERO,
        };
        fs::create_dir_all(&options.directory).expect("made");
        fs::create_dir_all(&options.state).expect("made");
        let mut intake = Intake::new(&options, &Arc::new(Schemas::bundled()));
        let written = options.state.join("certificates/shop_tls.crt");
        let mut look = |hostname: &str, label: &str| {
            let file = options.directory.join("gateway.yaml");
            fs::write(file, gateway(hostname, label)).expect("written");
            assert!(intake.look().changed);
            fs::read_to_string(&written).ok()
        };
        let first = look("a.example", "one").expect("a certificate");
        let other = look("b-example.test", "one").expect("a certificate");
        assert_ne!(first, other, "the hosts are others");
        fs::remove_file(&written).expect("it was there");
        assert_eq!(look("b-example.test", "two"), None, "nothing about it has changed");
    }
}
