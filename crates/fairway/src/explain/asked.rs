//! The request that is asked about, made canonical as the data plane would make it.

use std::net::IpAddr;

use anyhow::{Context, bail};
use fairway_model::gateway::ListenerProtocol;
use fairway_model::select::Probe;
use fairway_proxy::message::{
    Authority, HeaderName, HeaderValue, Method, Path, Query, RequestHead, Scheme,
};
use serde::Serialize;

use crate::cli::ExplainArgs;

/// A request.
pub(super) struct Asked {
    pub(super) head: RequestHead,
    pub(super) client: IpAddr,
    /// The declared port that the URL means.
    pub(super) port: u16,
    /// What canonical form has changed.
    pub(super) notes: Vec<String>,
}

/// A request, as it is shown.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Shown {
    pub(super) method: String,
    pub(super) scheme: &'static str,
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) path: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) query: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) headers: Vec<String>,
    pub(super) client: IpAddr,
}

/// A URL's parts as they are written.
struct Url<'a> {
    scheme: Scheme,
    port: Option<u16>,
    authority: &'a str,
    path: &'a str,
    query: Option<&'a str>,
}

impl Asked {
    /// Reads the request from the command line.
    ///
    /// # Errors
    /// The data plane would refuse it.
    pub(super) fn parse(args: &ExplainArgs) -> anyhow::Result<Self> {
        let url = Url::parse(&args.url)?;
        let refused = |what: &str, text: &str| format!("{what} {text:?} would be refused by 400");
        let authority = Authority::parse(url.authority.as_bytes().to_vec())
            .with_context(|| refused("the host", url.authority))?;
        let path = Path::parse(url.path.as_bytes().to_vec())
            .with_context(|| refused("the path", url.path))?;
        let mut notes = Vec::new();
        if path.as_str() != url.path {
            notes.push(format!("the path {} is taken as {path}", url.path));
        }
        let port = authority.port().or(url.port).unwrap_or(url.scheme.default_port());
        let mut head = RequestHead::get(url.scheme, authority, path);
        head.method = Method::parse(args.method.as_bytes())
            .with_context(|| refused("the method", &args.method))?;
        if let Some(query) = url.query {
            let parsed = Query::parse(query.as_bytes().to_vec());
            head.query = Some(parsed.with_context(|| refused("the query", query))?);
        }
        for header in &args.headers {
            let value = HeaderValue::parse(header.value.as_bytes().to_vec())
                .with_context(|| refused("the header value", &header.value))?;
            if header.name == "host" {
                head.authority = Authority::parse(header.value.as_bytes().to_vec())
                    .with_context(|| refused("the host", &header.value))?;
                continue;
            }
            let name = HeaderName::parse(header.name.as_bytes().to_vec())
                .with_context(|| refused("the header name", &header.name))?;
            head.headers.append(name, value);
        }
        Ok(Self { head, client: args.client, port, notes })
    }

    /// Gives the request to the matcher.
    pub(super) fn probe(&self) -> Probe {
        let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
        Probe {
            host: self.head.authority.host().to_owned(),
            path: self.head.path.as_str().to_owned(),
            query: self.head.query.as_ref().map(|query| query.as_str().to_owned()),
            method: self.head.method.as_str().to_owned(),
            headers: self
                .head
                .headers
                .iter()
                .map(|(name, value)| (name.to_owned(), text(value)))
                .collect(),
            client: Some(self.client),
        }
    }

    /// Says if the URL's scheme is not what a listener speaks: then nobody would come so far.
    pub(super) fn mismatch(&self, protocol: &ListenerProtocol) -> Option<String> {
        match (self.head.scheme, protocol) {
            (Scheme::Https, ListenerProtocol::Http) => {
                Some("the URL says https, and the listener speaks HTTP in clear text".to_owned())
            }
            (Scheme::Http, ListenerProtocol::Https(_)) => {
                Some("the URL says http, and the listener speaks HTTPS".to_owned())
            }
            (
                Scheme::Http | Scheme::Https,
                ListenerProtocol::Http
                | ListenerProtocol::Https(_)
                | ListenerProtocol::TlsTerminate(_)
                | ListenerProtocol::TlsPassthrough
                | ListenerProtocol::Tcp
                | ListenerProtocol::Udp,
            ) => None,
        }
    }

    pub(super) fn shown(&self) -> Shown {
        let Probe { host, path, query, method, headers, .. } = self.probe();
        Shown {
            method,
            scheme: self.head.scheme.as_str(),
            host,
            port: self.port,
            path,
            query,
            headers: headers.iter().map(|(name, value)| format!("{name}: {value}")).collect(),
            client: self.client,
        }
    }
}

impl<'a> Url<'a> {
    /// Splits a URL. Its parts are checked by those who make them canonical.
    fn parse(text: &'a str) -> anyhow::Result<Self> {
        let Some((scheme, rest)) = text.split_once("://") else {
            bail!("{text:?} is no URL: write it with a scheme, such as https://shop.example.test/");
        };
        let (scheme, port) = match scheme {
            "http" | "ws" => (Scheme::Http, None),
            "https" | "wss" => (Scheme::Https, None),
            // Streams: the port has to be written.
            "tcp" | "udp" | "tls" => (Scheme::Https, Some(0)),
            other => {
                bail!("scheme {other:?} is not known: use http, https, ws, wss, tls, tcp or udp")
            }
        };
        let rest = rest.split_once('#').map_or(rest, |(before, _fragment)| before);
        let (rest, query) = match rest.split_once('?') {
            Some((rest, query)) => (rest, Some(query)),
            None => (rest, None),
        };
        let (authority, path) = match rest.find('/') {
            Some(slash) => rest.split_at(slash),
            None => (rest, "/"),
        };
        if authority.is_empty() {
            bail!("{text:?} names no host");
        }
        Ok(Self { scheme, port, authority, path, query })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_split() {
        let url = Url::parse("https://shop.example.test:8443/a/b?c=d?e#f").expect("a URL");
        assert_eq!((url.scheme, url.authority), (Scheme::Https, "shop.example.test:8443"));
        assert_eq!((url.path, url.query), ("/a/b", Some("c=d?e")));
        let bare = Url::parse("http://h?x").expect("a URL");
        assert_eq!((bare.authority, bare.path, bare.query), ("h", "/", Some("x")));
        assert!(Url::parse("shop.example.test").is_err());
        assert!(Url::parse("ftp://x/").is_err());
        assert!(Url::parse("http:///x").is_err());
    }
}
