//! What one pod's containers share: its object, its address, its volumes.

use std::{
    collections::BTreeMap,
    fs::{self, File, Permissions},
    io,
    net::Ipv4Addr,
    os::unix::fs::{PermissionsExt, chown},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use k8s_openapi::api::core::v1::{Pod, PodIP};
use tokio::sync::watch;

use super::super::{
    container::Place,
    environment::Variables,
    ground::{Ground, Near, Tokens},
    network::PodNetwork,
    status::Report,
    volume::{self, Content},
};

/// The search path inside a pod: its image's program first.
const PATH: &str = "/.image:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Shared by a pod's containers.
#[derive(Debug, Clone)]
pub(in crate::node) struct Home {
    pub(in crate::node) ground: Arc<Ground>,
    pub(in crate::node) pod: watch::Receiver<Arc<Pod>>,
    pub(in crate::node) report: watch::Sender<Report>,
    /// Set when the pod has to end: the time that it has.
    pub(in crate::node) stop: watch::Receiver<Option<Duration>>,
    pub(in crate::node) address: Ipv4Addr,
    pub(in crate::node) directory: PathBuf,
    network: Arc<Path>,
    volumes: Arc<Mutex<Volumes>>,
}

#[derive(Debug, Default)]
struct Volumes {
    tokens: Tokens,
    written: BTreeMap<String, Content>,
}

impl Home {
    pub(in crate::node) fn new(
        ground: Arc<Ground>,
        pod: watch::Receiver<Arc<Pod>>,
        report: watch::Sender<Report>,
        stop: watch::Receiver<Option<Duration>>,
        network: &PodNetwork,
    ) -> Self {
        let directory = ground.pod_directory(&pod.borrow());
        Self {
            ground,
            pod,
            report,
            stop,
            address: network.address,
            directory,
            network: network.path().into(),
            volumes: Arc::default(),
        }
    }

    fn volumes(&self) -> MutexGuard<'_, Volumes> {
        self.volumes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(in crate::node) fn tokens(&self) -> Tokens {
        self.volumes().tokens.clone()
    }

    /// The pod's network namespace, to enter it.
    pub(in crate::node) fn network(&self) -> io::Result<File> {
        File::open(&self.network)
    }

    /// Whether a volume is an emptyDir, which alone can be written to.
    pub(in crate::node) fn is_scratch(&self, volume: &str) -> bool {
        matches!(self.volumes().written.get(volume), Some(Content::Scratch))
    }

    /// The pod with the addresses that it has by now, written to its status or not yet.
    pub(in crate::node) fn pod_with_address(&self) -> Pod {
        let mut pod = self.pod.borrow().as_ref().clone();
        let status = pod.status.get_or_insert_default();
        status.pod_ip = Some(self.address.to_string());
        status.pod_ips = Some(vec![PodIP { ip: self.address.to_string() }]);
        status.host_ip = Some(self.ground.networks.gateway().to_string());
        pod
    }

    /// The time that a container has to end when the pod goes on.
    pub(in crate::node) fn grace(&self) -> Duration {
        let pod = self.pod.borrow();
        let seconds =
            pod.spec.as_ref().and_then(|spec| spec.termination_grace_period_seconds).unwrap_or(30);
        Duration::from_secs(u64::try_from(seconds).unwrap_or(30))
    }

    /// Variables that every process has.
    pub(in crate::node) fn given_variables(&self) -> Variables {
        let server = self.ground.settings.api_server;
        let name = self.pod.borrow().metadata.name.clone().unwrap_or_default();
        let pairs = [
            ("PATH", PATH.to_owned()),
            ("HOME", "/root".to_owned()),
            ("HOSTNAME", name),
            ("KUBERNETES_SERVICE_HOST", server.ip().to_string()),
            ("KUBERNETES_SERVICE_PORT", server.port().to_string()),
            ("KUBERNETES_SERVICE_PORT_HTTPS", server.port().to_string()),
        ];
        pairs.map(|(name, value)| (name.to_owned(), value)).into()
    }

    /// Waits until a container has started, or the pod has to end.
    pub(in crate::node) async fn wait_until_started(&self, place: Place) {
        let (mut seen, mut stop) = (self.report.subscribe(), self.stop.clone());
        let started = |report: &Report| match place {
            Place::Init(place) => report.init.get(place).is_none_or(|view| view.started),
            Place::Main(place) => report.main.get(place).is_none_or(|view| view.started),
        };
        tokio::select! {
            _ = seen.wait_for(started) => {}
            _ = stop.wait_for(Option::is_some) => {}
        }
    }

    /// Writes every volume whose content differs from what stands there, or says what is missing.
    pub(in crate::node) async fn write_volumes(&self) -> Result<(), String> {
        let pod = self.pod_with_address();
        let mut tokens = self.tokens();
        self.ground.refresh(&pod, &mut tokens).await?;
        let mut state = self.volumes();
        state.tokens.clone_from(&tokens);
        let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
        let near = Near { ground: &self.ground, namespace, tokens: &tokens };
        let security = pod.spec.as_ref().and_then(|spec| spec.security_context.as_ref());
        let group = security
            .and_then(|security| security.fs_group)
            .and_then(|group| u32::try_from(group).ok());
        let failed = |error: io::Error| format!("write volumes: {error}");
        fs::create_dir_all(self.directory.join("root")).map_err(failed)?;
        for wanted in pod.spec.iter().flat_map(|spec| spec.volumes.iter().flatten()) {
            let content = volume::content(wanted, &pod, &near)?;
            if state.written.get(&wanted.name) == Some(&content) {
                continue;
            }
            let path = volume::directory(&self.directory, &wanted.name);
            match &content {
                Content::Files(files) => volume::replace(&path, files, group).map_err(failed)?,
                Content::Scratch => scratch(&path, group).map_err(failed)?,
            }
            state.written.insert(wanted.name.clone(), content);
        }
        Ok(())
    }
}

fn scratch(path: &Path, group: Option<u32>) -> io::Result<()> {
    fs::create_dir_all(path)?;
    chown(path, None, group)?;
    fs::set_permissions(path, Permissions::from_mode(if group.is_some() { 0o2777 } else { 0o777 }))
}
