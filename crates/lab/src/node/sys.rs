//! What a pod's process does between its fork and its program: steps prepared beforehand, each a
//! system call. Nothing here allocates after the fork, as other threads' locks may be held there.
#![expect(
    unsafe_code,
    reason = "namespaces, mounts and credentials are system calls that std does not offer"
)]

use std::{
    ffi::{CStr, CString},
    fs::File,
    io::{Error, Result},
    os::{
        fd::{AsRawFd, RawFd},
        unix::process::CommandExt,
    },
    process::Command,
    ptr,
};

/// One thing to do before the program starts.
#[derive(Debug)]
pub(super) enum Step {
    /// Enter a network namespace.
    EnterNetwork(File),
    /// A mount namespace and a host name of its own; nothing mounted from here on is seen outside.
    OwnMounts(CString),
    /// Mount something; `data` is the file system's own options.
    Mount { source: CString, target: CString, kind: CString, flags: u64, data: CString },
    /// Make a directory; one that exists is as good.
    Directory(CString, u32),
    /// Make a symbolic link.
    Link { to: CString, at: CString },
    /// Write a file, made if needed.
    Write(CString, Vec<u8>),
    /// Remove a file; none is as good.
    Remove(CString),
    /// Make this directory the root and forget the old one.
    Root(CString),
    /// Go to a directory.
    Enter(CString),
    /// Give up every capability but these (a bit set by number).
    Capabilities(u64),
    /// Further groups.
    Groups(Vec<libc::gid_t>),
    /// The group.
    Group(libc::gid_t),
    /// The user.
    User(libc::uid_t),
    /// `no_new_privs`.
    NoNewPrivileges,
    /// A session of its own, so that all its processes can be signalled together.
    Session,
    /// Die when the thread that started it dies.
    DieWithParent,
}

/// Lets a command do these steps after its fork. The first that fails ends it: its number goes to
/// the error output, its error to whoever starts the command.
pub(super) fn prepare(command: &mut Command, steps: Vec<Step>) {
    let run = move || {
        for (number, step) in steps.iter().enumerate() {
            if let Err(error) = perform(step) {
                report(number);
                return Err(error);
            }
        }
        Ok(())
    };
    // SAFETY: the closure makes system calls on memory prepared before the fork, and nothing else.
    unsafe { command.pre_exec(run) };
}

/// Sends a signal to every process of a session that [`Step::Session`] began.
pub(super) fn signal_session(leader: u32, signal: i32) {
    if let Ok(leader) = libc::pid_t::try_from(leader) {
        // SAFETY: no memory is passed. That nobody is left is as good.
        unsafe { libc::kill(-leader, signal) };
    }
}

/// Sends a signal to one process.
pub(super) fn signal(process: u32, signal: i32) {
    if let Ok(process) = libc::pid_t::try_from(process) {
        // SAFETY: no memory is passed. That it is gone is as good.
        unsafe { libc::kill(process, signal) };
    }
}

/// Waits until a child has ended and leaves it to be reaped, so that its number is not used again.
pub(super) fn wait_for_end(child: u32) {
    loop {
        // SAFETY: the kernel fills the record, which is as large as it expects.
        let result = unsafe {
            let mut record: libc::siginfo_t = std::mem::zeroed();
            libc::waitid(libc::P_PID, child, &raw mut record, libc::WEXITED | libc::WNOWAIT)
        };
        if result == 0 || Error::last_os_error().raw_os_error() != Some(libc::EINTR) {
            return;
        }
    }
}

fn check(result: libc::c_int) -> Result<()> {
    if result < 0 { Err(Error::last_os_error()) } else { Ok(()) }
}

fn tolerate(result: libc::c_int, harmless: i32) -> Result<()> {
    match check(result) {
        Err(error) if error.raw_os_error() == Some(harmless) => Ok(()),
        other => other,
    }
}

fn perform(step: &Step) -> Result<()> {
    // SAFETY: every pointer comes from a C string or a vector that the step owns.
    unsafe {
        match step {
            Step::EnterNetwork(namespace) => {
                check(libc::setns(namespace.as_raw_fd(), libc::CLONE_NEWNET))
            }
            Step::OwnMounts(host) => {
                check(libc::unshare(libc::CLONE_NEWNS | libc::CLONE_NEWUTS))?;
                let private = libc::MS_REC | libc::MS_PRIVATE;
                check(libc::mount(ptr::null(), c"/".as_ptr(), ptr::null(), private, ptr::null()))?;
                check(libc::sethostname(host.as_ptr(), host.count_bytes()))
            }
            Step::Mount { source, target, kind, flags, data } => check(libc::mount(
                source.as_ptr(),
                target.as_ptr(),
                kind.as_ptr(),
                *flags,
                data.as_ptr().cast(),
            )),
            Step::Directory(path, mode) => {
                tolerate(libc::mkdir(path.as_ptr(), *mode), libc::EEXIST)
            }
            Step::Link { to, at } => {
                tolerate(libc::symlink(to.as_ptr(), at.as_ptr()), libc::EEXIST)
            }
            Step::Write(path, content) => write(path, content),
            Step::Remove(path) => tolerate(libc::unlink(path.as_ptr()), libc::ENOENT),
            Step::Root(path) => root(path),
            Step::Enter(path) => check(libc::chdir(path.as_ptr())),
            Step::Capabilities(keep) => keep_capabilities(*keep),
            Step::Groups(groups) => check(libc::setgroups(groups.len(), groups.as_ptr())),
            Step::Group(group) => check(libc::setgid(*group)),
            Step::User(user) => check(libc::setuid(*user)),
            Step::NoNewPrivileges => check(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)),
            Step::Session => check(libc::setsid()),
            Step::DieWithParent => check(libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL)),
        }
    }
}

fn write(path: &CStr, content: &[u8]) -> Result<()> {
    let flags = libc::O_WRONLY | libc::O_CREAT | libc::O_TRUNC | libc::O_CLOEXEC;
    // SAFETY: the path is a C string; the buffer's length is its own; the descriptor is ours.
    unsafe {
        let file: RawFd = libc::open(path.as_ptr(), flags, 0o644);
        check(file)?;
        let written = libc::write(file, content.as_ptr().cast(), content.len());
        let result = if written < 0 { Err(Error::last_os_error()) } else { Ok(()) };
        libc::close(file);
        result
    }
}

/// pivot_root(2), "pivot_root(".", ".")": the old root ends up on top of the new one and is detached.
fn root(path: &CStr) -> Result<()> {
    // SAFETY: all paths are C strings.
    unsafe {
        check(libc::chdir(path.as_ptr()))?;
        if libc::syscall(libc::SYS_pivot_root, c".".as_ptr(), c".".as_ptr()) < 0 {
            return Err(Error::last_os_error());
        }
        check(libc::umount2(c".".as_ptr(), libc::MNT_DETACH))?;
        check(libc::chdir(c"/".as_ptr()))
    }
}

/// Takes capabilities out of the bounding set and out of the process's own (capabilities(7)); the
/// two that changing user and groups needs go when the user changes, or are kept by root.
fn keep_capabilities(keep: u64) -> Result<()> {
    for number in 0..64_u32 {
        if keep & (1 << number) == 0 {
            // SAFETY: no memory is passed. Numbers that this kernel does not know are refused: fine.
            unsafe { libc::prctl(libc::PR_CAPBSET_DROP, number, 0, 0, 0) };
        }
    }
    let low = u32::try_from(keep & 0xffff_ffff).unwrap_or(u32::MAX);
    let high = u32::try_from(keep >> 32).unwrap_or(u32::MAX);
    // _LINUX_CAPABILITY_VERSION_3, this process; then effective, permitted, inheritable, twice.
    let header: [u32; 2] = [0x2008_0522, 0];
    let sets: [u32; 6] = [low, low, 0, high, high, 0];
    // SAFETY: both arrays have the layout that version 3 asks for.
    let result = unsafe { libc::syscall(libc::SYS_capset, header.as_ptr(), sets.as_ptr()) };
    if result < 0 { Err(Error::last_os_error()) } else { Ok(()) }
}

/// Says which step failed, without allocating.
fn report(number: usize) {
    let digit = |value: usize| b'0' + u8::try_from(value % 10).unwrap_or_default();
    let text = [
        b's',
        b't',
        b'e',
        b'p',
        b' ',
        digit(number / 100),
        digit(number / 10),
        digit(number),
        b' ',
        b'f',
        b'a',
        b'i',
        b'l',
        b'e',
        b'd',
        b'\n',
    ];
    // SAFETY: the length is the array's own.
    unsafe { libc::write(2, text.as_ptr().cast(), text.len()) };
}
