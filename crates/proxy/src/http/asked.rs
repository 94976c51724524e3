//! Whom a request is for: the listener, then the rule.

use std::borrow::Cow;
use std::net::IpAddr;

use fairway_model::select::{self, PortTable};

use crate::downstream::Connection;
use crate::failure::Failure;
use crate::generation::RouteState;
use crate::message::RequestHead;

/// A request as the matcher looks at it.
pub(crate) struct Asked<'r> {
    pub(crate) head: &'r RequestHead,
    pub(crate) client: IpAddr,
}

impl select::Request for Asked<'_> {
    fn host(&self) -> &str {
        self.head.authority.host()
    }

    fn path(&self) -> &str {
        self.head.path.as_str()
    }

    fn query(&self) -> Option<&str> {
        self.head.query.as_ref().map(|query| query.as_str())
    }

    fn method(&self) -> &str {
        self.head.method.as_str()
    }

    fn header(&self, name: &str) -> Option<Cow<'_, str>> {
        if name == "host" {
            return Some(self.head.authority.to_string().into());
        }
        Some(match self.head.headers.joined(name)? {
            Cow::Borrowed(value) => String::from_utf8_lossy(value),
            Cow::Owned(value) => String::from_utf8_lossy(&value).into_owned().into(),
        })
    }

    fn client(&self) -> Option<IpAddr> {
        Some(self.client)
    }
}

/// Gives the listener whose rules apply.
///
/// # Errors
/// `NoRoute` when no listener of the port is for the host; `Misdirected` when TLS has chosen
/// another one than the host asks for (GEP-3567): its certificate and its demands on clients were
/// others.
pub(crate) fn listener<'g>(
    port: &'g PortTable<RouteState>,
    connection: &Connection,
    host: &str,
) -> Result<&'g select::ListenerTable<RouteState>, Failure> {
    let table = port.listener_for_host(host).ok_or(Failure::NoRoute)?;
    match &connection.listener {
        Some(chosen) if chosen != table.id() => Err(Failure::Misdirected),
        Some(_) | None => Ok(table),
    }
}
