//! What only the operating system can tell or grant. The one place of this crate with `unsafe`.
#![expect(unsafe_code, reason = "the C library's interface to resource limits is not safe Rust")]

/// Raises the number of files this process may have open as far as it may by itself, and gives that
/// number; `None` where the system does not say.
pub(crate) fn raise_open_files() -> Option<u64> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the pointer is to a live and writable `rlimit` for the time of the call.
    if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) } != 0 {
        return None;
    }
    let raised = libc::rlimit { rlim_cur: limit.rlim_max, ..limit };
    // SAFETY: the pointer is to a live `rlimit` for the time of the call.
    let granted = unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const raised) } == 0;
    Some(if granted { raised.rlim_cur } else { limit.rlim_cur })
}
