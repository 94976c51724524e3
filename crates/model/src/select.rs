//! The one matcher: which listener and which rule a request meets. The data plane, `explain` and the
//! tests all ask here.
//!
//! Indices by host and path only propose candidates; [`evaluate`] looks at each, and among those
//! that hold the least host rank wins, then the least [`Rank`](crate::matching::Rank). A table is
//! never changed: [`Table::update`] makes the next one, which shares with the old one all that the
//! change does not touch.

mod compiled;
mod evaluate;
pub mod explain;
mod hosts;
mod paths;
mod port;
mod request;
mod shards;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

pub use compiled::CompiledRoute;
pub use explain::{Explanation, explain};
pub use port::{ListenerTable, PortTable, Selected};
pub use request::{Probe, Request};

use compiled::Candidate;
use port::Rules;
use shards::Shards;

use crate::delta::Delta;
use crate::{GatewayId, Listener, ListenerId, Model, Route, RouteId};

/// All rules of a model, ready to be searched. `X` is what the caller keeps with each route: its
/// counters and limits, say; it lives as long as the route does not change.
pub struct Table<X> {
    routes: Shards<RouteId, Arc<CompiledRoute<X>>>,
    listeners: Shards<ListenerId, Slot<X>>,
    ports: Shards<GatewayId, Arc<Ports<X>>>,
}

type Ports<X> = BTreeMap<u16, Arc<PortTable<X>>>;

/// A listener's rules. They may be there before the listener is.
struct Slot<X> {
    listener: Option<Arc<Listener>>,
    rules: Arc<Rules<X>>,
}

impl<X> Clone for Slot<X> {
    fn clone(&self) -> Self {
        Self { listener: self.listener.clone(), rules: Arc::clone(&self.rules) }
    }
}

impl<X> Default for Slot<X> {
    fn default() -> Self {
        Self { listener: None, rules: Arc::default() }
    }
}

impl<X> Clone for Table<X> {
    fn clone(&self) -> Self {
        Self {
            routes: self.routes.clone(),
            listeners: self.listeners.clone(),
            ports: self.ports.clone(),
        }
    }
}

impl<X> Default for Table<X> {
    fn default() -> Self {
        Self { routes: Shards::default(), listeners: Shards::default(), ports: Shards::default() }
    }
}

impl<X> Table<X> {
    /// Compiles a whole model. `make` is asked once for each route.
    pub fn compile(model: &Model, make: &mut dyn FnMut(&RouteId, &Arc<Route>) -> X) -> Self {
        let mut table = Self::default();
        table.change(model, model.routes.keys(), model.listeners.keys(), make);
        table
    }

    /// Gives the table of the new `model`, to which `delta` leads from this table's model. It
    /// selects what a table compiled from `model` selects, and costs what the change costs. `make`
    /// is asked for the routes that are new or changed.
    #[must_use]
    pub fn update(
        &self,
        model: &Model,
        delta: &Delta,
        make: &mut dyn FnMut(&RouteId, &Arc<Route>) -> X,
    ) -> Self {
        let mut table = self.clone();
        let routes = delta.routes.removed.iter().chain(delta.routes.put.keys());
        let listeners = delta.listeners.removed.iter().chain(delta.listeners.put.keys());
        table.change(model, routes, listeners, make);
        table
    }

    /// Gives what listens on a declared port of a gateway.
    #[must_use]
    pub fn port(&self, gateway: &str, port: u16) -> Option<&PortTable<X>> {
        self.ports.get(gateway)?.get(&port).map(|table| &**table)
    }

    /// Walks all ports, by gateway and number.
    pub fn ports(&self) -> impl Iterator<Item = (&GatewayId, u16, &PortTable<X>)> {
        let mut gateways: Vec<_> = self.ports.iter().collect();
        gateways.sort_unstable_by_key(|(id, _)| *id);
        gateways.into_iter().flat_map(|(gateway, ports)| {
            ports.iter().map(move |(port, table)| (gateway, *port, &**table))
        })
    }

    /// Gives a route by its Id.
    #[must_use]
    pub fn route(&self, id: &str) -> Option<&Arc<CompiledRoute<X>>> {
        self.routes.get(id)
    }

    /// Brings the named routes and listeners to what the model says of them, be it nothing.
    fn change<'m>(
        &mut self,
        model: &Model,
        routes: impl Iterator<Item = &'m RouteId>,
        listeners: impl Iterator<Item = &'m ListenerId>,
        make: &mut dyn FnMut(&RouteId, &Arc<Route>) -> X,
    ) {
        let mut touched = BTreeSet::new();
        for id in routes {
            if let Some(old) = self.routes.remove(id.as_str()) {
                self.detach(&old, &mut touched);
            }
            if let Some(route) = model.routes.get(id) {
                let extra = make(id, route);
                let compiled = CompiledRoute::new(id.clone(), Arc::clone(route), extra);
                let compiled = Arc::new(compiled);
                self.attach(&compiled, &mut touched);
                self.routes.insert(id.clone(), compiled);
            }
        }
        let mut stale = BTreeSet::new();
        for id in listeners {
            self.replace_listener(id, model.listeners.get(id), &mut stale);
            touched.insert(id.clone());
        }
        for id in touched {
            self.place_listener(id);
        }
        for (gateway, port) in stale {
            self.settle_port(&gateway, port);
        }
    }

    fn attach(&mut self, route: &Arc<CompiledRoute<X>>, touched: &mut BTreeSet<ListenerId>) {
        for (at, attachment) in route.route.attachments.iter().enumerate() {
            let rules = Arc::make_mut(&mut self.listeners.slot(&attachment.listener).rules);
            for (host_at, host) in attachment.hosts.iter().enumerate() {
                let table = Arc::make_mut(rules.slot(&host.pattern));
                for matched in 0..route.alternatives() {
                    let route = Arc::clone(route);
                    table.insert(Candidate { route, matched, place: (at, host_at) });
                }
            }
            touched.insert(attachment.listener.clone());
        }
    }

    /// The inverse of [`Self::attach`].
    fn detach(&mut self, route: &Arc<CompiledRoute<X>>, touched: &mut BTreeSet<ListenerId>) {
        for (at, attachment) in route.route.attachments.iter().enumerate() {
            let Some(slot) = self.listeners.get_mut(attachment.listener.as_str()) else { continue };
            let rules = Arc::make_mut(&mut slot.rules);
            for (host_at, host) in attachment.hosts.iter().enumerate() {
                let table = Arc::make_mut(rules.slot(&host.pattern));
                for matched in 0..route.alternatives() {
                    let route = Arc::clone(route);
                    table.remove(&Candidate { route, matched, place: (at, host_at) });
                }
                if table.is_empty() {
                    rules.remove(&host.pattern);
                }
            }
            touched.insert(attachment.listener.clone());
        }
    }

    /// Puts the listener's new value into its slot and takes its table out of its old port. Notes
    /// the ports that have to be indexed again.
    fn replace_listener(
        &mut self,
        id: &ListenerId,
        new: Option<&Arc<Listener>>,
        stale: &mut BTreeSet<(GatewayId, u16)>,
    ) {
        let slot = self.listeners.slot(id);
        let old = std::mem::replace(&mut slot.listener, new.cloned());
        if let Some(old) = old {
            if let Some(port) = self.port_mut(&old.gateway, old.port) {
                port.remove(id);
            }
            stale.insert((old.gateway.clone(), old.port));
        }
        if let Some(new) = new {
            stale.insert((new.gateway.clone(), new.port));
        }
    }

    /// Puts the table of a listener as it is now into its port.
    fn place_listener(&mut self, id: ListenerId) {
        let Some(slot) = self.listeners.get(id.as_str()) else { return };
        let Some(listener) = slot.listener.clone() else {
            if slot.rules.is_empty() {
                self.listeners.remove(id.as_str());
            }
            return;
        };
        let ports = Arc::make_mut(self.ports.slot(&listener.gateway));
        let port = Arc::make_mut(ports.entry(listener.port).or_default());
        port.put(ListenerTable::new(id, listener, Arc::clone(&slot.rules)));
    }

    /// Indexes a port by hostname, or takes it out when nothing listens on it any more.
    fn settle_port(&mut self, gateway: &GatewayId, port: u16) {
        let Some(table) = self.port_mut(gateway, port) else { return };
        if !table.is_empty() {
            table.index();
            return;
        }
        let Some(ports) = self.ports.get_mut(gateway.as_str()) else { return };
        let ports = Arc::make_mut(ports);
        ports.remove(&port);
        if ports.is_empty() {
            self.ports.remove(gateway.as_str());
        }
    }

    fn port_mut(&mut self, gateway: &GatewayId, port: u16) -> Option<&mut PortTable<X>> {
        let ports = Arc::make_mut(self.ports.get_mut(gateway.as_str())?);
        ports.get_mut(&port).map(Arc::make_mut)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delta::diff;

    /// Whoever takes routes down again must not leave empty parts behind, which would add up.
    #[test]
    fn what_is_taken_down_leaves_nothing_behind() {
        let model = crate::wire::decode(include_bytes!("../tests/data/v1.json")).expect("a model");
        let empty = Model::default();
        let full = Table::compile(&model, &mut |_, _| ());
        let table = full.update(&empty, &diff(&model, &empty), &mut |_, _| ());
        assert!(table.routes.is_empty() && table.listeners.is_empty() && table.ports.is_empty());
        assert!(!full.routes.is_empty() && !full.listeners.is_empty() && !full.ports.is_empty());
        let bare = Model { routes: BTreeMap::new(), ..model.clone() };
        let table = full.update(&bare, &diff(&model, &bare), &mut |_, _| ());
        assert!(table.listeners.iter().all(|(_, slot)| slot.rules.is_empty()));
    }
}
