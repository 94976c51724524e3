//! The lab that the suite runs against: a cluster with our chart, and the class that the suite asks for.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::cargo;

/// Name of the class.
pub(super) const CLASS: &str = "gateway-conformance";
/// An address that a Gateway may ask for.
pub(super) const USABLE_ADDRESS: &str = "10.245.255.9";
/// What the lab's node answers for.
const ADDRESSES: &str = "10.245.0.0/16";
const NAMESPACE: &str = "fairway-system";
/// Name of the lab.
const LAB: &str = "conformance";
/// Where labs keep their files.
const FOLDER: &str = "/run/fairway-lab";

/// A Gateway that nobody serves.
const OWNER: &str = "
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: collected, namespace: default}
spec: {gatewayClassName: nobody, listeners: [{name: http, port: 80, protocol: HTTP}]}
";
const OWNED: &str = "
apiVersion: v1
kind: ConfigMap
metadata:
  name: collected
  namespace: default
  ownerReferences:
    - {apiVersion: gateway.networking.k8s.io/v1, kind: Gateway, name: collected, uid: UID}
";

/// A running cluster. Dropping it stops it, unless it shall be kept.
pub(super) struct Cluster {
    lab: PathBuf,
    keep: bool,
}

impl Cluster {
    /// Starts one anew, and installs Fairway by its chart.
    pub(super) fn start(lab: PathBuf, keep: bool) -> Result<Self> {
        let cluster = Self { lab, keep };
        println!("starting the lab {LAB}");
        cluster.call(&["down"])?;
        cluster.call(&["up", "--detach"])?;
        let chart = cargo::root().join("charts/fairway");
        let chart = chart.to_str().context("the repository's path is not text")?;
        let pools = format!("addressPools={{{ADDRESSES}}}");
        cluster.call(&[
            "helm",
            "upgrade",
            "--install",
            "fairway",
            chart,
            "--namespace",
            NAMESPACE,
            "--create-namespace",
            "--set",
            &pools,
            "--set",
            "proxies.replicas=1",
            "--set",
            "defaultGatewayClass.name=gateway-conformance",
            "--wait",
            "--timeout",
            "120s",
            "--hide-notes",
        ])?;
        cluster.await_garbage_collector()?;
        Ok(cluster)
    }

    /// Waits until what a deleted Gateway owns goes with it. The garbage collector learns of new kinds every
    /// 30 s; until then a deleted Gateway's Service stays, and with it the address that another Gateway has got.
    fn await_garbage_collector(&self) -> Result<()> {
        println!("waiting for the garbage collector to know Gateways");
        let gateway = "gateways.gateway.networking.k8s.io/collected";
        let owner = self.apply(OWNER)?;
        let uid = owner.trim();
        if uid.is_empty() {
            bail!("the API server gave no uid for {gateway}");
        }
        self.apply(&OWNED.replace("UID", uid))?;
        self.call(&["kubectl", "delete", "--wait=false", gateway])?;
        let deadline = Instant::now() + Duration::from_secs(120);
        while Instant::now() < deadline {
            let found = self
                .command()
                .args([
                    "kubectl",
                    "get",
                    "configmap",
                    "collected",
                    "--ignore-not-found",
                    "--output=name",
                ])
                .output()
                .context("asking for a ConfigMap")?;
            if found.status.success() && found.stdout.is_empty() {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(200));
        }
        bail!("the garbage collector has not removed what a deleted Gateway owned in 120 s")
    }

    /// Applies one object; gives its uid.
    fn apply(&self, yaml: &str) -> Result<String> {
        let mut child = self
            .command()
            .args([
                "kubectl",
                "apply",
                "--server-side",
                "--output=jsonpath={.metadata.uid}",
                "-f",
                "-",
            ])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("starting the lab's program")?;
        let mut input = child.stdin.take().expect("its input was asked for");
        input.write_all(yaml.as_bytes()).context("writing to kubectl")?;
        drop(input);
        let output = child.wait_with_output().context("waiting for kubectl")?;
        if !output.status.success() {
            bail!("kubectl apply failed; what it said stands above");
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Gives a call of a program in the cluster's network, with the administrator's rights.
    pub(super) fn inside(&self, program: &Path) -> Command {
        let mut command = self.command();
        command.args(["exec", "--"]).arg(program);
        command
    }

    /// Copies the logs of all pods, of those too that have ended, and of the lab.
    pub(super) fn collect(&self, folder: &Path) -> Result<()> {
        fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
        let place = Path::new(FOLDER).join(LAB);
        for from in [place.clone(), place.join("node/logs")] {
            let entries = fs::read_dir(&from).into_iter().flatten().flatten();
            for entry in
                entries.filter(|entry| entry.path().extension().is_some_and(|e| e == "log"))
            {
                fs::copy(entry.path(), folder.join(entry.file_name()))
                    .with_context(|| format!("copying {}", entry.path().display()))?;
            }
        }
        let objects = self
            .command()
            .args(["kubectl", "get", "gateways.gateway.networking.k8s.io,pods"])
            .args(["--all-namespaces", "--output=yaml"])
            .output()
            .context("asking for objects")?;
        fs::write(folder.join("objects.yaml"), objects.stdout).context("writing objects")
    }

    fn call(&self, arguments: &[&str]) -> Result<()> {
        let status =
            self.command().args(arguments).status().context("starting the lab's program")?;
        if !status.success() {
            bail!("`fairway-lab {}` failed; what it said stands above", arguments.join(" "));
        }
        Ok(())
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.lab);
        command.args(["--name", LAB]);
        command
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if self.keep {
            println!("the lab goes on: `cargo xtask lab --name {LAB} down` stops it");
        } else if let Err(error) = self.call(&["down"]) {
            println!("stopping the lab: {error:#}");
        }
    }
}
