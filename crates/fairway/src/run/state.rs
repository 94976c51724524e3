//! The state directory: where the last good configuration is kept, by one process at a time.

use std::env;
use std::fmt::Write as _;
use std::fs::{DirBuilder, File, TryLockError};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use aws_lc_rs::digest::{SHA256, digest};

/// Bytes of the hash that tell directories of one name apart.
const HASH_BYTES: usize = 6;

/// Gives the directory when nobody says which: `<user's state directory>/fairway/<name>-<hash of the whole path>`.
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

/// Makes the directory, for its owner alone since keys are kept in it, and claims it for this process:
/// two that wrote there would take each other's last good state away.
///
/// # Errors
/// Another process has it, or the disk refuses.
pub(crate) fn claim(directory: &Path) -> anyhow::Result<File> {
    let making = || format!("creating the state directory {}", directory.display());
    DirBuilder::new().recursive(true).mode(0o700).create(directory).with_context(making)?;
    let path = directory.join("lock");
    let opening = || format!("opening {}", path.display());
    let file = File::options().create(true).append(true).open(&path).with_context(opening)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => bail!(
            "another process has the state directory {}: choose another one with --state",
            directory.display()
        ),
        Err(TryLockError::Error(error)) => Err(error).with_context(opening),
    }
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
    fn a_directory_is_one_process_own() {
        let folder = tempfile::tempdir().expect("a folder");
        let state = folder.path().join("a/b");
        let claimed = claim(&state).expect("free");
        let error = claim(&state).expect_err("claimed").to_string();
        assert!(error.contains("--state"), "{error}");
        drop(claimed);
        claim(&state).expect("free again");
    }

    #[test]
    fn directories_of_one_name_are_told_apart() {
        let (one, other) = (name_for(Path::new("/a/shop")), name_for(Path::new("/b/shop")));
        assert!(one.starts_with("shop-") && other.starts_with("shop-") && one != other);
        assert_eq!(one, name_for(Path::new("/a/shop")));
    }
}
