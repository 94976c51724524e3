//! A server under measurement: started, watched through /proc, and ended when it is dropped.

use std::fs;
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::cargo;

/// A folder for the files of one run, gone when it is dropped.
pub(crate) struct Folder(PathBuf);

impl Folder {
    /// Makes a new, empty folder below cargo's target folder.
    pub(crate) fn make(name: &str) -> Result<Self> {
        let folder = cargo::target().join("bench").join(format!("{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
        Ok(Self(folder))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            println!("{} stays: {error}", self.0.display());
        }
    }
}

/// Clock ticks a second in /proc/PID/stat: USER_HZ, which is 100 on every Linux that Rust runs on.
const TICKS: f64 = 100.0;

pub(crate) struct Server {
    child: Child,
    log: PathBuf,
}

impl Server {
    /// Starts a server whose output goes to a file, so that it can neither block nor mix with ours.
    pub(crate) fn start(command: &mut Command, log: &Path) -> Result<Self> {
        let output = fs::File::create(log).with_context(|| format!("making {}", log.display()))?;
        let child = command
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()
            .with_context(|| format!("starting {}", command.get_program().display()))?;
        Ok(Self { child, log: log.to_owned() })
    }

    /// Waits until `is_ready`, polling each `step`, for a minute at most.
    pub(crate) fn wait(&mut self, step: Duration, is_ready: impl Fn() -> bool) -> Result<()> {
        let deadline = Instant::now() + Duration::from_secs(60);
        while !is_ready() {
            if let Some(status) = self.child.try_wait()? {
                bail!("the server ended with {status}:\n{}", self.output());
            }
            if Instant::now() > deadline {
                bail!("the server is not ready after a minute:\n{}", self.output());
            }
            std::thread::sleep(step);
        }
        Ok(())
    }

    /// Gives the processor time that the server and its children have used, in seconds.
    pub(crate) fn cpu_seconds(&self) -> Result<f64> {
        let mut ticks = 0.0;
        for id in family(self.child.id()) {
            let stat = fs::read_to_string(format!("/proc/{id}/stat"))
                .with_context(|| format!("reading the processor time of process {id}"))?;
            ticks += ticks_in(&stat).with_context(|| format!("no times in /proc/{id}/stat"))?;
        }
        Ok(ticks / TICKS)
    }

    /// Gives the resident memory of the server and its children, in MiB.
    pub(crate) fn resident_mib(&self) -> Result<f64> {
        let mut kib = 0.0;
        for id in family(self.child.id()) {
            let status = fs::read_to_string(format!("/proc/{id}/status"))?;
            let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
            let number = line.and_then(|line| line.split_whitespace().next());
            kib += number.context("no VmRSS in /proc/PID/status")?.parse::<f64>()?;
        }
        Ok(kib / 1024.0)
    }

    fn output(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // nginx's master ends its workers only when asked to; both are gone at most a second later.
        let id = self.child.id().to_string();
        let asked = Command::new("kill").args(["-TERM", &id]).status();
        let deadline = Instant::now() + Duration::from_secs(3);
        while asked.is_ok() && Instant::now() < deadline {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        if self.child.kill().is_ok() {
            drop(self.child.wait());
        }
    }
}

/// Gives a process and its children (nginx's workers).
fn family(id: u32) -> Vec<u32> {
    let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap_or_default();
    let children = children.split_whitespace().filter_map(|id| id.parse().ok());
    std::iter::once(id).chain(children).collect()
}

/// Adds up utime and stime, fields 14 and 15; the name in field 2 may hold spaces and parentheses.
fn ticks_in(stat: &str) -> Option<f64> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace().skip(11);
    let user: f64 = fields.next()?.parse().ok()?;
    let system: f64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

/// Finds a port that is free now on a loopback address.
pub(crate) fn free_port(address: IpAddr) -> Result<u16> {
    Ok(TcpListener::bind((address, 0)).context("looking for a free port")?.local_addr()?.port())
}

pub(crate) fn accepts(address: SocketAddr) -> bool {
    TcpStream::connect(address).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_behind_any_name() {
        let stat = "7 (a) b (c) S 1 7 7 0 -1 4194560 1 2 3 4 150 50 0 0 20 0 1 0 9 9 9";
        assert_eq!(ticks_in(stat), Some(200.0));
        assert_eq!(ticks_in("7 (a) S 1"), None);
    }

    #[test]
    fn our_own_process_can_be_measured() {
        let id = std::process::id();
        assert!(family(id).contains(&id));
    }
}
