//! The listeners of one port, and the rules of one listener.

use std::net::IpAddr;
use std::sync::Arc;

use super::compiled::{Candidate, CompiledRoute};
use super::hosts::Hosts;
use super::paths::{HostTable, Search};
use super::request::Request;
use crate::gateway::{Listener, ListenerProtocol};
use crate::id::ListenerId;
use crate::route::AttachedHost;

/// Listeners by hostname; of two with the same one, which is a conflict that `translate` settles,
/// the first by Id.
type Names = Hosts<Option<ListenerId>>;

/// The listeners that share one port of one gateway.
pub struct PortTable<X> {
    /// Sorted by Id.
    listeners: Vec<Arc<ListenerTable<X>>>,
    /// Listeners of HTTP and HTTPS by hostname: which one is asked for a `Host`.
    hosts: Arc<Names>,
    /// Listeners with TLS by hostname: which one is asked for a server name.
    server_names: Arc<Names>,
}

impl<X> Clone for PortTable<X> {
    fn clone(&self) -> Self {
        Self {
            listeners: self.listeners.clone(),
            hosts: Arc::clone(&self.hosts),
            server_names: Arc::clone(&self.server_names),
        }
    }
}

impl<X> Default for PortTable<X> {
    fn default() -> Self {
        Self { listeners: Vec::new(), hosts: Arc::default(), server_names: Arc::default() }
    }
}

impl<X> PortTable<X> {
    /// Gives the HTTP or HTTPS listener whose hostname fits a canonical host most exactly. No other
    /// listener's rules apply to it, even if none of this one's match (listener isolation).
    #[must_use]
    pub fn listener_for_host(&self, host: &str) -> Option<&ListenerTable<X>> {
        self.hosts.candidates(host).flatten().next().and_then(|id| self.listener(id.as_str()))
    }

    /// Gives the listener with TLS whose hostname fits a server name (lower case) most exactly; a
    /// client that sends none gets the one without a hostname.
    #[must_use]
    pub fn listener_for_server_name(&self, name: Option<&str>) -> Option<&ListenerTable<X>> {
        let mut ids = self.server_names.candidates(name.unwrap_or_default()).flatten();
        ids.next().and_then(|id| self.listener(id.as_str()))
    }

    /// Gives a listener of this port by its Id.
    #[must_use]
    pub fn listener(&self, id: &str) -> Option<&ListenerTable<X>> {
        let place = self.place(id).ok()?;
        self.listeners.get(place).map(|table| &**table)
    }

    /// Walks the listeners of this port, by Id.
    pub fn listeners(&self) -> impl Iterator<Item = &ListenerTable<X>> {
        self.listeners.iter().map(|table| &**table)
    }

    fn place(&self, id: &str) -> Result<usize, usize> {
        self.listeners.binary_search_by(|table| table.id.as_str().cmp(id))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.listeners.is_empty()
    }

    pub(super) fn put(&mut self, table: ListenerTable<X>) {
        let place = self.place(table.id.as_str());
        let table = Arc::new(table);
        match place {
            Ok(place) => self
                .listeners
                .iter_mut()
                .skip(place)
                .take(1)
                .for_each(|old| *old = Arc::clone(&table)),
            Err(place) => self.listeners.insert(place, table),
        }
    }

    pub(super) fn remove(&mut self, id: &ListenerId) {
        if let Ok(place) = self.place(id.as_str()) {
            self.listeners.remove(place);
        }
    }

    /// Makes the indices by hostname anew, after the port's set of listeners or one of them changed.
    pub(super) fn index(&mut self) {
        let mut hosts: Names = Names::default();
        let mut server_names: Names = Names::default();
        for table in &self.listeners {
            let (by_host, by_server_name) = match table.listener.protocol {
                ListenerProtocol::Http => (true, false),
                ListenerProtocol::Https(_) => (true, true),
                ListenerProtocol::TlsTerminate(_) | ListenerProtocol::TlsPassthrough => {
                    (false, true)
                }
                ListenerProtocol::Tcp | ListenerProtocol::Udp => (false, false),
            };
            if by_host {
                hosts.slot(&table.listener.hostname).get_or_insert_with(|| table.id.clone());
            }
            if by_server_name {
                server_names.slot(&table.listener.hostname).get_or_insert_with(|| table.id.clone());
            }
        }
        self.hosts = Arc::new(hosts);
        self.server_names = Arc::new(server_names);
    }
}

/// A listener's rules by hostname.
pub(super) type Rules<X> = Hosts<Arc<HostTable<X>>>;

/// One listener with the rules that are attached to it.
pub struct ListenerTable<X> {
    id: ListenerId,
    listener: Arc<Listener>,
    rules: Arc<Rules<X>>,
}

/// The match that a request has found.
pub struct Selected<'a, X> {
    /// Its rule.
    pub route: &'a Arc<CompiledRoute<X>>,
    /// Place of the match in the rule's `matches`.
    pub matched: usize,
    /// Under which of the route's hosts.
    pub host: &'a AttachedHost,
}

impl<X> ListenerTable<X> {
    pub(super) fn new(id: ListenerId, listener: Arc<Listener>, rules: Arc<Rules<X>>) -> Self {
        Self { id, listener, rules }
    }

    /// Its name in the model.
    #[must_use]
    pub fn id(&self) -> &ListenerId {
        &self.id
    }

    /// The listener itself.
    #[must_use]
    pub fn listener(&self) -> &Arc<Listener> {
        &self.listener
    }

    /// Gives the rule that a request meets: of all matches that hold, the one with the least host
    /// rank, then the least rank.
    #[must_use]
    pub fn select<'a, R: Request>(&'a self, request: &R) -> Option<Selected<'a, X>> {
        let mut search = Search::new(request);
        for table in self.rules.candidates(request.host()) {
            table.offer(&mut search);
        }
        search.best().map(selected)
    }

    /// Gives the rule that a connection or a session of datagrams meets: of all whose host fits the
    /// server name (empty when there is none), the one with the least host rank, then the least
    /// rank. No rule over streams asks for the client's address yet.
    #[must_use]
    pub fn select_stream(
        &self,
        server_name: Option<&str>,
        _client: Option<IpAddr>,
    ) -> Option<&Arc<CompiledRoute<X>>> {
        self.best_stream(server_name.unwrap_or_default()).map(|selected| selected.route)
    }

    pub(super) fn best_stream(&self, server_name: &str) -> Option<Selected<'_, X>> {
        let tables = self.rules.candidates(server_name);
        tables.filter_map(|table| table.stream()).min_by(|a, b| a.order(b)).map(selected)
    }
}

fn selected<X>(candidate: &Candidate<X>) -> Selected<'_, X> {
    Selected { route: &candidate.route, matched: candidate.matched, host: candidate.host() }
}
