//! The text files of the repository, read once: what every check looks at. Checks take it as a value, so
//! that a broken tree can be written down in a few lines.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::OnceLock;

/// Each file's text by its path from the root, with `/` between its parts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tree(BTreeMap<String, String>);

impl Tree {
    /// Gives the repository as it stands in the working directory.
    pub(crate) fn of_repository() -> &'static Self {
        static TREE: OnceLock<Tree> = OnceLock::new();
        TREE.get_or_init(|| {
            let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask has a parent");
            let mut tree = Self::default();
            tree.read(root, "");
            tree
        })
    }

    fn read(&mut self, folder: &Path, prefix: &str) {
        for entry in fs::read_dir(folder).expect("a folder of the repository is readable") {
            let entry = entry.expect("a folder of the repository is readable");
            let name = entry.file_name().to_string_lossy().into_owned();
            let path = format!("{prefix}{name}");
            // A file may go away while others edit, and a picture has no lines: neither is checked.
            if entry.path().is_dir() {
                if !matches!(path.as_str(), ".git" | "target") && name != "node_modules" {
                    self.read(&entry.path(), &format!("{path}/"));
                }
            } else if let Ok(text) = fs::read_to_string(entry.path()) {
                self.0.insert(path, text);
            }
        }
    }

    pub(crate) fn text(&self, path: &str) -> Option<&str> {
        self.0.get(path).map(String::as_str)
    }

    /// Whether a file or a folder of this path exists.
    pub(crate) fn holds(&self, path: &str) -> bool {
        let path = path.trim_end_matches('/');
        let folder = format!("{path}/");
        path.is_empty() || self.0.keys().any(|key| key == path || key.starts_with(&folder))
    }

    /// Gives the files whose name ends with `extension`, without what others wrote.
    pub(crate) fn ours<'a>(
        &'a self,
        extension: &'a str,
    ) -> impl Iterator<Item = (&'a str, &'a str)> + 'a {
        self.0
            .iter()
            .filter(move |(path, _)| path.ends_with(extension) && !path.contains("/vendor/"))
            .map(|(path, text)| (path.as_str(), text.as_str()))
    }

    /// Gives the names of the folders directly in `folder`.
    pub(crate) fn folders_in(&self, folder: &str) -> Vec<&str> {
        let mut names: Vec<&str> = self
            .0
            .keys()
            .filter_map(|path| path.strip_prefix(folder)?.strip_prefix('/')?.split_once('/'))
            .map(|(name, _)| name)
            .collect();
        names.dedup();
        names
    }
}

impl FromIterator<(String, String)> for Tree {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(files: I) -> Self {
        Self(files.into_iter().collect())
    }
}
