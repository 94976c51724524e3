//! Where the last good configuration of a directory is kept when nobody says where.

use std::env;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use aws_lc_rs::digest::{SHA256, digest};

/// Bytes of the hash that tell directories of one name apart.
const HASH_BYTES: usize = 6;

/// Gives `<user's state directory>/fairway/<name>-<hash of the whole path>`.
///
/// # Errors
/// The user has no home, or the directory is not there.
pub(super) fn default_directory(of: &Path) -> anyhow::Result<PathBuf> {
    let given = env::var_os("XDG_STATE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let home = || env::var_os("HOME").map(|home| PathBuf::from(home).join(".local/state"));
    let Some(base) = given.or_else(home) else {
        bail!("neither XDG_STATE_HOME nor HOME is set: say with --state where to keep the state");
    };
    let whole = of.canonicalize().with_context(|| format!("reading {}", of.display()))?;
    Ok(base.join("fairway").join(name_for(&whole)))
}

fn name_for(whole: &Path) -> String {
    let mut name: String = whole
        .file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default()
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))
        .collect();
    name.push('-');
    let hash = digest(&SHA256, whole.as_os_str().as_encoded_bytes());
    for byte in hash.as_ref().iter().take(HASH_BYTES) {
        write!(name, "{byte:02x}").expect("writing to a String never fails");
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_of_one_name_are_told_apart() {
        let (one, other) = (name_for(Path::new("/a/shop")), name_for(Path::new("/b/shop")));
        assert!(one.starts_with("shop-") && other.starts_with("shop-") && one != other);
        assert_eq!(one, name_for(Path::new("/a/shop")));
    }
}
