//! Writes statuses into a directory, as a cluster would hold them: one file an object, only what differs.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::Value;

/// A status: `apiVersion`, `kind`, `metadata` and `status` of one object.
pub type Document = Value;

/// A directory of statuses.
#[derive(Debug)]
pub struct StatusDirectory {
    folder: PathBuf,
    written: BTreeMap<String, Document>,
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
            written.insert(name, serde_saphyr::from_str(&text).unwrap_or_default());
        }
        Ok(Self { folder, written })
    }

    /// Gives what is written now, by file.
    #[must_use]
    pub fn documents(&self) -> &BTreeMap<String, Document> {
        &self.written
    }

    /// Writes what differs and removes what is not wanted any more; gives how many files it touched.
    /// A file is replaced as a whole, so nobody reads half of one.
    ///
    /// # Errors
    /// The disk refuses; what was not written is tried again at the next call.
    pub fn publish(&mut self, documents: Vec<Document>) -> Result<usize, StatusError> {
        let wanted: BTreeMap<String, Document> = documents
            .into_iter()
            .filter_map(|document| Some((file_name(&document)?, document)))
            .collect();
        let mut touched = 0;
        for (name, document) in &wanted {
            if self.written.get(name) == Some(document) {
                continue;
            }
            self.replace(name, document)?;
            self.written.insert(name.clone(), document.clone());
            touched += 1;
        }
        let gone: Vec<String> =
            self.written.keys().filter(|name| !wanted.contains_key(*name)).cloned().collect();
        for name in gone {
            self.remove(&name)?;
            self.written.remove(&name);
            touched += 1;
        }
        Ok(touched)
    }

    fn replace(&self, name: &str, document: &Document) -> Result<(), StatusError> {
        let path = self.folder.join(name);
        let fresh = self.folder.join(format!(".{name}.new"));
        let text = serde_saphyr::to_string(document).map_err(io::Error::other);
        text.and_then(|text| fs::write(&fresh, text))
            .and_then(|()| fs::rename(&fresh, &path))
            .map_err(|source| StatusError { action: "writing", path, source })
    }

    fn remove(&self, name: &str) -> Result<(), StatusError> {
        let path = self.folder.join(name);
        match fs::remove_file(&path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                Err(StatusError { action: "removing", path, source })
            }
            Ok(()) | Err(_) => Ok(()),
        }
    }
}

fn is_status(name: &str) -> bool {
    !name.starts_with('.') && Path::new(name).extension().is_some_and(|ending| ending == "yaml")
}

/// `HTTPRoute.shop.cart.yaml`; our Gateway is told from Gateway API's by its group. Admission has let
/// only names through that are safe in a path; what is not is left out all the same.
fn file_name(document: &Document) -> Option<String> {
    let text = |pointer: &str| document.pointer(pointer).and_then(Value::as_str);
    let kind = text("/kind")?;
    let group = text("/apiVersion")?.split_once('/').map_or("", |(group, _)| group);
    let kind = if group == "fairway.dev" { format!("{kind}.{group}") } else { kind.to_owned() };
    let name = text("/metadata/name")?;
    let parts: Vec<&str> = text("/metadata/namespace").into_iter().chain([name]).collect();
    let file = format!("{kind}.{}.yaml", parts.join("."));
    let safe = file.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_'));
    safe.then_some(file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn status(name: &str, reason: &str) -> Document {
        json!({
            "apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute",
            "metadata": {"namespace": "shop", "name": name},
            "status": {"parents": [{"conditions": [{"reason": reason}]}]},
        })
    }

    #[test]
    fn only_differences_are_written() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut directory = StatusDirectory::open(folder.path()).expect("opened");
        let publish = |directory: &mut StatusDirectory, documents| {
            directory.publish(documents).expect("written")
        };
        let both = || vec![status("cart", "Accepted"), status("pay", "Accepted")];
        assert_eq!(publish(&mut directory, both()), 2);
        assert_eq!(publish(&mut directory, both()), 0);
        assert_eq!(publish(&mut directory, vec![status("cart", "Other")]), 2);

        let again = StatusDirectory::open(folder.path()).expect("opened");
        assert_eq!(again.documents()["HTTPRoute.shop.cart.yaml"], status("cart", "Other"));
        assert_eq!(again.documents().len(), 1);
    }

    #[test]
    fn names_never_leave_the_directory() {
        assert_eq!(file_name(&status("../../etc/passwd", "x")), None);
        assert_eq!(file_name(&status("cart", "x")).as_deref(), Some("HTTPRoute.shop.cart.yaml"));
    }
}
