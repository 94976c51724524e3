//! What the command line can say. Each verb's work is in the file of its name.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::arguments::{BackendArgument, BindArgument, HeaderArgument, ObjectName};
use crate::wait::target::{Span, Target};

/// The ingress tier for Kubernetes: one meaning on every proxy, no surprises, and a reason for
/// everything.
#[derive(Debug, Parser)]
#[command(name = "fairway", version, propagate_version = true, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub verb: Verb,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Serve what the files of a directory declare: real listeners, no cluster.
    Run(RunArgs),
    /// Be the data plane of one gateway: take its configuration from a controller, serve it.
    ///
    /// Starts from the last good configuration while no controller answers. Ports below 1024 are bound 10000
    /// higher.
    Proxy(ProxyArgs),
    /// Be the controller of a cluster: watch it, run the proxies of its Gateways, write statuses.
    ///
    /// Runs with the rights of its ServiceAccount, or of the current kubeconfig outside of a cluster.
    Controller(ControllerArgs),
    /// Serve the shop example with backends of its own, and print requests to try.
    Demo(DemoArgs),
    /// Check the files of a directory: what is wrong where, and how to mend it.
    ///
    /// Exits with 0 when all is well, with 1 when an object is wrong, with 2 when the directory
    /// cannot be read.
    Check(CheckArgs),
    /// Print what the files of a directory mean.
    Translate(TranslateArgs),
    /// Say which rule answers a request, and why each other one does not.
    ///
    /// Works on files alone: nothing is sent. Exits with 1 when no rule answers.
    Explain(ExplainArgs),
    /// Show what a running Fairway serves and what it has to say.
    Status(StatusArgs),
    /// Wait until an object in a cluster is served: `route/cart`, `fgw/web`.
    ///
    /// Returns when the condition holds for what is declared now. Exits with 1 when the time is over, and says
    /// why it does not hold. Also `kubectl fairway wait`, when the binary is found as `kubectl-fairway`.
    Wait(WaitArgs),
    /// Be a backend that answers with what it was asked: HTTP/1.1, HTTP/2, gRPC, WebSocket.
    Echo(EchoArgs),
    /// Print completions for a shell: `source <(fairway completions bash)`.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
}

/// How files become objects, for every verb that reads a directory.
#[derive(Args, Clone, Debug)]
pub(crate) struct SourceArgs {
    /// Directory of YAML or JSON files, searched with all that is below it.
    #[arg(value_name = "DIR")]
    pub directory: PathBuf,

    /// Endpoint of a Service's port that has no EndpointSlice in DIR; may be given often.
    #[arg(long = "backend", value_name = "NS/SERVICE:PORT=ADDR")]
    pub backends: Vec<BackendArgument>,
}

#[derive(Args, Clone, Debug)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pub source: SourceArgs,
    #[command(flatten)]
    pub serve: ServeArgs,
}

/// How a directory is served.
#[derive(Args, Clone, Debug)]
pub(crate) struct ServeArgs {
    /// Address of a Gateway, instead of one from --pool; may be given often.
    #[arg(long = "bind", value_name = "NS/GATEWAY=IP")]
    pub binds: Vec<BindArgument>,

    /// Range from which each Gateway without an address gets one of its own.
    #[arg(long, value_name = "CIDR", default_value = "127.64.0.0/16")]
    pub pool: ipnet::IpNet,

    /// Added to each port when it is bound, for those who may not bind 80 and 443. Routes are
    /// matched by the declared port all the same.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub port_offset: u16,

    /// Data threads; one for each processor by default.
    #[arg(long, value_name = "N")]
    pub threads: Option<usize>,

    /// Address of the admin endpoint (health, metrics, JSON), or `off`.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9900")]
    pub admin: AdminAddress,

    /// Where the last good configuration is kept, private keys included. By default a directory of
    /// its own for each DIR, below the user's state directory.
    #[arg(long, value_name = "PATH")]
    pub state: Option<PathBuf>,

    /// Where the statuses are written that a cluster would hold; below --state by default.
    #[arg(long, value_name = "PATH")]
    pub status_dir: Option<PathBuf>,

    /// Make a self-signed certificate for each TLS Secret that a listener names and DIR lacks.
    #[arg(long)]
    pub generate_certificates: bool,

    /// One line for each request, on standard output.
    #[arg(long, value_enum, default_value_t = AccessLog::Off)]
    pub access_log: AccessLog,

    /// How long requests in flight may take when the process is asked to end, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 10)]
    pub drain: u64,
}

#[derive(Args, Clone, Debug)]
pub(crate) struct ProxyArgs {
    /// The gateway to serve, such as `gateway/shop/web`; the certificate in --identity must be for it.
    #[arg(long, value_name = "ID")]
    pub gateway: String,

    /// Where the controller is.
    #[arg(long, value_name = "HOST:PORT")]
    pub controller: String,

    /// Directory with tls.crt, tls.key and ca.crt; read again for each connection to the controller.
    #[arg(long, value_name = "DIR")]
    pub identity: PathBuf,

    /// Where the last good configuration is kept, private keys included.
    #[arg(long, value_name = "DIR")]
    pub state: PathBuf,

    /// What this proxy calls itself to the controller.
    #[arg(long, env = "POD_NAME", default_value = "proxy")]
    pub name: String,

    /// Address to bind instead of all; may be given often.
    #[arg(long = "bind", value_name = "IP")]
    pub binds: Vec<IpAddr>,

    /// Address for /healthz and /readyz.
    #[arg(long, value_name = "ADDR", default_value = "0.0.0.0:8081")]
    pub health: SocketAddr,

    /// Address for /metrics.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9090")]
    pub metrics: SocketAddr,

    /// Data threads; one for each processor by default.
    #[arg(long, value_name = "N")]
    pub threads: Option<usize>,

    /// One line for each request, on standard output.
    #[arg(long, value_enum, default_value_t = AccessLog::Off)]
    pub access_log: AccessLog,

    /// How long clients may still come when the process is asked to end, in seconds: until everybody
    /// knows that it is not ready.
    #[arg(long, value_name = "SECONDS", default_value_t = 5)]
    pub grace: u64,

    /// How long requests under way may take after that, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 10)]
    pub drain: u64,
}

#[derive(Args, Clone, Debug)]
pub(crate) struct ControllerArgs {
    /// Namespace of the controller: of its Lease and its authority.
    #[arg(long, env = "POD_NAMESPACE", default_value = "fairway-system")]
    pub namespace: String,

    /// Who it is among its replicas: its pod.
    #[arg(long, env = "POD_NAME", default_value = "fairway-controller")]
    pub name: String,

    /// Range from which each Gateway without an address gets one, and in which those asked for must lie; may
    /// be given often.
    #[arg(long = "address-pool", value_name = "CIDR")]
    pub address_pools: Vec<ipnet::IpNet>,

    /// Image of the proxies.
    #[arg(long, value_name = "IMAGE", default_value = concat!("fairway:", env!("CARGO_PKG_VERSION")))]
    pub image: String,

    /// How many proxies each Gateway has.
    #[arg(long, value_name = "N", default_value_t = 2)]
    pub replicas: u32,

    /// Where proxies reach the controller.
    #[arg(
        long,
        value_name = "HOST:PORT",
        default_value = "fairway-controller.fairway-system.svc:7443"
    )]
    pub advertise: String,

    /// Address for proxies that ask for their configuration, by mutual TLS.
    #[arg(long, value_name = "ADDR", default_value = "0.0.0.0:7443")]
    pub stream: SocketAddr,

    /// Address for /healthz and /readyz.
    #[arg(long, value_name = "ADDR", default_value = "0.0.0.0:8081")]
    pub health: SocketAddr,

    /// Address of the admin endpoint (metrics, JSON), or `off`.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9900")]
    pub admin: AdminAddress,

    /// Namespace whose Secrets it may read, instead of all; may be given often.
    #[arg(long = "secret-namespace", value_name = "NAMESPACE")]
    pub secret_namespaces: Vec<String>,

    /// Believe it when most objects of a kind are gone at once, as after a restored backup.
    #[arg(long)]
    pub accept_deletions: bool,

    /// HTTPRoute whose translation fails by a fault of Fairway's own.
    // For the test that such a fault stays there: what is released has no such switch, not even a hidden one.
    #[cfg(debug_assertions)]
    #[arg(long, value_name = "NS/NAME", hide = true)]
    pub planted_fault: Option<ObjectName>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum AccessLog {
    /// None.
    Off,
    /// The combined log format, with route, backend and times behind it.
    Combined,
    /// One JSON object a line.
    Json,
}

/// Where the admin endpoint listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AdminAddress(pub Option<SocketAddr>);

impl std::str::FromStr for AdminAddress {
    type Err = std::net::AddrParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "off" { Ok(Self(None)) } else { text.parse().map(|address| Self(Some(address))) }
    }
}

#[derive(Args, Clone, Debug)]
pub(crate) struct DemoArgs {
    /// The example; the shop that is built in when the directory is not there.
    #[arg(value_name = "DIR", default_value = "examples/shop")]
    pub directory: PathBuf,

    /// Added to each port when it is bound; by default 0 for those who may bind 80 and 443, else
    /// 8000.
    #[arg(long, value_name = "N")]
    pub port_offset: Option<u16>,

    /// Address of the admin endpoint (health, metrics, JSON), or `off`.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9900")]
    pub admin: AdminAddress,

    /// Range from which each Gateway gets an address of its own.
    #[arg(long, value_name = "CIDR", default_value = "127.64.0.0/16")]
    pub pool: ipnet::IpNet,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    Text,
    /// For programs.
    Json,
    /// For both.
    Yaml,
}

#[derive(Args, Clone, Debug)]
pub(crate) struct CheckArgs {
    #[command(flatten)]
    pub source: SourceArgs,

    /// Take it that each TLS Secret that a listener names and DIR lacks is there.
    #[arg(long)]
    pub generate_certificates: bool,

    /// Count warnings as errors.
    #[arg(long)]
    pub strict: bool,

    /// How to print.
    #[arg(short, long, value_enum, default_value_t = Format::Text)]
    pub output: Format,
}

#[derive(Args, Clone, Debug)]
pub(crate) struct TranslateArgs {
    #[command(flatten)]
    pub source: SourceArgs,

    /// Take it that each TLS Secret that a listener names and DIR lacks is there.
    #[arg(long)]
    pub generate_certificates: bool,

    /// What to print.
    #[arg(long, value_enum, default_value_t = Stage::Model)]
    pub what: Stage,

    /// How to print.
    #[arg(short, long, value_enum, default_value_t = Format::Yaml)]
    pub output: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Stage {
    /// What would be served.
    Model,
    /// What there is to say about each object.
    Verdicts,
    /// The statuses that a cluster would hold.
    Statuses,
}

#[derive(Args, Clone, Debug)]
pub(crate) struct ExplainArgs {
    #[command(flatten)]
    pub source: SourceArgs,

    /// The request's URL; its port decides the listener.
    #[arg(long)]
    pub url: String,

    /// The request's method.
    #[arg(long, default_value = "GET")]
    pub method: String,

    /// A header of the request, as `name: value`; may be given often.
    #[arg(long = "header", short = 'H', value_name = "NAME: VALUE")]
    pub headers: Vec<HeaderArgument>,

    /// The client's address.
    #[arg(long, value_name = "IP", default_value = "192.0.2.1")]
    pub client: IpAddr,

    /// The Gateway that is asked; all of them by default.
    #[arg(long, value_name = "NS/NAME")]
    pub gateway: Option<ObjectName>,

    /// How to print.
    #[arg(short, long, value_enum, default_value_t = Format::Text)]
    pub output: Format,
}

#[derive(Args, Clone, Debug)]
pub(crate) struct StatusArgs {
    /// Address of the admin endpoint of a running `fairway run` or `fairway demo`.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9900")]
    pub admin: SocketAddr,

    /// How to print.
    #[arg(short, long, value_enum, default_value_t = Format::Text)]
    pub output: Format,
}

#[derive(Args, Clone, Debug)]
pub(crate) struct WaitArgs {
    /// What to wait for; `route` means a route of any kind.
    #[arg(value_name = "KIND/NAME")]
    pub target: Target,

    /// Its namespace; that of the context by default.
    #[arg(short, long, value_name = "NAMESPACE")]
    pub namespace: Option<String>,

    /// The condition: by default Live for a route, Programmed for a Gateway, Accepted for others.
    #[arg(long = "for", value_name = "CONDITION")]
    pub condition: Option<String>,

    /// How long to wait: 500ms, 60s, 2m, 1h.
    #[arg(long, value_name = "TIME", default_value = "60s")]
    pub timeout: Span,

    /// Context of the kubeconfig, instead of the current one.
    #[arg(long, value_name = "NAME")]
    pub context: Option<String>,

    /// The kubeconfig, instead of KUBECONFIG's or ~/.kube/config.
    #[arg(long, value_name = "PATH")]
    pub kubeconfig: Option<PathBuf>,
}

#[derive(Args, Clone, Debug)]
pub(crate) struct EchoArgs {
    /// Where to listen; port 0 takes a free one and prints it.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080")]
    pub listen: SocketAddr,

    /// Namespace to tell callers.
    #[arg(long, env = "NAMESPACE", default_value = "")]
    pub namespace: String,

    /// Service to tell callers.
    #[arg(long, env = "SERVICE_NAME", default_value = "echo")]
    pub service: String,

    /// Pod to tell callers.
    #[arg(long, env = "POD_NAME", default_value = "")]
    pub pod: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_argument_says_what_it_is() {
        for verb in Cli::command().get_subcommands() {
            for argument in verb.get_arguments() {
                let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
                assert!(!help.is_empty(), "{} {}", verb.get_name(), argument.get_id());
            }
        }
    }
}
