//! A lab as a whole: started, used, stopped; and what a killed one has left, removed.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::binaries::{Binaries, BuildError};
use crate::control_plane::{ControlPlane, ControlPlaneError};
use crate::namespace::{Namespace, NamespaceError};
use crate::node::{self, Program};
use crate::owner;
use crate::worker::{self, Worker, WorkerError};

/// Where labs keep their files. Not on a disk that survives a restart: nothing of a lab does.
const FOLDER: &str = "/run/fairway-lab";

/// What a lab is made with.
#[derive(Clone, Debug)]
pub struct Options {
    /// Its name: lower case letters, digits and `-`. Labs of different names run side by side.
    pub name: String,
}

/// Why a lab does not run.
#[derive(Debug, thiserror::Error)]
pub enum LabError {
    /// Only root may make network namespaces.
    #[error("the lab makes network namespaces, which only root may: use sudo")]
    NotRoot,
    /// There is one of the name.
    #[error("lab {name} runs already, in process {pid}: stop it with `cargo xtask lab down`")]
    Runs {
        /// Which.
        name: String,
        /// Whose.
        pid: u32,
    },
    /// There is none.
    #[error("lab {name} does not run: start it with `cargo xtask lab up`")]
    Missing {
        /// Which.
        name: String,
    },
    /// Its folder.
    #[error("{path}: {source}")]
    Folder {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A program does not build.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// The network.
    #[error(transparent)]
    Namespace(#[from] NamespaceError),
    /// The API server or what belongs to it.
    #[error(transparent)]
    ControlPlane(#[from] ControlPlaneError),
    /// The node.
    #[error(transparent)]
    Worker(#[from] WorkerError),
    /// A command of ours failed.
    #[error("`{command}` failed: {message}")]
    Command {
        /// What was run.
        command: String,
        /// What it said.
        message: String,
    },
}

/// A running lab. Dropping it stops it and removes everything of it.
#[derive(Debug)]
pub struct Lab {
    name: String,
    folder: PathBuf,
    namespace: Namespace,
    binaries: Binaries,
    control_plane: Option<ControlPlane>,
    worker: Option<Worker>,
}

impl Lab {
    /// Starts a lab: some seconds once its programs are built, some minutes before.
    ///
    /// # Errors
    /// See [`LabError`].
    pub fn start(options: &Options) -> Result<Self, LabError> {
        if !is_root() {
            return Err(LabError::NotRoot);
        }
        let name = options.name.clone();
        let folder = Path::new(FOLDER).join(&name);
        if let Some(pid) = owner::alive(&folder) {
            return Err(LabError::Runs { name, pid });
        }
        remove_leftovers()?;
        remove(&name);
        let refused = |source| LabError::Folder { path: folder.clone(), source };
        fs::create_dir_all(&folder).map_err(refused)?;
        owner::claim(&folder).map_err(refused)?;
        let binaries = Binaries::build()?;
        let namespace = Namespace::create(&name)?;
        // From here on the value's end removes what there is.
        let mut lab = Self { name, folder, namespace, binaries, control_plane: None, worker: None };
        let (namespace, binaries) = (lab.namespace.clone(), lab.binaries.clone());
        let started = ControlPlane::start(namespace, binaries, lab.folder.clone())?;
        lab.control_plane = Some(started);
        Ok(lab)
    }

    /// Starts the node that runs pods, and the Service forwarder. Without it pods stay pending.
    ///
    /// # Errors
    /// See [`WorkerError`].
    pub fn start_node(&mut self, images: BTreeMap<String, Program>) -> Result<(), LabError> {
        let settings = worker::Settings {
            lab: self.name.clone(),
            namespace: self.namespace.clone(),
            kubeconfig: self.kubeconfig(),
            directory: self.folder.join("node"),
            images,
        };
        self.worker = Some(Worker::start(settings)?);
        Ok(())
    }

    /// Gives the programs that there are for pods, by the image's name: upstream's `echo-basic`, and
    /// `fairway` and `coredns` (a stand-in) if cargo has built `fairway` and `fairway-lab`.
    #[must_use]
    pub fn images(&self) -> BTreeMap<String, Program> {
        let echo = Program::new(self.binaries.path("echo-basic"));
        let mut images = BTreeMap::from([("echo-basic".to_owned(), echo)]);
        if let Some(path) = beside("fairway") {
            images.insert("fairway".to_owned(), Program::new(path));
        }
        if let Some(path) = beside("fairway-lab") {
            let entrypoint = vec!["dns".to_owned()];
            images.insert("coredns".to_owned(), Program { entrypoint, ..Program::new(path) });
        }
        images
    }

    /// Finds a lab that another process runs.
    ///
    /// # Errors
    /// There is none of that name.
    pub fn find(name: &str) -> Result<Found, LabError> {
        let folder = Path::new(FOLDER).join(name);
        match owner::alive(&folder) {
            Some(pid) => Ok(Found { pid, namespace: Namespace::of(name), folder }),
            None => Err(LabError::Missing { name: name.to_owned() }),
        }
    }

    /// The administrator's kubeconfig. Its server is reached from inside alone.
    #[must_use]
    pub fn kubeconfig(&self) -> PathBuf {
        self.folder.join("kubeconfig")
    }

    /// Where the lab's files and logs are.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The network that everything of the lab is in.
    #[must_use]
    pub const fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// The built programs.
    #[must_use]
    pub const fn binaries(&self) -> &Binaries {
        &self.binaries
    }

    /// The API server and what belongs to it, to stop and start.
    pub const fn control_plane(&mut self) -> Option<&mut ControlPlane> {
        self.control_plane.as_mut()
    }

    /// Gives kubectl with the administrator's rights.
    #[must_use]
    pub fn kubectl(&self) -> Command {
        kubectl(&self.namespace, &self.binaries, &self.kubeconfig())
    }

    /// Applies YAML, on the server's side: large CRDs do not fit into an annotation.
    ///
    /// # Errors
    /// The API server refuses some of it.
    pub fn apply(&self, yaml: &str) -> Result<String, LabError> {
        let mut command = self.kubectl();
        command.args(["apply", "--server-side", "--force-conflicts", "-f", "-"]);
        fed(command, "kubectl apply", yaml)
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        self.worker = None;
        self.control_plane = None;
        remove(&self.name);
    }
}

/// A lab of another process.
#[derive(Clone, Debug)]
pub struct Found {
    /// The process.
    pub pid: u32,
    /// Its network.
    pub namespace: Namespace,
    /// Its files.
    pub folder: PathBuf,
}

impl Found {
    /// Gives kubectl with the administrator's rights.
    ///
    /// # Errors
    /// It is not built and does not build.
    pub fn kubectl(&self) -> Result<Command, LabError> {
        let binaries = Binaries::build()?;
        Ok(kubectl(&self.namespace, &binaries, &self.folder.join("kubeconfig")))
    }
}

fn kubectl(namespace: &Namespace, binaries: &Binaries, kubeconfig: &Path) -> Command {
    let mut command = namespace.command(&binaries.path("kubectl").display().to_string());
    command.arg("--kubeconfig").arg(kubeconfig);
    command
}

/// Removes labs whose process has ended without doing so: killed ones.
///
/// # Errors
/// `ip` is not there.
pub fn remove_leftovers() -> Result<(), LabError> {
    let folders = fs::read_dir(FOLDER).into_iter().flatten().flatten();
    let mut names: Vec<String> =
        folders.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.extend(Namespace::labs()?);
    names.sort();
    names.dedup();
    for name in names {
        if owner::alive(&Path::new(FOLDER).join(&name)).is_none() {
            tracing::info!("removing what lab {name} has left");
            remove(&name);
        }
    }
    Ok(())
}

/// A program that cargo has built, in the directory of this one or, for a test, in the one above.
fn beside(name: &str) -> Option<PathBuf> {
    let own = std::env::current_exe().ok()?;
    own.ancestors().skip(1).take(2).map(|folder| folder.join(name)).find(|path| path.is_file())
}

fn remove(name: &str) {
    if let Err(error) = node::leftovers::remove(name) {
        tracing::warn!("{error}");
    }
    Namespace::of(name).remove();
    let folder = Path::new(FOLDER).join(name);
    if let Err(error) = fs::remove_dir_all(&folder)
        && error.kind() != io::ErrorKind::NotFound
    {
        tracing::warn!(%error, "removing {}", folder.display());
    }
}

/// Runs a command with a text as its input; gives what it prints.
fn fed(mut command: Command, shown: &str, input: &str) -> Result<String, LabError> {
    let failed = |message: String| LabError::Command { command: shown.to_owned(), message };
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| failed(error.to_string()))?;
    let mut stdin = child.stdin.take();
    let output = std::thread::scope(|scope| {
        // A thread of its own, for the command may print before it has read everything.
        let feeding = scope.spawn(move || match &mut stdin {
            Some(stdin) => stdin.write_all(input.as_bytes()),
            None => Ok(()),
        });
        let output = child.wait_with_output();
        if let Ok(Err(error)) = feeding.join() {
            tracing::debug!(%error, "{shown} did not read its input");
        }
        output
    });
    let output = output.map_err(|error| failed(error.to_string()))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(failed(String::from_utf8_lossy(&output.stderr).trim().to_owned()))
    }
}

fn is_root() -> bool {
    let output = Command::new("id").arg("-u").output();
    output.is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}
