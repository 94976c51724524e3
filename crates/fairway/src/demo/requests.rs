//! Requests to try against the shop, one shell line each, with what to expect.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;

use fairway_controller::view::RunView;

use super::quoted;

const NEVER: &str = "writing to a String never fails";

/// What the lines need to know besides the addresses.
pub(super) struct Guide {
    pub(super) directory: PathBuf,
    pub(super) certificates: PathBuf,
    pub(super) admin: Option<SocketAddr>,
}

/// A request with what it shows.
struct Line {
    about: &'static str,
    command: String,
    /// A text that the output holds.
    expect: &'static str,
}

impl Guide {
    /// Lists the requests for the shop; another directory gets the way to ask on.
    pub(super) fn tell(&self, view: &RunView) -> String {
        let mut lines = Vec::new();
        if let (Some(http), Some(https)) = (bound(view, "http"), bound(view, "https")) {
            lines.extend(self.plain(http));
            lines.extend(self.special(http, https));
        }
        lines.extend(self.questions());
        let mut text = String::new();
        for Line { about, command, expect } in lines {
            writeln!(text, "\n# {about}\n{command}\n# expect: {expect}").expect(NEVER);
        }
        text
    }

    /// One object of each kind behind one Gateway.
    fn plain(&self, http: SocketAddr) -> Vec<Line> {
        let curl = format!("{CURL} --connect-to ::{http}");
        vec![
            Line {
                about: "A TrafficRoute answers by the cart's Service.",
                command: format!("{curl} http://shop.example.test/cart"),
                expect: r#""service": "cart"#,
            },
            Line {
                about: "An HTTPRoute rewrites the path.",
                command: format!("{curl} 'http://shop.example.test/catalog/shoes?color=red'"),
                expect: r#""path": "/v2/items/shoes""#,
            },
            Line {
                about: "An Ingress, on the same Gateway and host.",
                command: format!("{curl} http://shop.example.test/orders/7"),
                expect: r#""service": "orders""#,
            },
            Line {
                about: "An answer without a backend.",
                command: format!("{curl} http://shop.example.test/robots.txt"),
                expect: "Disallow: /cart",
            },
            Line {
                about: "No rule answers here.",
                command: format!(
                    "curl --silent --show-error --connect-to ::{http} --output /dev/null \
                     --write-out '%{{http_code}}\\n' http://shop.example.test/nowhere"
                ),
                expect: "404",
            },
        ]
    }

    fn special(&self, http: SocketAddr, https: SocketAddr) -> Vec<Line> {
        let certificate = quoted(&self.certificates.join("shop_shop-tls.crt"));
        let status = "--output /dev/null --write-out '%{http_code}\\n'";
        vec![
            Line {
                about: "HTTPS, with a certificate that was made for this demo.",
                command: format!(
                    "{CURL} --connect-to ::{https} --cacert {certificate} \
                     https://shop.example.test/cart"
                ),
                expect: r#""https""#,
            },
            Line {
                about: "A canary by weight: about one in ten of these goes to cart-canary.",
                command: format!(
                    "for i in $(seq 100); do {CURL} --connect-to ::{http} \
                     http://shop.example.test/cart; done | grep '\"service\"' | sort | uniq -c"
                ),
                expect: r#""service": "cart-canary""#,
            },
            Line {
                about: "A rate limit: three checkouts a minute for each client.",
                command: format!(
                    "for i in $(seq 8); do curl --silent --show-error --connect-to ::{http} \
                     {status} http://shop.example.test/checkout; done"
                ),
                expect: "429",
            },
            Line {
                about: "gRPC by a GRPCRoute: an empty message there and back, and the trailers.",
                command: format!(
                    "printf '\\0\\0\\0\\0\\0' | {CURL} --http2-prior-knowledge --connect-to \
                     ::{http} --header 'content-type: application/grpc' --header 'te: trailers' \
                     --data-binary @- --output /dev/null --dump-header - \
                     http://grpc.example.test/shop.Inventory/Get"
                ),
                expect: "grpc-status: 0",
            },
            Line {
                about: "A WebSocket's handshake and its first frame.",
                command: format!(
                    "curl --silent --show-error --http1.1 --include --no-buffer --max-time 5 \
                     --connect-to ::{http} --header 'connection: upgrade' \
                     --header 'upgrade: websocket' --header 'sec-websocket-version: 13' \
                     --header 'sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==' \
                     http://shop.example.test/chat/hello"
                ),
                expect: "hello from catalog",
            },
        ]
    }

    fn questions(&self) -> Vec<Line> {
        let program = std::env::current_exe().unwrap_or_else(|_unknown| "fairway".into());
        let program = quoted(&program);
        let directory = quoted(&self.directory);
        let explain = Line {
            about: "Why that rule, and why no other one? Nothing is sent for this.",
            command: format!(
                "{program} explain {directory} --url https://shop.example.test/cart --method GET"
            ),
            expect: "GET https://shop.example.test:443/cart",
        };
        let status = self.admin.map(|admin| Line {
            about: "How things stand. Change a file in the directory, and ask again.",
            command: format!("{program} status --admin {admin}"),
            expect: "GATEWAY",
        });
        [explain].into_iter().chain(status).collect()
    }
}

const CURL: &str = "curl --silent --show-error --fail-with-body";

/// Where a listener of the shop's Gateway listens.
fn bound(view: &RunView, name: &str) -> Option<SocketAddr> {
    let gateway = view.gateways.iter().find(|gateway| {
        (&*gateway.gateway.name.namespace, &*gateway.gateway.name.name) == ("shop", "public")
    })?;
    let listener = gateway.listeners.iter().find(|listener| *listener.name == *name)?;
    listener.bound.first().copied()
}
