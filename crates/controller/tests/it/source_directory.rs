//! A directory to scan, for the tests of the file source.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use fairway_controller::sources::admission::Schemas;
use fairway_controller::sources::{FileSource, Placed, Scan};
use jiff::Timestamp;
use tempfile::TempDir;

static SCHEMAS: LazyLock<Arc<Schemas>> = LazyLock::new(|| Arc::new(Schemas::bundled()));

/// A temporary directory, and the source that reads it.
pub(super) struct Directory {
    directory: TempDir,
    pub(super) source: FileSource,
    clock: i64,
}

impl Directory {
    pub(super) fn new() -> Self {
        let directory = TempDir::new().unwrap();
        let source = FileSource::new(directory.path().join("conf"), &SCHEMAS);
        fs::create_dir(directory.path().join("conf")).unwrap();
        Self { directory, source, clock: 0 }
    }

    pub(super) fn with(files: &[(&str, &str)]) -> Self {
        let mut directory = Self::new();
        for (name, text) in files {
            directory.write(name, text);
        }
        directory
    }

    pub(super) fn root(&self) -> PathBuf {
        self.directory.path().join("conf")
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.root().join(name)
    }

    /// Writes a file the way editors do: another file, renamed.
    pub(super) fn write(&mut self, name: &str, text: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let temporary = self.directory.path().join("new");
        fs::write(&temporary, text).unwrap();
        fs::rename(temporary, path).unwrap();
    }

    pub(super) fn remove(&mut self, name: &str) {
        fs::remove_file(self.path(name)).unwrap();
    }

    /// Scans, one second after the last scan.
    pub(super) fn scan(&mut self) -> Scan {
        self.clock += 1;
        self.source.scan(Timestamp::from_second(self.clock).unwrap())
    }

    /// Scans, and gives the problems, each as one line without the directory.
    pub(super) fn problems(&mut self) -> Vec<String> {
        let scan = self.scan();
        self.lines(&scan)
    }

    pub(super) fn lines(&self, scan: &Scan) -> Vec<String> {
        let root = self.root();
        let prefix = format!("{}/", root.display());
        let line = |problem: &dyn ToString| {
            problem.to_string().replace(&prefix, "").replace(root.to_str().unwrap(), "DIR")
        };
        scan.problems.iter().map(|problem| line(problem)).collect()
    }
}

/// The objects that files hold, as one line each: key and generation.
pub(super) fn keys(scan: &Scan) -> Vec<String> {
    written(scan)
        .map(|placed| format!("{}@{}", placed.object.key, placed.object.generation()))
        .collect()
}

pub(super) fn written(scan: &Scan) -> impl Iterator<Item = &Placed> {
    scan.objects.iter().filter(|placed| !placed.implied)
}

/// A route with one path.
pub(super) fn route(name: &str, path: &str) -> String {
    format!(
        "apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata:
  name: {name}
spec:
  rules:
  - matches:
    - path:
        value: {path}
"
    )
}

pub(super) fn link(target: &str, path: &Path) {
    std::os::unix::fs::symlink(target, path).unwrap();
}
