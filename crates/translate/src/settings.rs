//! What the person who starts Fairway decides, as far as meaning goes. Plain values: nothing here is read
//! from the environment.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use ipnet::IpNet;

use crate::address::{Claiming, Pool};
use crate::object::{Name, ObjectKey};

/// See the module.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// `controllerName` of GatewayClasses that are ours, and of our entries in statuses.
    pub controller_name: Arc<str>,
    /// Names of GatewayClasses that are ours although no such object exists.
    pub default_classes: BTreeSet<Arc<str>>,
    /// Where addresses of gateways come from when there is no AddressPool.
    pub pool: Pool,
    /// Addresses of single gateways (`--bind`), instead of what their spec asks for.
    pub binds: BTreeMap<ObjectKey, Vec<IpAddr>>,
    /// Whether an address is served only once it is claimed.
    pub claims: Claiming,
    /// Endpoints of ports of Services (`--backend NS/SERVICE:PORT=ADDR`); they count where no
    /// EndpointSlice of the Service exists.
    pub service_backends: BTreeMap<(Name, u16), Vec<SocketAddr>>,
    /// Whether there is no other controller: then what belongs to nobody is ours to complain about.
    pub alone: bool,
    /// Where a test wants a fault of ours, to see that it stays there.
    pub planted_fault: Option<ObjectKey>,
    /// Version of the installed Gateway API CRDs (`v1.6.3`), if known.
    pub bundle_version: Option<Arc<str>>,
}

impl Settings {
    /// Controller name of GatewayClasses that are ours.
    pub const CONTROLLER_NAME: &'static str = "fairway.dev/controller";

    /// Gives the settings of a run on files: the only controller, addresses on loopback, no claims.
    ///
    /// # Panics
    /// Never: the range is a constant.
    #[must_use]
    pub fn for_files() -> Self {
        let range: IpNet = "127.64.0.0/16".parse().expect("the constant is a range");
        Self {
            controller_name: Self::CONTROLLER_NAME.into(),
            default_classes: BTreeSet::from(["fairway".into()]),
            pool: Pool { ranges: vec![range], open: true },
            binds: BTreeMap::new(),
            claims: Claiming::Off,
            service_backends: BTreeMap::new(),
            alone: true,
            planted_fault: None,
            bundle_version: None,
        }
    }
}
