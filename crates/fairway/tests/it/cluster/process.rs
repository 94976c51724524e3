//! Processes of pods, found by what the node gave them, and signals for processes.

use std::fs;
use std::process::Command;

/// Finds the proxy's process of a pod, if it runs.
pub(super) fn proxy(pod: &str) -> Option<u32> {
    let wanted = format!("POD_NAME={pod}");
    let processes = fs::read_dir("/proc").expect("a system with processes").flatten();
    let mut pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.find(|pid| {
        // A process may end while it is looked at.
        let read = |file: &str| fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
        let is_proxy = read("cmdline").split(|byte| *byte == 0).nth(1) == Some(b"proxy");
        is_proxy && read("environ").split(|byte| *byte == 0).any(|each| each == wanted.as_bytes())
    })
}

/// Sends a signal.
pub(super) fn signal(name: &str, pid: u32) {
    let sent = Command::new("kill").args([name, &pid.to_string()]).status();
    assert!(sent.is_ok_and(|status| status.success()), "kill {name} {pid}");
}
