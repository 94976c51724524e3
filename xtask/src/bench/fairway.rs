//! Builds the `fairway` binary and starts `fairway run` on a directory of objects.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::client::{Connection, get};
use super::process::{Server, free_port};
use crate::cargo;

/// The gateway's own address: no other benchmark or test has it.
const ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 66, 6, 6));
pub(crate) const HOST: &str = "bench.example.test";

/// Builds `fairway` with a profile, and gives the binary's path.
pub(crate) fn build(profile: &str) -> Result<PathBuf> {
    println!("building fairway with profile {profile}");
    let arguments = ["build", "--package", "fairway", "--profile", profile];
    if !cargo::command(&arguments).status().context("running cargo")?.success() {
        bail!("fairway does not build");
    }
    // The profile `dev` builds into `debug`, every other one into a folder of its name.
    let folder = if profile == "dev" { "debug" } else { profile };
    Ok(cargo::target().join(folder).join("fairway"))
}

/// A directory of objects and the server that runs on it.
pub(crate) struct Fairway {
    pub(crate) server: Server,
    /// Where the gateway's listener serves.
    pub(crate) listener: SocketAddr,
    admin: SocketAddr,
}

/// How to start it.
pub(crate) struct Start<'a> {
    pub(crate) binary: &'a Path,
    /// Empty folder that it may fill: objects in `objects`, logs and state beside them.
    pub(crate) folder: &'a Path,
    /// The address of Service `bench/echo`, port 80.
    pub(crate) backend: SocketAddr,
    pub(crate) threads: usize,
}

impl Fairway {
    /// Writes the gateway and its Service, starts `fairway run` on them and on what is in the folder
    /// already, and waits until `path` is answered with 200.
    pub(crate) fn start(how: &Start<'_>, path: &str) -> Result<Self> {
        let listener = SocketAddr::new(ADDRESS, free_port(ADDRESS)?);
        let loopback = Ipv4Addr::LOCALHOST.into();
        let admin = SocketAddr::new(loopback, free_port(loopback)?);
        let objects = objects(how.folder)?;
        fs::write(objects.join("00-gateway.yaml"), gateway(listener.port()))?;
        let server = Server::start(
            Command::new(how.binary)
                .arg("run")
                .arg(&objects)
                .arg("--backend")
                .arg(format!("bench/echo:80={}", how.backend))
                .arg("--bind")
                .arg(format!("bench/public={ADDRESS}"))
                .arg("--admin")
                .arg(admin.to_string())
                .arg("--threads")
                .arg(how.threads.to_string())
                .arg("--state")
                .arg(how.folder.join("state")),
            &how.folder.join("fairway.log"),
        )?;
        let mut fairway = Self { server, listener, admin };
        let request = get(HOST, path);
        fairway.server.wait(Duration::from_millis(2), || {
            let answer = Connection::open(listener).and_then(|mut open| open.exchange(&request));
            answer.is_ok_and(|answer| answer.status == 200)
        })?;
        Ok(fairway)
    }

    /// Gives a metric of the admin endpoint, or nothing when there is none of this name.
    pub(crate) fn metric(&self, name: &str) -> Option<f64> {
        let mut connection = Connection::open(self.admin).ok()?;
        let answer = connection.exchange(&get("localhost", "/metrics")).ok()?;
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        let value = |line: &str| line.strip_prefix(name)?.strip_prefix(' ')?.trim().parse().ok();
        text.lines().find_map(value)
    }
}

/// Gives the folder of objects, and makes it when it is not there.
pub(crate) fn objects(folder: &Path) -> Result<PathBuf> {
    let objects = folder.join("objects");
    fs::create_dir_all(&objects)?;
    Ok(objects)
}

fn gateway(port: u16) -> String {
    format!(
        "\
apiVersion: fairway.dev/v1alpha1
kind: Gateway
metadata: {{namespace: bench, name: public}}
spec:
  listeners: [{{name: http, protocol: HTTP, port: {port}}}]
---
apiVersion: v1
kind: Service
metadata: {{namespace: bench, name: echo}}
spec: {{ports: [{{name: http, port: 80}}]}}
"
    )
}

/// Writes an HTTPRoute that sends a path to the backend.
pub(crate) fn route(name: &str, path: &str) -> String {
    format!(
        "\
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {{namespace: bench, name: {name}}}
spec:
  parentRefs: [{{group: fairway.dev, kind: Gateway, name: public}}]
  hostnames: [{HOST}]
  rules:
  - matches: [{{path: {{type: PathPrefix, value: {path}}}}}]
    backendRefs: [{{name: echo, port: 80}}]
"
    )
}
