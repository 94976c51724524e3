//! A pod's network: a namespace, a pair of interfaces to the bridge, and an address.
//!
//! A pod reaches everything through the bridge's own address, other pods as well: so all its
//! traffic passes the Service forwarder, there and back.

use std::{
    collections::BTreeSet,
    net::Ipv4Addr,
    path::{Path, PathBuf},
    process::Stdio,
    sync::{Arc, Mutex, PoisonError},
};

use ipnet::Ipv4Net;
use tokio::{io::AsyncWriteExt, process::Command};

use super::NodeError;

/// The part of a namespace's name that all labs share.
pub(super) const PREFIX: &str = "flpod-";

/// Where `ip netns` keeps namespaces.
pub(super) const NAMESPACES: &str = "/run/netns";

/// Hands out addresses and builds networks.
#[derive(Debug)]
pub(super) struct Networks {
    lab: String,
    bridge: String,
    range: Ipv4Net,
    /// Places in the range that are taken, and the one to try next: an address rests before it is
    /// used again.
    taken: Mutex<(BTreeSet<u32>, u32)>,
}

/// One pod's network; it is gone after [`PodNetwork::remove`].
#[derive(Debug)]
pub(super) struct PodNetwork {
    networks: Arc<Networks>,
    place: u32,
    /// The pod's address.
    pub(super) address: Ipv4Addr,
    namespace: String,
}

impl Networks {
    pub(super) fn new(lab: String, bridge: String, range: Ipv4Net) -> Self {
        Self { lab, bridge, range, taken: Mutex::new((BTreeSet::new(), 0)) }
    }

    /// The bridge's address, which is the node's too: the first of the range.
    pub(super) fn gateway(&self) -> Ipv4Addr {
        address(self.range, 1)
    }

    fn take(&self) -> Result<u32, NodeError> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        // The network, the bridge and the broadcast address are nobody's.
        let usable = (1_u32 << (32 - u32::from(self.range.prefix_len()))).saturating_sub(3);
        for _ in 0..usable {
            let place = taken.1 % usable + 2;
            taken.1 = taken.1.wrapping_add(1);
            if taken.0.insert(place) {
                return Ok(place);
            }
        }
        Err(NodeError::Full { range: self.range })
    }

    fn give_back(&self, place: u32) {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner).0.remove(&place);
    }

    /// Builds a pod's network.
    pub(super) async fn build(self: &Arc<Self>) -> Result<PodNetwork, NodeError> {
        let place = self.take()?;
        let address = address(self.range, place);
        let namespace = format!("{PREFIX}{}-{place}", self.lab);
        let network = PodNetwork { networks: Arc::clone(self), place, address, namespace };
        match network.write().await {
            Ok(()) => Ok(network),
            Err(error) => {
                network.remove().await;
                Err(error)
            }
        }
    }
}

fn address(range: Ipv4Net, place: u32) -> Ipv4Addr {
    Ipv4Addr::from_bits(range.network().to_bits().saturating_add(place))
}

impl PodNetwork {
    fn outside(&self) -> String {
        format!("flp{}", self.place)
    }

    /// Commands for the lab's namespace, then for the pod's own. The hardware address follows from
    /// the address, so that a neighbour's memory of the address's last user does no harm.
    async fn write(&self) -> Result<(), NodeError> {
        let Self { namespace, address, .. } = self;
        let [a, b, c, d] = address.octets();
        let (outside, bridge, gateway) =
            (self.outside(), &self.networks.bridge, self.networks.gateway());
        let lab = format!(
            "netns add {namespace}
link add {outside} type veth peer name eth0 address 0a:58:{a:02x}:{b:02x}:{c:02x}:{d:02x} netns {namespace}
link set {outside} master {bridge} up
"
        );
        ip(&["-batch", "-"], &lab).await?;
        let pod = format!(
            "link set lo up
addr add {address}/32 dev eth0
link set eth0 up
route add {gateway} dev eth0
route add default via {gateway}
"
        );
        ip(&["-n", namespace, "-batch", "-"], &pod).await
    }

    /// The file that stands for the namespace, to enter it.
    pub(super) fn path(&self) -> PathBuf {
        Path::new(NAMESPACES).join(&self.namespace)
    }

    /// Ends every process in it, takes it away and frees its address.
    pub(super) async fn remove(self) {
        let commands = format!("link del {}\nnetns del {}\n", self.outside(), self.namespace);
        super::leftovers::end_processes_in(&self.namespace);
        if let Err(error) = ip(&["-force", "-batch", "-"], &commands).await {
            tracing::debug!("remove the network of a pod: {error}");
        }
        self.networks.give_back(self.place);
    }
}

/// Runs `ip` with these commands.
pub(super) async fn ip(arguments: &[&str], commands: &str) -> Result<(), NodeError> {
    let start = |cause| NodeError::Start { program: "ip", cause };
    let mut child = Command::new("ip")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(start)?;
    let mut input = child.stdin.take().expect("stdin was asked to be a pipe");
    let written = input.write_all(commands.as_bytes()).await;
    drop(input);
    let output = child.wait_with_output().await.map_err(start)?;
    if output.status.success() && written.is_ok() {
        return Ok(());
    }
    let message = String::from_utf8_lossy(&output.stderr).trim().replace('\n', "; ");
    Err(NodeError::Network { message })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_rests_before_it_is_used_again() {
        let networks =
            Networks::new("t".to_owned(), "br0".to_owned(), "10.244.0.0/29".parse().unwrap());
        assert_eq!(networks.gateway(), Ipv4Addr::new(10, 244, 0, 1));
        let first = networks.take().unwrap();
        networks.give_back(first);
        let places: Vec<u32> = (0..5).map(|_| networks.take().unwrap()).collect();
        assert_eq!((first, places), (2, vec![3, 4, 5, 6, 2]));
        assert!(networks.take().is_err());
    }
}
