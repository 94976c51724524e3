//! `fairway run`: the controller's loop and the data plane in one process, from a directory of files.

pub(crate) mod screen;
pub(crate) mod signals;
pub(crate) mod state;
pub(crate) mod table;

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context;
use fairway_controller::run::{Options, Report};
use fairway_proxy::LogFormat;
use fairway_translate::address::Pool;
use fairway_translate::{Kind, Name, ObjectKey, Settings};

use crate::cli::{AccessLog, RunArgs, ServeArgs};
use crate::directory::{exists, service_backends};
use screen::Screen;
use signals::Signals;

/// # Errors
/// It could not begin: the directory is not there, an address is taken, the disk refuses.
pub(crate) async fn run(args: RunArgs) -> anyhow::Result<()> {
    exists(&args.source.directory)?;
    let mut settings = Settings::for_files();
    settings.service_backends = service_backends(&args.source.backends);
    let logs = args.serve.access_log != AccessLog::Off;
    let options = options(args.source.directory, settings, args.serve)?;
    let screen = Mutex::new(Screen::new(logs));
    let report: Report = Arc::new(move |view| {
        let mut screen = screen.lock().unwrap_or_else(PoisonError::into_inner);
        screen.show(view);
    });
    serve(options, report).await
}

/// Runs until a signal asks to end; a second one does not wait for requests under way.
///
/// # Errors
/// It could not begin.
pub(crate) async fn serve(options: Options, report: Report) -> anyhow::Result<()> {
    let _claim = state::claim(&options.state)?;
    let signals = Signals::listen().context("listening for signals")?;
    let running = fairway_controller::run::run(options, report, signals.at_least(1));
    tokio::select! {
        ended = running => Ok(ended?),
        () = signals.at_least(2) => Ok(()),
    }
}

/// Puts the command line into the words of the controller.
///
/// # Errors
/// There is nowhere to keep the state.
pub(crate) fn options(
    directory: PathBuf,
    mut translate: Settings,
    serve: ServeArgs,
) -> anyhow::Result<Options> {
    translate.pool = Pool { ranges: vec![serve.pool], open: true };
    for bind in &serve.binds {
        let gateway = &bind.gateway;
        let name = Name::new(gateway.namespace.as_str(), gateway.name.as_str());
        // A name may be that of a Gateway of either group.
        for kind in [Kind::FairwayGateway, Kind::Gateway] {
            let key = ObjectKey { kind, name: name.clone() };
            translate.binds.entry(key).or_default().push(bind.address);
        }
    }
    let mut proxy = fairway_proxy::Settings {
        port_offset: serve.port_offset,
        access_log: access_log(serve.access_log),
        ..fairway_proxy::Settings::default()
    };
    if let Some(threads) = serve.threads {
        proxy.threads = threads.max(1);
    }
    let state = match serve.state {
        Some(state) => state,
        None => state::default_directory(&directory)?,
    };
    Ok(Options {
        directory,
        translate,
        proxy,
        admin: serve.admin.0,
        status_dir: serve.status_dir.unwrap_or_else(|| state.join("statuses")),
        state,
        generate_certificates: serve.generate_certificates,
        drain: Duration::from_secs(serve.drain),
    })
}

pub(crate) fn access_log(which: AccessLog) -> fairway_proxy::AccessLog {
    let to_stdout = |format| fairway_proxy::AccessLog::to_writer(format, io::stdout());
    match which {
        AccessLog::Off => fairway_proxy::AccessLog::Off,
        AccessLog::Combined => to_stdout(LogFormat::Combined),
        AccessLog::Json => to_stdout(LogFormat::Json),
    }
}
