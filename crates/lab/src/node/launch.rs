//! Starts one container's process and tells when it ends.
//!
//! A thread waits for each process: the one that started it, because the kernel ends a child that
//! asked for it together with the *thread* it came from.

use std::{
    io,
    os::unix::process::ExitStatusExt,
    path::PathBuf,
    process::{Command, Stdio},
    thread,
};

use tokio::sync::oneshot;

use super::{logs, sys};

/// Everything a process is started with.
#[derive(Debug)]
pub(super) struct Launch {
    /// The program, as seen in the pod's own root, and its arguments.
    pub(super) program: String,
    pub(super) arguments: Vec<String>,
    pub(super) environment: Vec<(String, String)>,
    pub(super) steps: Vec<sys::Step>,
    /// What it prints goes here.
    pub(super) log: PathBuf,
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Exit {
    /// As a shell reports it: 128 + signal when a signal ended it.
    pub(super) code: i32,
    pub(super) signal: Option<i32>,
}

/// A started process.
#[derive(Debug)]
pub(super) struct Process {
    pub(super) id: u32,
    pub(super) exit: oneshot::Receiver<Exit>,
}

/// Starts it.
///
/// # Errors
///
/// When a step fails or the program cannot be run; the log then names the step by its number.
pub(super) async fn launch(launch: Launch) -> io::Result<Process> {
    let (started, start) = oneshot::channel();
    let (ended, exit) = oneshot::channel();
    thread::Builder::new()
        .name("pod".to_owned())
        .stack_size(256 * 1024)
        .spawn(move || run(launch, started, ended))?;
    let id = start.await.map_err(|_ended| io::Error::other("its thread ended early"))??;
    Ok(Process { id, exit })
}

fn run(launch: Launch, started: oneshot::Sender<io::Result<u32>>, ended: oneshot::Sender<Exit>) {
    let mut child = match spawn(launch) {
        Ok(child) => child,
        Err(error) => {
            drop(started.send(Err(error)));
            return;
        }
    };
    drop(started.send(Ok(child.id())));
    sys::wait_for_end(child.id());
    sys::signal_session(child.id(), libc::SIGKILL);
    let exit = match child.wait() {
        Ok(status) => Exit {
            code: status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or_default()),
            signal: status.signal(),
        },
        Err(_) => Exit { code: 255, signal: None },
    };
    // Nobody waits any more when the pod was given up.
    ended.send(exit).unwrap_or_default();
}

fn spawn(launch: Launch) -> io::Result<std::process::Child> {
    let (reader, writer) = io::pipe()?;
    let mut command = Command::new(&launch.program);
    command
        .args(&launch.arguments)
        .env_clear()
        .envs(launch.environment)
        .stdin(Stdio::null())
        .stdout(writer.try_clone()?)
        .stderr(writer);
    sys::prepare(&mut command, launch.steps);
    let log = launch.log;
    thread::Builder::new().name("pod-log".to_owned()).stack_size(256 * 1024).spawn(move || {
        if let Err(error) = logs::collect(reader, &log) {
            tracing::warn!("write {}: {error}", log.display());
        }
    })?;
    command.spawn()
}
