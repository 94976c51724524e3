//! The lab's network namespace: a bridge for pods, and nothing that leads out of it. Its name says whose it
//! is, so that a later lab finds what a killed one has left.

use std::fs::File;
use std::io;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread;

use crate::sys;

/// Name of the bridge in every lab.
pub const BRIDGE: &str = "pods";
/// Addresses of pods.
pub const PODS: &str = "10.244.0.0/16";
/// The bridge's own address: API server and node.
pub const HOST: Ipv4Addr = Ipv4Addr::new(10, 244, 0, 1);
/// ClusterIPs.
pub const SERVICES: &str = "10.96.0.0/16";
/// Addresses of load balancers.
pub const LOAD_BALANCERS: &str = "10.245.0.0/16";

/// What every name of ours begins with.
const PREFIX: &str = "fairway-lab-";

/// Why a namespace cannot be made or entered.
#[derive(Debug, thiserror::Error)]
pub enum NamespaceError {
    /// A command failed.
    #[error(
        "`ip {arguments}` failed: {message}; the lab needs root, and Debian's package iproute2"
    )]
    Ip {
        /// What was asked.
        arguments: String,
        /// What it answered.
        message: String,
    },
    /// It could not be entered.
    #[error("entering network namespace {name}: {source}")]
    Enter {
        /// Which.
        name: String,
        /// What the system said.
        source: io::Error,
    },
}

/// A network namespace. It stays until [`Namespace::remove`].
#[derive(Clone, Debug)]
pub struct Namespace {
    name: String,
}

impl Namespace {
    /// Names the namespace of a lab, whether it is there or not.
    #[must_use]
    pub fn of(lab: &str) -> Self {
        Self { name: format!("{PREFIX}{lab}") }
    }

    /// Gives the labs that have namespaces, in order.
    ///
    /// # Errors
    /// `ip` is not there.
    pub fn labs() -> Result<Vec<String>, NamespaceError> {
        let listed = ip(&["netns", "list"])?;
        let names = listed.lines().filter_map(|line| line.split_whitespace().next());
        let mut labs: Vec<String> =
            names.filter_map(|name| name.strip_prefix(PREFIX)).map(str::to_owned).collect();
        labs.sort();
        Ok(labs)
    }

    /// Makes it, with loopback, bridge and routes.
    ///
    /// # Errors
    /// It is there already, or the system refuses.
    pub fn create(lab: &str) -> Result<Self, NamespaceError> {
        let namespace = Self::of(lab);
        ip(&["netns", "add", &namespace.name])?;
        let made = namespace.furnish();
        if made.is_err() {
            namespace.remove();
        }
        made.map(|()| namespace)
    }

    fn furnish(&self) -> Result<(), NamespaceError> {
        let inside = |arguments: &[&str]| {
            let all: Vec<&str> = ["-n", &self.name].iter().chain(arguments).copied().collect();
            ip(&all).map(drop)
        };
        inside(&["link", "set", "lo", "up"])?;
        inside(&["link", "add", BRIDGE, "type", "bridge", "forward_delay", "0"])?;
        inside(&["addr", "add", &format!("{HOST}/16"), "dev", BRIDGE])?;
        inside(&["link", "set", BRIDGE, "up"])?;
        // A pod that talks to the API server before any port of the bridge is up must not fail.
        inside(&["link", "add", "anchor", "type", "veth", "peer", "name", "anchored"])?;
        inside(&["link", "set", "anchor", "master", BRIDGE, "up"])?;
        inside(&["link", "set", "anchored", "up"])?;
        let forward = "echo 1 > /proc/sys/net/ipv4/ip_forward";
        let done = self.command("sh").args(["-c", forward]).status();
        done.map(drop).map_err(|source| self.not_entered(source))
    }

    /// Gives its name, for `ip netns exec`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Gives a command that will run inside.
    #[must_use]
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name, program]);
        command
    }

    /// Runs work on a thread inside, and waits for it. Threads and sockets that it makes are inside too.
    ///
    /// # Errors
    /// The namespace cannot be entered.
    ///
    /// # Panics
    /// The work panicked: the panic goes on here.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T, NamespaceError> {
        let path = PathBuf::from("/var/run/netns").join(&self.name);
        let file = File::open(path).map_err(|source| self.not_entered(source))?;
        let inside = || sys::enter_network(&file).map(|()| work());
        let done = thread::scope(|scope| scope.spawn(inside).join());
        match done {
            Ok(done) => done.map_err(|source| self.not_entered(source)),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }

    /// Kills every process inside and removes the namespace. What is not there is no error.
    pub fn remove(&self) {
        for _round in 0..20 {
            let pids = ip(&["netns", "pids", &self.name]).unwrap_or_default();
            let pids: Vec<&str> = pids.split_whitespace().collect();
            if pids.is_empty() {
                break;
            }
            let kill = Command::new("kill").arg("-9").args(&pids).stderr(Stdio::null()).status();
            if let Err(error) = kill {
                tracing::warn!(%error, "killing what runs in {}", self.name);
            }
            thread::sleep(std::time::Duration::from_millis(50));
        }
        if let Err(error) = ip(&["netns", "del", &self.name]) {
            tracing::debug!(%error, "removing {}", self.name);
        }
    }

    fn not_entered(&self, source: io::Error) -> NamespaceError {
        NamespaceError::Enter { name: self.name.clone(), source }
    }
}

fn ip(arguments: &[&str]) -> Result<String, NamespaceError> {
    let failed = |message: String| NamespaceError::Ip { arguments: arguments.join(" "), message };
    let output = Command::new("ip")
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| failed(error.to_string()))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(failed(String::from_utf8_lossy(&output.stderr).trim().to_owned()))
    }
}
