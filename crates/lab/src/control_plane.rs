//! etcd, kube-apiserver and kube-controller-manager: started in the lab's namespace, stopped, started anew.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::binaries::Binaries;
use crate::namespace::{HOST, Namespace, SERVICES};

/// The API server's port: one that no listener of a test wants.
pub const PORT: u16 = 16_443;

/// How long the API server may take to become ready.
const PATIENCE: Duration = Duration::from_secs(60);

/// Controllers that run. `nodelifecycle` does not: the lab's node is always there.
const CONTROLLERS: &[&str] = &[
    "clusterrole-aggregation-controller",
    "daemonset-controller",
    "deployment-controller",
    "disruption-controller",
    "endpointslice-controller",
    "garbage-collector-controller",
    "horizontal-pod-autoscaler-controller",
    "namespace-controller",
    "replicaset-controller",
    "root-ca-certificate-publisher-controller",
    "serviceaccount-controller",
];

/// Why the control plane does not run.
#[derive(Debug, thiserror::Error)]
pub enum ControlPlaneError {
    /// A file of its.
    #[error("{path}: {source}")]
    File {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A program could not be started.
    #[error("starting {program}: {source}")]
    Start {
        /// Which.
        program: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// A program ended, or did not become ready.
    #[error("{program} {what}; its log is {log}, and ends with:\n{end}")]
    Ended {
        /// Which.
        program: &'static str,
        /// What became of it.
        what: &'static str,
        /// Its log.
        log: PathBuf,
        /// The last lines.
        end: String,
    },
    /// A key could not be made.
    #[error("making a key: {0}")]
    Key(#[from] rcgen::Error),
}

/// A running control plane. Dropping it kills its programs.
#[derive(Debug)]
pub struct ControlPlane {
    namespace: Namespace,
    binaries: Binaries,
    folder: PathBuf,
    etcd: Option<Running>,
    api_server: Option<Running>,
    controllers: Option<Running>,
}

#[derive(Debug)]
struct Running {
    program: &'static str,
    child: Child,
    log: PathBuf,
}

impl ControlPlane {
    /// Starts it in a namespace, with its files in `folder`.
    ///
    /// # Errors
    /// A program does not start, or does not become ready within a minute.
    pub fn start(
        namespace: Namespace,
        binaries: Binaries,
        folder: PathBuf,
    ) -> Result<Self, ControlPlaneError> {
        let mut plane =
            Self { namespace, binaries, folder, etcd: None, api_server: None, controllers: None };
        plane.write_keys()?;
        plane.etcd = Some(plane.start_etcd()?);
        plane.start_api_server()?;
        plane.controllers = Some(plane.start_controllers()?);
        Ok(plane)
    }

    /// The kubeconfig of the administrator.
    #[must_use]
    pub fn kubeconfig(&self) -> PathBuf {
        self.folder.join("kubeconfig")
    }

    /// Kills the API server, as a crash does.
    pub fn stop_api_server(&mut self) {
        self.api_server = None;
    }

    /// Starts the API server, if it is stopped, and waits until it is ready.
    ///
    /// # Errors
    /// It does not start, or does not become ready within a minute.
    pub fn start_api_server(&mut self) -> Result<(), ControlPlaneError> {
        if self.api_server.is_none() {
            let mut running = self.launch_api_server()?;
            self.await_ready(&mut running)?;
            self.api_server = Some(running);
        }
        Ok(())
    }

    /// Ends the cluster's own controllers and starts them anew. Those of a cluster do that by themselves when
    /// they lose their Lease, within seconds of the API server's end; these have none, and after a long time
    /// without an API server they would take up to a minute to look again.
    ///
    /// # Errors
    /// They do not start.
    pub fn restart_controllers(&mut self) -> Result<(), ControlPlaneError> {
        self.controllers = None;
        self.controllers = Some(self.start_controllers()?);
        Ok(())
    }

    fn write_keys(&self) -> Result<(), ControlPlaneError> {
        fs::create_dir_all(&self.folder).map_err(|source| file(&self.folder, source))?;
        let key = rcgen::KeyPair::generate()?;
        self.write("service-accounts.key", &key.serialize_pem())?;
        self.write("service-accounts.pub", &key.public_key_pem())?;
        self.write("tokens.csv", "admin,admin,admin,\"system:masters\"\n")?;
        let server = format!("https://{HOST}:{PORT}");
        let config = serde_json::json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "lab", "cluster": {"server": server, "insecure-skip-tls-verify": true}}],
            "users": [{"name": "admin", "user": {"token": "admin"}}],
            "contexts": [{"name": "lab", "context": {"cluster": "lab", "user": "admin"}}],
            "current-context": "lab",
        });
        self.write("kubeconfig", &config.to_string())
    }

    fn write(&self, name: &str, text: &str) -> Result<(), ControlPlaneError> {
        let path = self.folder.join(name);
        let written = fs::write(&path, text)
            .and_then(|()| fs::set_permissions(&path, fs::Permissions::from_mode(0o600)));
        written.map_err(|source| file(&path, source))
    }

    fn start_etcd(&self) -> Result<Running, ControlPlaneError> {
        let data = self.folder.join("etcd");
        let (client, peer) = ("http://127.0.0.1:2379", "http://127.0.0.1:2380");
        self.launch("etcd", |command| {
            command.args(["--name", "lab", "--log-level", "warn", "--unsafe-no-fsync"]);
            command.arg("--data-dir").arg(&data);
            command.args(["--listen-client-urls", client, "--advertise-client-urls", client]);
            command.args(["--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer]);
            command.args(["--initial-cluster", &format!("lab={peer}")]);
        })
    }

    fn launch_api_server(&self) -> Result<Running, ControlPlaneError> {
        let key = self.folder.join("service-accounts.key");
        let public_key = self.folder.join("service-accounts.pub");
        self.launch("kube-apiserver", |command| {
            command.args([
                "--etcd-servers=http://127.0.0.1:2379",
                &format!("--bind-address={HOST}"),
                &format!("--advertise-address={HOST}"),
                &format!("--secure-port={PORT}"),
                &format!("--cert-dir={}", self.folder.join("certificates").display()),
                "--service-account-issuer=https://kubernetes.default.svc",
                &format!("--service-account-key-file={}", public_key.display()),
                &format!("--service-account-signing-key-file={}", key.display()),
                &format!("--token-auth-file={}", self.folder.join("tokens.csv").display()),
                "--authorization-mode=RBAC",
                &format!("--service-cluster-ip-range={SERVICES}"),
                "--enable-priority-and-fairness=false",
                "--max-requests-inflight=0",
                "--max-mutating-requests-inflight=0",
                "--profiling=false",
                "--v=0",
            ]);
        })
    }

    fn start_controllers(&self) -> Result<Running, ControlPlaneError> {
        self.launch("kube-controller-manager", |command| {
            command.args([
                &format!("--kubeconfig={}", self.kubeconfig().display()),
                &format!("--bind-address={HOST}"),
                "--secure-port=16257",
                &format!("--controllers={}", CONTROLLERS.join(",")),
                "--leader-elect=false",
                "--kube-api-qps=1000",
                "--kube-api-burst=2000",
                "--concurrent-deployment-syncs=20",
                "--concurrent-replicaset-syncs=20",
                "--concurrent-service-endpoint-syncs=20",
                "--concurrent-namespace-syncs=20",
                "--concurrent-gc-syncs=20",
                "--use-service-account-credentials=false",
                &format!(
                    "--service-account-private-key-file={}",
                    self.folder.join("service-accounts.key").display()
                ),
                &format!(
                    "--root-ca-file={}",
                    self.folder.join("certificates/apiserver.crt").display()
                ),
                "--v=0",
            ]);
        })
    }

    fn launch(
        &self,
        program: &'static str,
        arguments: impl FnOnce(&mut Command),
    ) -> Result<Running, ControlPlaneError> {
        let path = self.folder.join(format!("{program}.log"));
        let log = File::options().create(true).append(true).open(&path);
        let log = log.map_err(|source| file(&path, source))?;
        let again = log.try_clone().map_err(|source| file(&path, source))?;
        let mut command =
            self.namespace.command(&self.binaries.path(program).display().to_string());
        arguments(&mut command);
        command.stdin(Stdio::null()).stdout(log).stderr(again);
        let child =
            command.spawn().map_err(|source| ControlPlaneError::Start { program, source })?;
        Ok(Running { program, child, log: path })
    }

    fn await_ready(&self, running: &mut Running) -> Result<(), ControlPlaneError> {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if self.is_ready() {
                return Ok(());
            }
            if matches!(running.child.try_wait(), Ok(Some(_))) {
                return Err(running.ended("ended at once"));
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        Err(running.ended("did not become ready within a minute"))
    }

    fn is_ready(&self) -> bool {
        let kubectl = self.binaries.path("kubectl").display().to_string();
        let mut command = self.namespace.command(&kubectl);
        command.arg("--kubeconfig").arg(self.kubeconfig()).args(["get", "--raw", "/readyz"]);
        let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output();
        output.is_ok_and(|output| output.stdout == b"ok")
    }
}

impl Running {
    fn ended(&self, what: &'static str) -> ControlPlaneError {
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().rev().take(15).collect();
        let end = lines.into_iter().rev().collect::<Vec<_>>().join("\n");
        ControlPlaneError::Ended { program: self.program, what, log: self.log.clone(), end }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // `ip netns exec` becomes the program itself, so its child is the program.
        if let Err(error) = self.child.kill().and_then(|()| self.child.wait()) {
            tracing::warn!(%error, "stopping {}", self.program);
        }
    }
}

fn file(path: &Path, source: io::Error) -> ControlPlaneError {
    ControlPlaneError::File { path: path.to_owned(), source }
}
