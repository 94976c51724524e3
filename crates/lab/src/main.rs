//! `fairway-lab`: the lab for people. `cargo xtask lab` calls it.
#![expect(clippy::print_stdout, reason = "a command line tool answers on standard output")]

use std::io::{self, IsTerminal};
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use clap::{Args, Parser, Subcommand, ValueEnum};
use fairway_api::vendor::{Channel, Version, gateway_api};
use fairway_lab::binaries::Binaries;
use fairway_lab::lab::remove_leftovers;
use fairway_lab::{Lab, Options};
use tracing_subscriber::EnvFilter;

/// A real Kubernetes API server, and a node whose pods are processes, on this machine alone.
///
/// Everything is in a network namespace of its own, so it needs root; nothing of it is reached from
/// outside, and nothing stays when it ends.
#[derive(Debug, Parser)]
#[command(name = "fairway-lab", bin_name = "cargo xtask lab", max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
    /// Name of the lab; labs of different names run side by side.
    #[arg(long, global = true, default_value = "main", value_parser = name)]
    name: String,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Build the programs that a lab is made of, and no more.
    Build,
    /// Start a lab, and stop it at Ctrl-C.
    Up(UpArgs),
    /// Stop a lab, and remove what killed ones have left.
    Down,
    /// Open a shell inside, with kubectl and KUBECONFIG set.
    Shell,
    /// Run kubectl inside, with the administrator's rights.
    Kubectl {
        /// Its arguments.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Run helm inside, with the administrator's rights.
    Helm {
        /// Its arguments.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Answer DNS questions on port 53: what the image `coredns` stands for.
    #[command(hide = true)]
    Dns {
        /// CoreDNS' own arguments, which say nothing here.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        ignored: Vec<String>,
    },
    /// Run a command inside, with KUBECONFIG set.
    Exec {
        /// The command and its arguments.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true)]
        command: Vec<String>,
    },
}

#[derive(Args, Clone, Debug)]
struct UpArgs {
    /// Come back when it is ready; `down` stops it.
    #[arg(long)]
    detach: bool,
    /// Which CRDs of Gateway API to install.
    #[arg(long, value_enum, default_value_t = GatewayApi::Experimental)]
    gateway_api: GatewayApi,
    /// Release of those CRDs.
    #[arg(long, value_enum, default_value_t = Release::V1_6_3)]
    gateway_api_version: Release,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum GatewayApi {
    /// None.
    None,
    /// Those of the standard channel.
    Standard,
    /// Those of the experimental channel.
    Experimental,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Release {
    /// v1.6.3.
    #[value(name = "v1.6.3")]
    V1_6_3,
    /// v1.7.0.
    #[value(name = "v1.7.0")]
    V1_7_0,
}

/// How long a detached lab may take: its programs may have to be built.
const PATIENCE: Duration = Duration::from_mins(30);

fn main() -> ExitCode {
    let cli = Cli::parse();
    let filter = EnvFilter::try_from_default_env()
        .unwrap_or_else(|_unset| EnvFilter::new("info,kube_client=error"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_target(false)
        .with_ansi(io::stderr().is_terminal())
        .init();
    act(&cli).unwrap_or_else(|error| {
        tracing::error!("{error:#}");
        ExitCode::FAILURE
    })
}

fn act(cli: &Cli) -> anyhow::Result<ExitCode> {
    match &cli.verb {
        Verb::Build => {
            Binaries::build()?;
            fairway_lab::binaries::helm()?;
            Ok(ExitCode::SUCCESS)
        }
        Verb::Up(args) if args.detach => detach(&cli.name),
        Verb::Up(args) => up(&cli.name, args),
        Verb::Down => down(&cli.name),
        Verb::Shell => {
            let shell = std::env::var("SHELL").unwrap_or_else(|_unset| "sh".to_owned());
            inside(&cli.name, &[shell])
        }
        Verb::Kubectl { arguments } => {
            let mut kubectl = Lab::find(&cli.name)?.kubectl()?;
            Ok(code(kubectl.args(arguments).status()?.code()))
        }
        Verb::Helm { arguments } => {
            let helm = fairway_lab::binaries::helm()?.display().to_string();
            let command: Vec<String> =
                [helm].into_iter().chain(arguments.iter().cloned()).collect();
            inside(&cli.name, &command)
        }
        Verb::Exec { command } => inside(&cli.name, command),
        Verb::Dns { ignored: _ } => {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(fairway_lab::node::dns::serve(([0, 0, 0, 0], 53).into()))?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn up(name: &str, args: &UpArgs) -> anyhow::Result<ExitCode> {
    let began = Instant::now();
    let mut lab = Lab::start(&Options { name: name.to_owned() })?;
    let channel = match args.gateway_api {
        GatewayApi::None => None,
        GatewayApi::Standard => Some(Channel::Standard),
        GatewayApi::Experimental => Some(Channel::Experimental),
    };
    let version = match args.gateway_api_version {
        Release::V1_6_3 => Version::V1_6_3,
        Release::V1_7_0 => Version::V1_7_0,
    };
    if let Some(channel) = channel {
        let crds: Vec<&str> = gateway_api(version, channel).iter().map(|&(_, yaml)| yaml).collect();
        lab.apply(&crds.join("\n---\n")).context("installing the CRDs of Gateway API")?;
    }
    lab.start_node(lab.images())?;
    std::fs::write(lab.folder().join("ready"), "")?;
    println!(
        "lab {name} is up after {:.1} s: {}",
        began.elapsed().as_secs_f64(),
        lab.folder().display()
    );
    println!("cargo xtask lab kubectl get namespaces     asks it something; Ctrl-C stops it");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut terminate =
            tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
        tokio::select! {
            done = tokio::signal::ctrl_c() => done,
            _ = terminate.recv() => Ok(()),
        }
    })?;
    drop(lab);
    Ok(ExitCode::SUCCESS)
}

/// Starts the same command once more without `--detach`, in a session of its own, and waits for it.
fn detach(name: &str) -> anyhow::Result<ExitCode> {
    let log = std::env::temp_dir().join(format!("fairway-lab-{name}.log"));
    let file = std::fs::File::create(&log).with_context(|| format!("writing {}", log.display()))?;
    let arguments = std::env::args().skip(1).filter(|argument| argument != "--detach");
    let mut child = Command::new("setsid")
        .arg(std::env::current_exe()?)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(file.try_clone()?)
        .stderr(file)
        .spawn()
        .context("starting setsid")?;
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        if Lab::find(name).is_ok_and(|found| found.folder.join("ready").is_file()) {
            println!("lab {name} is up; its log is {}", log.display());
            return Ok(ExitCode::SUCCESS);
        }
        if child.try_wait()?.is_some() {
            bail!("the lab ended at once:\n{}", std::fs::read_to_string(&log)?);
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    bail!(
        "the lab is not up after {} minutes; its log is {}",
        PATIENCE.as_secs() / 60,
        log.display()
    )
}

fn down(name: &str) -> anyhow::Result<ExitCode> {
    if let Ok(found) = Lab::find(name) {
        Command::new("kill").arg(found.pid.to_string()).status().context("running kill")?;
        let deadline = Instant::now() + Duration::from_secs(20);
        while Lab::find(name).is_ok() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(50));
        }
    }
    remove_leftovers()?;
    Ok(ExitCode::SUCCESS)
}

fn inside(name: &str, command: &[String]) -> anyhow::Result<ExitCode> {
    let found = Lab::find(name)?;
    let Some((program, arguments)) = command.split_first() else { bail!("no command is given") };
    let kubeconfig: PathBuf = found.folder.join("kubeconfig");
    let mut command = found.namespace.command(program);
    command.args(arguments).env("KUBECONFIG", kubeconfig);
    Ok(code(command.status()?.code()))
}

fn code(code: Option<i32>) -> ExitCode {
    ExitCode::from(code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1))
}

/// Names become parts of paths and of names of namespaces.
fn name(text: &str) -> Result<String, String> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if !text.is_empty() && text.len() <= 20 && text.chars().all(plain) {
        Ok(text.to_owned())
    } else {
        Err("up to 20 lower case letters, digits and `-`".to_owned())
    }
}
