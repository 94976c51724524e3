//! Whose lab it is: a file with the process and when that began, so that a number that is given out again is
//! not taken for the old owner.

use std::fs;
use std::io;
use std::path::Path;

const FILE: &str = "owner";

/// Writes down that a lab is this process'.
///
/// # Errors
/// The folder refuses.
pub(crate) fn claim(folder: &Path) -> io::Result<()> {
    let pid = std::process::id();
    let began = began(pid).ok_or_else(|| io::Error::other("/proc does not show this process"))?;
    fs::write(folder.join(FILE), format!("{pid} {began}\n"))
}

/// Gives the process that a lab belongs to, if it still runs.
pub(crate) fn alive(folder: &Path) -> Option<u32> {
    let text = fs::read_to_string(folder.join(FILE)).ok()?;
    let (pid, known) = text.trim().split_once(' ')?;
    let pid = pid.parse().ok()?;
    (began(pid)? == known).then_some(pid)
}

/// Reads when a process began (`starttime` of proc(5)): the 20th word behind its name.
fn began(pid: u32) -> Option<String> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, behind) = text.rsplit_once(") ")?;
    // A process that has ended and was not waited for is no owner.
    if behind.starts_with('Z') {
        return None;
    }
    behind.split(' ').nth(19).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lab_is_its_owners_while_it_runs() {
        let folder = tempfile::tempdir().expect("a folder");
        assert_eq!(alive(folder.path()), None);
        claim(folder.path()).expect("written");
        assert_eq!(alive(folder.path()), Some(std::process::id()));
        let other = format!("{} 1\n", std::process::id());
        fs::write(folder.path().join(FILE), other).expect("written");
        assert_eq!(alive(folder.path()), None, "that process began at another time");
    }
}
