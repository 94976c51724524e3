//! Takes away what a node that was killed left behind: processes and network namespaces, found by
//! their name.

use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::Path,
    process::{Command, Stdio},
};

use super::{
    NodeError,
    network::{NAMESPACES, PREFIX},
    sys,
};

/// Ends the processes of this lab's pods and removes their namespaces. Their mounts go with them.
///
/// # Errors
///
/// When `ip` cannot be run.
pub fn remove(lab: &str) -> Result<(), NodeError> {
    let prefix = format!("{PREFIX}{lab}-");
    for entry in fs::read_dir(NAMESPACES).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        // A longer lab's name may begin with this one's: what follows must be a number.
        let number = name
            .strip_prefix(&prefix)
            .is_some_and(|rest| rest.bytes().all(|byte| byte.is_ascii_digit()));
        if number {
            end_processes_in(&name);
            let start = |cause| NodeError::Start { program: "ip", cause };
            // That it is gone already is as good.
            let _status = Command::new("ip")
                .args(["netns", "del", &name])
                .stderr(Stdio::null())
                .status()
                .map_err(start)?;
        }
    }
    Ok(())
}

/// Kills every process in a named network namespace.
pub(super) fn end_processes_in(namespace: &str) {
    let Ok(wanted) = fs::metadata(Path::new(NAMESPACES).join(namespace)) else { return };
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(process) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok())
        else {
            continue;
        };
        let inside = fs::metadata(entry.path().join("ns/net"))
            .is_ok_and(|own| own.ino() == wanted.ino() && own.dev() == wanted.dev());
        if inside {
            sys::signal(process, libc::SIGKILL);
        }
    }
}
