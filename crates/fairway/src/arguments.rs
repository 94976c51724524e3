//! Arguments with a shape of their own, parsed once, with errors that say what was expected.

use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

/// `NS/NAME`; the namespace is `default` when left out.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ObjectName {
    pub namespace: String,
    pub name: String,
}

impl FromStr for ObjectName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (namespace, name) = text.split_once('/').unwrap_or(("default", text));
        if namespace.is_empty() || name.is_empty() || name.contains('/') {
            return Err(format!("{text:?} is not NS/NAME, such as shop/public"));
        }
        Ok(Self { namespace: namespace.to_owned(), name: name.to_owned() })
    }
}

/// `NS/SERVICE:PORT=ADDR`: an endpoint for a Service's port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BackendArgument {
    pub service: ObjectName,
    pub port: u16,
    pub address: SocketAddr,
}

impl FromStr for BackendArgument {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parse = || {
            let (service, address) = text.split_once('=')?;
            let (service, port) = service.rsplit_once(':')?;
            let service = service.parse().ok()?;
            Some(Self { service, port: port.parse().ok()?, address: address.parse().ok()? })
        };
        parse().ok_or_else(|| {
            format!("{text:?} is not NS/SERVICE:PORT=ADDR, such as shop/cart:80=127.0.0.1:8080")
        })
    }
}

/// `NS/GATEWAY=IP`: the address of a Gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BindArgument {
    pub gateway: ObjectName,
    pub address: IpAddr,
}

impl FromStr for BindArgument {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parse = || {
            let (gateway, address) = text.split_once('=')?;
            Some(Self { gateway: gateway.parse().ok()?, address: address.parse().ok()? })
        };
        parse()
            .ok_or_else(|| format!("{text:?} is not NS/GATEWAY=IP, such as shop/public=127.0.0.1"))
    }
}

/// `NAME: VALUE`: a header field as curl takes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HeaderArgument {
    /// Lower case.
    pub name: String,
    pub value: String,
}

impl FromStr for HeaderArgument {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, value) =
            text.split_once(':').ok_or_else(|| format!("{text:?} is not NAME: VALUE"))?;
        let name = name.trim().to_ascii_lowercase();
        http::HeaderName::from_bytes(name.as_bytes())
            .map_err(|_invalid| format!("{name:?} is not the name of a header"))?;
        Ok(Self { name, value: value.trim().to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backends() {
        let backend: BackendArgument = "shop/cart:80=127.0.0.1:8080".parse().expect("valid");
        assert_eq!(backend.service.namespace, "shop");
        assert_eq!((backend.port, backend.address.port()), (80, 8080));
        assert!("shop/cart:80=[::1]:8080".parse::<BackendArgument>().is_ok());
        for wrong in ["", "cart", "shop/cart=127.0.0.1:1", "shop/cart:80=localhost:1", "/c:1=x"] {
            let error = wrong.parse::<BackendArgument>().expect_err(wrong);
            assert!(error.contains("NS/SERVICE:PORT=ADDR"), "{error}");
        }
    }

    #[test]
    fn headers() {
        let header: HeaderArgument = "X-Version:  2 ".parse().expect("valid");
        assert_eq!((header.name.as_str(), header.value.as_str()), ("x-version", "2"));
        assert!("no colon".parse::<HeaderArgument>().is_err());
        assert!("sp ace: x".parse::<HeaderArgument>().is_err());
    }
}
