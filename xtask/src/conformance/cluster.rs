//! The lab that the suite runs against: a cluster with our chart, and the class that the suite asks for.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::cargo;

/// Name of the class.
pub(super) const CLASS: &str = "gateway-conformance";
/// An address that a Gateway may ask for.
pub(super) const USABLE_ADDRESS: &str = "10.245.255.9";
const NAMESPACE: &str = "fairway-system";
/// Name of the lab.
const LAB: &str = "conformance";
/// Where labs keep their files.
const FOLDER: &str = "/run/fairway-lab";

/// Where Gateways get their addresses from.
const POOL: &str = "
apiVersion: fairway.dev/v1alpha1
kind: AddressPool
metadata: {name: conformance}
spec: {ranges: [10.245.0.0/16]}
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
            "proxies.replicas=1",
            "--set",
            "defaultGatewayClass.name=gateway-conformance",
            "--wait",
            "--timeout",
            "120s",
            "--hide-notes",
        ])?;
        cluster.apply(POOL)?;
        Ok(cluster)
    }

    /// Applies one object.
    fn apply(&self, yaml: &str) -> Result<()> {
        let mut child = self
            .command()
            .args(["kubectl", "apply", "--server-side", "-f", "-"])
            .stdin(Stdio::piped())
            .spawn()
            .context("starting the lab's program")?;
        let mut input = child.stdin.take().expect("its input was asked for");
        input.write_all(yaml.as_bytes()).context("writing to kubectl")?;
        drop(input);
        if !child.wait().context("waiting for kubectl")?.success() {
            bail!("kubectl apply failed; what it said stands above");
        }
        Ok(())
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
