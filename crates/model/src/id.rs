//! Readable, stable names of the model's entries. An Id says where its entry came from, such as
//! `http-route/shop/cart/rule/2`; nothing parses it back.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Wraps a name that the caller keeps unique and stable.
            #[must_use]
            pub fn new(text: impl Into<Arc<str>>) -> Self {
                Self(text.into())
            }

            /// Gives the name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", &*self.0)
            }
        }
    )*};
}

ids! {
    /// A gateway: `gateway/shop/web` (Gateway API's), `fairway-gateway/shop/web` (ours).
    GatewayId;
    /// A listener: `gateway/shop/web/https`, `listener-set/shop/extra/https`.
    ListenerId;
    /// A rule of a route: `http-route/shop/cart/rule/2`, `ingress/shop/web/rule/0/path/1`.
    RouteId;
    /// A port of a Service as one kind of backend: `service/shop/cart/80`.
    ClusterId;
    /// A Secret or a bundle of authorities: `secret/shop/web-tls`, `config-map/shop/ca`.
    SecretId;
}
