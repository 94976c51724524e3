//! The programs of the lab, built from the pinned Go modules of `lab/`. Built once: a folder named by
//! what they are built from holds them.

use std::collections::hash_map::DefaultHasher;
use std::fs::{self, File};
use std::hash::{Hash, Hasher};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// A program: its name, and the Go package that it is.
const PROGRAMS: &[(&str, &str)] = &[
    ("etcd", "go.etcd.io/etcd/server/v3"),
    ("kube-apiserver", "k8s.io/kubernetes/cmd/kube-apiserver"),
    ("kube-controller-manager", "k8s.io/kubernetes/cmd/kube-controller-manager"),
    ("kubectl", "k8s.io/kubernetes/cmd/kubectl"),
    ("echo-basic", "sigs.k8s.io/gateway-api/conformance/echo-basic"),
];

/// Release of Kubernetes. Clients refuse a server that does not know its own version.
const KUBERNETES: &str = "v1.36.3";

static BUILDING: Mutex<()> = Mutex::new(());

/// Why the programs are not there.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// Go is missing.
    #[error("the lab is built with Go 1.26 or newer, and `go` cannot be run: {0}; see go.dev/dl")]
    Go(io::Error),
    /// A program does not build.
    #[error("building {program} failed; what `go build` said stands above")]
    Build {
        /// Which.
        program: &'static str,
    },
    /// The folder for them.
    #[error("{path}: {source}")]
    Folder {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// The built programs.
#[derive(Clone, Debug)]
pub struct Binaries {
    folder: PathBuf,
}

impl Binaries {
    /// Builds what is missing, and tells about each on standard error.
    ///
    /// # Errors
    /// Go is missing, or a program does not build.
    pub fn build() -> Result<Self, BuildError> {
        let module = root().join("lab");
        let folder = target().join("lab").join(key(&module)?);
        fs::create_dir_all(&folder)
            .map_err(|source| BuildError::Folder { path: folder.clone(), source })?;
        // Of several labs that begin at once one builds, and the others wait for it.
        let path = folder.join("lock");
        let refused = |source| BuildError::Folder { path: path.clone(), source };
        let lock = File::create(&path).map_err(refused)?;
        lock.lock().map_err(refused)?;
        for &(program, package) in PROGRAMS {
            let path = folder.join(program);
            if !path.is_file() {
                build(&module, program, package, &path)?;
            }
        }
        Ok(Self { folder })
    }

    /// Gives the path of one.
    #[must_use]
    pub fn path(&self, program: &str) -> PathBuf {
        self.folder.join(program)
    }
}

/// Gives helm, built if it is not there. A module of its own: its Kubernetes libraries are not the lab's.
///
/// # Errors
/// Go is missing, or it does not build.
pub fn helm() -> Result<PathBuf, BuildError> {
    let module = root().join("lab/helm");
    let folder = target().join("lab").join(key(&module)?);
    fs::create_dir_all(&folder)
        .map_err(|source| BuildError::Folder { path: folder.clone(), source })?;
    let path = folder.join("helm");
    if !path.is_file() {
        build(&module, "helm", "helm.sh/helm/v4/cmd/helm", &path)?;
    }
    Ok(path)
}

/// The project's folder: the lab never leaves it.
#[must_use]
pub fn root() -> &'static Path {
    let ours = Path::new(env!("CARGO_MANIFEST_DIR"));
    ours.parent().and_then(Path::parent).unwrap_or(ours)
}

/// The folder that cargo builds into.
fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

/// Names what the programs are built from.
fn key(module: &Path) -> Result<String, BuildError> {
    let mut hasher = DefaultHasher::new();
    for file in ["go.mod", "go.sum"] {
        let path = module.join(file);
        let text = fs::read(&path).map_err(|source| BuildError::Folder { path, source })?;
        text.hash(&mut hasher);
    }
    let version = Command::new("go").arg("version").output().map_err(BuildError::Go)?;
    version.stdout.hash(&mut hasher);
    flags().hash(&mut hasher);
    Ok(format!("{:016x}", hasher.finish()))
}

fn flags() -> String {
    let versions = ["component-base", "client-go/pkg"];
    let set = versions.map(|name| format!("-X k8s.io/{name}/version.gitVersion={KUBERNETES}"));
    format!("-s -w {}", set.join(" "))
}

fn build(
    module: &Path,
    program: &'static str,
    package: &str,
    path: &Path,
) -> Result<(), BuildError> {
    // Threads of one process would write one draft; the second finds what the first has built.
    let _building = BUILDING.lock().unwrap_or_else(PoisonError::into_inner);
    if path.is_file() {
        return Ok(());
    }
    tracing::info!("building {program}");
    let began = Instant::now();
    // One that was killed while it built leaves nothing that looks whole.
    let draft = path.with_extension("new");
    let status = Command::new("go")
        .args(["build", "-trimpath", "-ldflags", &flags(), "-o"])
        .arg(&draft)
        .arg(package)
        .current_dir(module)
        .env("CGO_ENABLED", "0")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .status()
        .map_err(BuildError::Go)?;
    if !status.success() {
        return Err(BuildError::Build { program });
    }
    fs::rename(&draft, path)
        .map_err(|source| BuildError::Folder { path: path.to_owned(), source })?;
    tracing::info!("built {program} in {:.0} s", began.elapsed().as_secs_f64());
    Ok(())
}
