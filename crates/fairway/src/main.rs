//! The `fairway` binary: command line verbs and the wiring of roles, nothing else.
#![forbid(unsafe_code)]

mod arguments;
mod cli;
mod directory;
mod output;

// The verbs.
mod check;
mod controller;
mod demo;
mod echo;
mod explain;
mod proxy;
mod run;
mod status;
mod translate;
mod wait;

use std::future::Future;
use std::io::IsTerminal;
use std::process::ExitCode;

use anyhow::Context;
use clap::{CommandFactory, Parser};
use tracing_subscriber::EnvFilter;

use cli::{Cli, Verb};

/// What a verb exits with when it could not do its work; clap's choice too.
const FAILED: u8 = 2;

fn main() -> ExitCode {
    let cli = Cli::parse();
    set_up_log(&cli.verb);
    // Fails only when it is set already, and then it is set.
    rustls::crypto::aws_lc_rs::default_provider().install_default().unwrap_or_default();
    match act(cli.verb) {
        Ok(code) => code,
        Err(error) if output::is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            output::complain(&error);
            ExitCode::from(FAILED)
        }
    }
}

fn act(verb: Verb) -> anyhow::Result<ExitCode> {
    match verb {
        Verb::Run(args) => with_runtime(run::run(args)),
        Verb::Proxy(args) => with_runtime(proxy::proxy(args)),
        Verb::Controller(args) => with_runtime(controller::controller(args)),
        Verb::Demo(args) => with_runtime(demo::demo(args)),
        Verb::Check(args) => check::check(&args),
        Verb::Translate(args) => translate::translate(&args),
        Verb::Explain(args) => explain::explain(&args),
        Verb::Status(args) => status::status(&args),
        Verb::Wait(args) => wait::wait(&args),
        Verb::Echo(args) => with_runtime(echo::echo(args)),
        Verb::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "fairway", &mut script);
            output::print(&String::from_utf8_lossy(&script))?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// Runs what waits. Requests have threads of their own, so two are enough here.
fn with_runtime(work: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("starting threads")?;
    runtime.block_on(work)?;
    Ok(ExitCode::SUCCESS)
}

/// The log goes to standard error; `RUST_LOG` chooses what is in it. What runs unwatched says more by itself.
fn set_up_log(verb: &Verb) {
    let unwatched = matches!(verb, Verb::Controller(_) | Verb::Proxy(_));
    let usual = if unwatched { "info" } else { "warn" };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_unset| EnvFilter::new(usual));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none())
        .init();
}
