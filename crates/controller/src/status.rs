//! Writes statuses into a directory, as a cluster would hold them: one file an object, only what differs.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;

use fairway_api::reference::FAIRWAY;
use fairway_translate::status::{Status, Statuses};
use fairway_translate::{Kind, Name, ObjectKey};
use serde_json::{Value, from_value};

use crate::view;

pub mod cluster;

/// A status: `apiVersion`, `kind`, `metadata` and `status` of one object.
pub type Document = Value;

/// A directory of statuses.
#[derive(Debug)]
pub struct StatusDirectory {
    folder: PathBuf,
    written: BTreeMap<String, Arc<Document>>,
}

/// The directory cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[error("{action} {path}: {source}")]
pub struct StatusError {
    action: &'static str,
    path: PathBuf,
    source: io::Error,
}

impl StatusDirectory {
    /// Opens the directory, which is made if it is missing, and reads what an earlier run has written:
    /// conditions keep their times over a restart.
    ///
    /// # Errors
    /// The directory cannot be made or read. A file in it that is no status is overwritten later.
    pub fn open(folder: impl Into<PathBuf>) -> Result<Self, StatusError> {
        let folder = folder.into();
        let failed = |action, source| StatusError { action, path: folder.clone(), source };
        fs::create_dir_all(&folder).map_err(|source| failed("creating", source))?;
        let mut written = BTreeMap::new();
        for entry in fs::read_dir(&folder).map_err(|source| failed("reading", source))? {
            let entry = entry.map_err(|source| failed("reading", source))?;
            let Ok(name) = entry.file_name().into_string() else { continue };
            if !is_status(&name) {
                continue;
            }
            let text = fs::read_to_string(entry.path()).unwrap_or_default();
            let document: Document = serde_saphyr::from_str(&text).unwrap_or_default();
            written.insert(name, Arc::new(document));
        }
        Ok(Self { folder, written })
    }

    /// Gives what an earlier run has left, so that conditions keep their times over a restart.
    #[must_use]
    pub fn statuses(&self) -> Statuses {
        let read =
            |document: &Arc<Document>| read(document).map(|(key, status)| (key, Arc::new(status)));
        self.written.values().filter_map(read).collect()
    }

    /// Writes these documents and removes those that are gone; gives how many files it touched. What
    /// stands there already is not written again. A file is replaced as a whole, so nobody reads half of
    /// one.
    ///
    /// # Errors
    /// The disk refuses. What was not written differs from then on, and is written with the next change
    /// of its status.
    pub fn publish(
        &mut self,
        changes: &[(ObjectKey, Option<Arc<Document>>)],
    ) -> Result<usize, StatusError> {
        let mut touched = 0;
        for (key, document) in changes {
            let Some(name) = file_name(key) else { continue };
            touched += usize::from(match document {
                Some(document) => self.put(name, document)?,
                None => self.remove(&name)?,
            });
        }
        Ok(touched)
    }

    /// Removes all files but these; for those of an earlier run.
    fn keep_only(&mut self, wanted: &BTreeSet<String>) -> Result<usize, StatusError> {
        let gone: Vec<String> =
            self.written.keys().filter(|name| !wanted.contains(*name)).cloned().collect();
        for name in &gone {
            self.remove(name)?;
        }
        Ok(gone.len())
    }

    fn put(&mut self, name: String, document: &Arc<Document>) -> Result<bool, StatusError> {
        if self.written.get(&name) == Some(document) {
            return Ok(false);
        }
        self.replace(&name, document)?;
        self.written.insert(name, Arc::clone(document));
        Ok(true)
    }

    fn replace(&self, name: &str, document: &Document) -> Result<(), StatusError> {
        let path = self.folder.join(name);
        let fresh = self.folder.join(format!(".{name}.new"));
        let text = serde_saphyr::to_string(document).map_err(io::Error::other);
        text.and_then(|text| fs::write(&fresh, text))
            .and_then(|()| fs::rename(&fresh, &path))
            .map_err(|source| StatusError { action: "writing", path, source })
    }

    fn remove(&mut self, name: &str) -> Result<bool, StatusError> {
        let path = self.folder.join(name);
        match fs::remove_file(&path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                Err(StatusError { action: "removing", path, source })
            }
            Ok(()) | Err(_) => Ok(self.written.remove(name).is_some()),
        }
    }
}

/// What differs in the statuses, by object; `None` for those that are gone.
pub type Changes = Vec<(ObjectKey, Option<Arc<Document>>)>;

/// Writes statuses on a thread of its own: neither a change nor its acknowledgement waits for the disk.
/// When changes come faster than the disk takes them, only the last status of each object is written.
#[derive(Debug)]
pub struct StatusWriter {
    jobs: Option<mpsc::Sender<Job>>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
enum Job {
    Write(Changes),
    KeepOnly(BTreeSet<String>),
}

impl StatusWriter {
    /// Starts the thread. `report` is told of each write: how many files it touched, or why it failed.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn start(
        mut directory: StatusDirectory,
        report: impl Fn(Result<usize, StatusError>) + Send + 'static,
    ) -> Result<Self, StatusError> {
        let (jobs, incoming) = mpsc::channel();
        let path = directory.folder.clone();
        let thread = std::thread::Builder::new()
            .name("statuses".to_owned())
            .spawn(move || work(&mut directory, &incoming, &report))
            .map_err(|source| StatusError { action: "starting a thread to write", path, source })?;
        Ok(Self { jobs: Some(jobs), thread: Some(thread) })
    }

    /// Hands over what differs.
    pub fn write(&self, changes: Changes) {
        if !changes.is_empty() {
            self.submit(Job::Write(changes));
        }
    }

    /// Asks to remove the files of all other objects.
    pub fn keep_only(&self, statuses: &Statuses) {
        self.submit(Job::KeepOnly(statuses.keys().filter_map(file_name).collect()));
    }

    fn submit(&self, job: Job) {
        if let Some(jobs) = &self.jobs {
            // The thread ends only when this sender is dropped.
            drop(jobs.send(job));
        }
    }
}

impl Drop for StatusWriter {
    /// Waits until everything is written.
    fn drop(&mut self) {
        drop(self.jobs.take());
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

fn work(
    directory: &mut StatusDirectory,
    incoming: &mpsc::Receiver<Job>,
    report: &impl Fn(Result<usize, StatusError>),
) {
    while let Ok(first) = incoming.recv() {
        let mut newest = BTreeMap::new();
        let mut kept = None;
        for job in std::iter::once(first).chain(incoming.try_iter()) {
            match job {
                Job::Write(changes) => newest.extend(changes),
                Job::KeepOnly(names) => kept = Some(names),
            }
        }
        let changes: Changes = newest.into_iter().collect();
        report(directory.publish(&changes));
        if let Some(names) = kept {
            report(directory.keep_only(&names));
        }
    }
}

fn read(document: &Document) -> Option<(ObjectKey, Status)> {
    let text = |pointer: &str| document.pointer(pointer).and_then(Value::as_str);
    let kind = Kind::find(text("/apiVersion")?, text("/kind")?)?;
    let namespace = text("/metadata/namespace").unwrap_or_default();
    let name = Name::new(namespace, text("/metadata/name")?);
    let status = document.get("status")?.clone();
    let status = match kind {
        Kind::GatewayClass => from_value(status).map(Status::Class),
        Kind::Gateway | Kind::FairwayGateway => from_value(status).map(Status::Gateway),
        Kind::ListenerSet => from_value(status).map(Status::ListenerSet),
        Kind::BackendTlsPolicy | Kind::XTelemetryPolicy => from_value(status).map(Status::Policy),
        Kind::Ingress => from_value(status).map(Status::Ingress),
        route if view::is_route(route) => from_value(status).map(Status::Route),
        _ => return None,
    };
    Some((ObjectKey { kind, name }, status.ok()?))
}

fn is_status(name: &str) -> bool {
    !name.starts_with('.') && Path::new(name).extension().is_some_and(|ending| ending == "yaml")
}

/// `HTTPRoute.shop.cart.yaml`; our Gateway is told from Gateway API's by its group. Admission has let
/// only names through that are safe in a path; what is not is left out all the same.
fn file_name(key: &ObjectKey) -> Option<String> {
    let mut file = key.kind.name().to_owned();
    if key.kind.group() == FAIRWAY {
        file.push_str(".fairway.dev");
    }
    let name = &key.name;
    for part in [&name.namespace, &name.name].into_iter().filter(|part| !part.is_empty()) {
        file.push('.');
        file.push_str(part);
    }
    file.push_str(".yaml");
    let safe = file.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_'));
    safe.then_some(file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn key(name: &str) -> ObjectKey {
        ObjectKey { kind: Kind::HttpRoute, name: Name::new("shop", name) }
    }

    fn put(name: &str, reason: &str) -> (ObjectKey, Option<Arc<Document>>) {
        (key(name), Some(Arc::new(json!({"status": {"reason": reason}}))))
    }

    #[test]
    fn only_differences_are_written() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut directory = StatusDirectory::open(folder.path()).expect("opened");
        let mut publish = |changes: &[_]| directory.publish(changes).expect("written");
        let both = [put("cart", "Accepted"), put("pay", "Accepted")];
        assert_eq!(publish(&both), 2);
        assert_eq!(publish(&both), 0);
        assert_eq!(publish(&[put("cart", "Other"), (key("pay"), None)]), 2);

        let mut again = StatusDirectory::open(folder.path()).expect("opened");
        assert_eq!(again.publish(&[put("cart", "Other")]).expect("written"), 0);
        assert_eq!(again.keep_only(&BTreeSet::new()).expect("removed"), 1);
        assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 0);
    }

    #[test]
    fn the_writer_writes_the_last_of_each_and_ends_when_all_is_written() {
        let folder = tempfile::tempdir().expect("a folder");
        let directory = StatusDirectory::open(folder.path()).expect("opened");
        let report = |written: Result<usize, StatusError>| assert!(written.is_ok());
        let writer = StatusWriter::start(directory, report).expect("started");
        for number in 0..50 {
            writer.write(vec![put("cart", &number.to_string()), put("pay", "Accepted")]);
        }
        writer.write(vec![(key("pay"), None)]);
        drop(writer);
        let again = StatusDirectory::open(folder.path()).expect("opened");
        let reasons: Vec<_> = again.written.values().map(|d| &d["status"]["reason"]).collect();
        assert_eq!(reasons, ["49"]);
    }

    #[test]
    fn an_earlier_runs_statuses_are_read_back() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut directory = StatusDirectory::open(folder.path()).expect("opened");
        let document = json!({
            "apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute",
            "metadata": {"namespace": "shop", "name": "cart"}, "status": {"parents": []},
        });
        directory.publish(&[(key("cart"), Some(Arc::new(document)))]).expect("written");
        let again = StatusDirectory::open(folder.path()).expect("opened").statuses();
        let empty = fairway_api::status::RouteStatus::default();
        assert_eq!(again.get(&key("cart")).map(|status| &**status), Some(&Status::Route(empty)));
    }

    #[test]
    fn names_never_leave_the_directory() {
        assert_eq!(file_name(&key("../../etc/passwd")), None);
        assert_eq!(file_name(&key("cart")).as_deref(), Some("HTTPRoute.shop.cart.yaml"));
    }
}
