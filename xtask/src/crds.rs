//! Writes the CRDs that `crates/api` gives, and removes those that it no longer gives. A test of
//! `crates/api` holds the files to the types.

use std::collections::BTreeSet;
use std::fs;
use std::process::ExitCode;

use anyhow::{Context, Result};

use crate::cargo;

pub(crate) fn write() -> Result<ExitCode> {
    let folder = cargo::root().join("charts/fairway/crds");
    fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
    let mut written = BTreeSet::new();
    for (name, yaml) in fairway_api::crd::files() {
        let path = folder.join(&name);
        let is_new = fs::read_to_string(&path).map_or(true, |old| old != yaml);
        if is_new {
            fs::write(&path, yaml).with_context(|| format!("writing {}", path.display()))?;
        }
        println!("{} {}", if is_new { "written  " } else { "unchanged" }, path.display());
        written.insert(name);
    }
    for entry in fs::read_dir(&folder)? {
        let entry = entry?;
        if !written.contains(entry.file_name().to_string_lossy().as_ref()) {
            fs::remove_file(entry.path())?;
            println!("removed   {}", entry.path().display());
        }
    }
    Ok(ExitCode::SUCCESS)
}
