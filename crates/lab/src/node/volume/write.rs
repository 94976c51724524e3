//! Writes a volume's files so that a reader sees all old ones or all new ones, as kubelet does:
//! `name` -> `..data/name`, `..data` -> a directory that is replaced as a whole.

use std::{
    collections::BTreeSet,
    fs, io,
    os::unix::fs::{PermissionsExt, chown, symlink},
    path::Path,
};

use super::Files;

const DATA: &str = "..data";
const NEW: &str = "..data_tmp";

/// Makes a volume's content these files, of this group if one is given.
pub(in crate::node) fn replace(volume: &Path, files: &Files, group: Option<u32>) -> io::Result<()> {
    fs::create_dir_all(volume)?;
    let old = fs::read_link(volume.join(DATA)).ok();
    let generation = (0_u32..)
        .map(|number| format!("..{number}"))
        .find(|name| !volume.join(name).exists())
        .expect("there are fewer directories than numbers");
    let fresh = volume.join(&generation);
    fs::create_dir(&fresh)?;
    for (path, file) in files {
        let path = fresh.join(path);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(&path, &file.bytes)?;
        // A group's members may read what the owner may (kubelet's rule for `fsGroup`).
        let mode = if group.is_some() { file.mode | ((file.mode & 0o400) >> 3) } else { file.mode };
        fs::set_permissions(&path, fs::Permissions::from_mode(mode))?;
        if let Some(group) = group {
            chown(&path, None, Some(group))?;
        }
    }
    let pointer = volume.join(NEW);
    if pointer.symlink_metadata().is_ok() {
        fs::remove_file(&pointer)?;
    }
    symlink(&generation, &pointer)?;
    fs::rename(&pointer, volume.join(DATA))?;
    link_names(volume, files)?;
    if let Some(old) = old {
        fs::remove_dir_all(volume.join(old))?;
    }
    Ok(())
}

/// The names that readers use, and no other.
fn link_names(volume: &Path, files: &Files) -> io::Result<()> {
    let first = |path: &str| path.split('/').next().unwrap_or_default().to_owned();
    let wanted: BTreeSet<String> = files.keys().map(|path| first(path)).collect();
    for name in &wanted {
        let link = volume.join(name);
        if link.symlink_metadata().is_err() {
            symlink(Path::new(DATA).join(name), link)?;
        }
    }
    for entry in fs::read_dir(volume)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if !name.starts_with("..") && !wanted.contains(&name) {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{super::File, *};

    fn files(list: &[(&str, &str)]) -> Files {
        let file = |text: &str| File { bytes: text.as_bytes().to_vec(), mode: 0o640 };
        list.iter().map(|(path, text)| ((*path).to_owned(), file(text))).collect()
    }

    #[test]
    fn files_are_replaced_together_and_old_ones_go() {
        let directory = tempfile::tempdir().unwrap();
        let volume = directory.path().join("v");
        replace(&volume, &files(&[("crt", "1"), ("deep/key", "1")]), None).unwrap();
        assert_eq!(fs::read_to_string(volume.join("deep/key")).unwrap(), "1");
        replace(&volume, &files(&[("crt", "2")]), None).unwrap();
        assert_eq!(fs::read_to_string(volume.join("crt")).unwrap(), "2");
        assert!(!volume.join("deep").exists() && volume.join("deep").symlink_metadata().is_err());
        // `..data`, what it points to, `crt`.
        assert_eq!(fs::read_dir(&volume).unwrap().count(), 3);
    }
}
