//! The last good state of objects, over a restart. While the process lives the source itself keeps it; at
//! a start on broken files it comes from here: what counted when they were last whole, read once, used
//! only for what a problem stands in the way of.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;

use fairway_api::kind;
use serde::{Serialize, Serializer};
use serde_json::Value;

use super::key::{ObjectKey, split_api_version};
use super::{AdmittedObject, Placed, Problem, Scan};

/// Objects by the file that they were read from.
type ByFile = BTreeMap<Arc<str>, Vec<Arc<AdmittedObject>>>;

/// Objects that counted, by file, kept on disk. Secrets are among them: only its owner may read it.
#[derive(Debug)]
pub struct Remembered {
    /// What the process before has left, less what has been seen whole since.
    candidates: ByFile,
    /// Writing is a thread's of its own: no change waits for the disk.
    writer: Option<mpsc::Sender<ByFile>>,
    thread: Option<JoinHandle<()>>,
}

impl Remembered {
    /// Reads what the process before has left. What cannot be read counts as nothing.
    pub fn open(path: PathBuf) -> Self {
        let candidates = match fs::read(&path) {
            Ok(bytes) => decode(&bytes),
            Err(error) => {
                if error.kind() != io::ErrorKind::NotFound {
                    tracing::warn!(%error, "reading {}", path.display());
                }
                BTreeMap::new()
            }
        };
        let (writer, incoming) = mpsc::channel();
        let thread = std::thread::Builder::new()
            .name("objects".to_owned())
            .spawn(move || write_newest(&path, &incoming))
            .inspect_err(|error| tracing::warn!(%error, "objects are not remembered"))
            .ok();
        Self { candidates, writer: Some(writer), thread }
    }

    /// Gives objects of the process before that a problem stands in the way of: all of a file that cannot
    /// be read, and single ones that are not valid. Files that are whole are forgotten here.
    pub fn revive(&mut self, scan: &Scan) -> Vec<Arc<AdmittedObject>> {
        if self.candidates.is_empty() {
            return Vec::new();
        }
        let errors = || scan.problems.iter().filter(|problem| problem.is_error());
        let broken_files: HashSet<&str> =
            errors().filter(|p| p.object.is_none()).map(|p| &*p.file).collect();
        let broken_objects: HashSet<&ObjectKey> =
            errors().filter_map(|problem| problem.object.as_ref()).collect();
        let hidden = |file: &str| broken_files.iter().any(|broken| is_below(file, broken));
        let in_trouble = |problem: &Problem, file: &str| is_below(file, &problem.file);
        self.candidates.retain(|file, _| errors().any(|problem| in_trouble(problem, file)));
        let present: HashSet<&ObjectKey> =
            scan.objects.iter().filter(|p| !p.implied).map(|p| &p.object.key).collect();
        let candidates = self.candidates.iter();
        let wanted = candidates.flat_map(|(file, objects)| {
            let all = hidden(file);
            objects.iter().map(move |object| (all, object))
        });
        wanted
            .filter(|(all, object)| *all || broken_objects.contains(&object.key))
            .filter(|(_, object)| !present.contains(&object.key))
            .map(|(_, object)| Arc::clone(object))
            .collect()
    }

    /// Writes what counts now, soon. A failure is told and costs no more than the next start on broken
    /// files.
    pub fn remember(&self, objects: &[Placed], revived: &[Arc<AdmittedObject>]) {
        let mut files = ByFile::new();
        for placed in objects.iter().filter(|placed| !placed.implied) {
            let file = files.entry(Arc::clone(&placed.origin.file)).or_default();
            file.push(Arc::clone(&placed.object));
        }
        for (file, candidates) in &self.candidates {
            let still = |object: &&Arc<AdmittedObject>| {
                revived.iter().any(|revived| Arc::ptr_eq(revived, object))
            };
            let kept = candidates.iter().filter(still).map(Arc::clone);
            files.entry(Arc::clone(file)).or_default().extend(kept);
        }
        if let Some(writer) = &self.writer {
            // The thread ends only when this sender is dropped.
            drop(writer.send(files));
        }
    }
}

impl Drop for Remembered {
    /// Waits until the newest objects are on disk.
    fn drop(&mut self) {
        drop(self.writer.take());
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

fn write_newest(path: &Path, incoming: &mpsc::Receiver<ByFile>) {
    while let Ok(mut files) = incoming.recv() {
        while let Ok(newer) = incoming.try_recv() {
            files = newer;
        }
        if let Err(error) = replace(path, &files) {
            tracing::warn!(%error, "writing {}", path.display());
        }
    }
}

/// Says whether a file is the one that a problem names, or below it.
fn is_below(file: &str, named: &str) -> bool {
    Path::new(file).starts_with(named)
}

fn decode(bytes: &[u8]) -> BTreeMap<Arc<str>, Vec<Arc<AdmittedObject>>> {
    let files: BTreeMap<Arc<str>, Vec<Value>> = serde_json::from_slice(bytes).unwrap_or_default();
    let object = |value: Value| {
        let text =
            |pointer: &str| value.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        let (group, _) = split_api_version(text("/apiVersion"));
        let (namespace, name) = (text("/metadata/namespace"), text("/metadata/name"));
        let key = ObjectKey::new(group, text("/kind"), namespace, name);
        let object = kind::decode(value.clone()).ok()?;
        Some(Arc::new(AdmittedObject { key, object }))
    };
    let all = |values: Vec<Value>| values.into_iter().filter_map(object).collect();
    files.into_iter().map(|(file, values)| (file, all(values))).collect()
}

/// Objects as JSON, one after the other: ten thousand of them are never in memory twice.
struct Written<'a>(&'a [Arc<AdmittedObject>]);

impl Serialize for Written<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(|object| object.to_value()))
    }
}

fn replace(path: &Path, files: &ByFile) -> io::Result<()> {
    let fresh = path.with_extension("json.new");
    let file =
        fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&fresh)?;
    let mut file = io::BufWriter::new(file);
    let written = files.iter().map(|(name, objects)| (&**name, Written(objects)));
    serde_json::Serializer::new(&mut file).collect_map(written)?;
    let file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
    file.sync_all()?;
    fs::rename(&fresh, path)
}
