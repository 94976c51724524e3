//! The system calls that the lab makes itself.
#![expect(
    unsafe_code,
    reason = "entering a namespace is a system call without a safe wrapper in use here"
)]

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;

/// Moves the calling thread, and threads that it starts later, into a network namespace.
///
/// # Errors
/// The file is no network namespace, or the caller is not root.
pub(crate) fn enter_network(namespace: &File) -> io::Result<()> {
    // SAFETY: the descriptor is open for the whole call, and setns touches no memory of ours.
    let result = unsafe { libc::setns(namespace.as_raw_fd(), libc::CLONE_NEWNET) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
