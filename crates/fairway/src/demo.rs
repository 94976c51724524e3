//! `fairway demo`: the shop example, served with backends of its own, and requests to try. What it prints
//! is a shell script: requests as they are typed, everything else as comments, and below each request a
//! line `# expect:` with a text that its output holds.

mod requests;
mod shop;

use std::net::{IpAddr, SocketAddr, TcpListener as StdListener};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context;
use fairway_controller::run::Report;
use fairway_controller::view::RunView;
use fairway_translate::{Name, Settings};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::cli::{AccessLog, DemoArgs, ServeArgs};
use crate::directory::service_ports;
use crate::echo::{self, Identity};
use crate::output;
use crate::run::{options, screen::Screen, serve};
use shop::Folder;

/// What those who may not bind 80 and 443 get added to both.
const OFFSET: u16 = 8000;

/// # Errors
/// It could not begin: an address is taken, the disk refuses, the directory is no directory.
pub(crate) async fn demo(args: DemoArgs) -> anyhow::Result<()> {
    let folder = Folder::create()?;
    let directory = if args.directory.exists() {
        args.directory
    } else {
        output::print(&format!(
            "# {} is not there: this is the shop that is built in.\n",
            args.directory.display()
        ))?;
        folder.write_shop()?
    };
    let mut backends = JoinSet::new();
    let mut settings = Settings::for_files();
    for (service, port) in service_ports(&directory)? {
        let address = start_backend(&mut backends, &service).await?;
        settings.service_backends.entry((service, port)).or_default().push(address);
    }
    let offset = args.port_offset.unwrap_or_else(|| default_offset(args.pool.addr()));
    let options = options(
        directory.clone(),
        settings,
        ServeArgs {
            binds: Vec::new(),
            pool: args.pool,
            port_offset: offset,
            threads: None,
            admin: args.admin,
            state: Some(folder.path().join("state")),
            status_dir: None,
            generate_certificates: true,
            access_log: AccessLog::Off,
            drain: 1,
        },
    )?;
    output::print(&format!(
        "# Serving {} with an echo backend behind each Service. Ctrl-C ends it.\n\
         # Statuses, as a cluster would hold them: {}\n",
        directory.display(),
        options.status_dir.display()
    ))?;
    let guide = requests::Guide {
        directory,
        certificates: folder.path().join("state/certificates"),
        admin: args.admin.0,
    };
    serve(options, report(guide)).await
}

/// Tells of changes, and how to try it as soon as all listeners listen.
fn report(guide: requests::Guide) -> Report {
    let state = Mutex::new((Screen::comments(), false));
    Arc::new(move |view| {
        let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
        let (screen, told) = &mut *state;
        screen.show(view);
        if !*told && is_served(view) {
            *told = true;
            // Whoever looked on has gone; requests are served all the same.
            output::print(&guide.tell(view)).unwrap_or_default();
        }
    })
}

fn is_served(view: &RunView) -> bool {
    let mut listeners = view.gateways.iter().flat_map(|gateway| &gateway.listeners).peekable();
    listeners.peek().is_some() && listeners.all(|listener| !listener.bound.is_empty())
}

async fn start_backend(backends: &mut JoinSet<()>, service: &Name) -> anyhow::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await.context("opening a backend")?;
    let address = listener.local_addr().context("opening a backend")?;
    let identity = Identity {
        namespace: service.namespace.to_string(),
        service: service.name.to_string(),
        pod: format!("{}-0", service.name),
    };
    backends.spawn(async move {
        if let Err(error) = echo::serve(listener, identity).await {
            tracing::error!(%error, "a backend");
        }
    });
    Ok(address)
}

/// Finds out whether this process may bind port 80, by doing so.
fn default_offset(address: IpAddr) -> u16 {
    // The first address of a range is often no host's; any of loopback will do to find out.
    let address = if address.is_loopback() { IpAddr::from([127, 0, 0, 1]) } else { address };
    match StdListener::bind((address, 80)) {
        Ok(_free) => 0,
        Err(_refused) => OFFSET,
    }
}

/// Quotes a path for a shell, if it needs it.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '.' | '-' | '_' | '+');
    if text.chars().all(plain) { text } else { format!("'{}'", text.replace('\'', r"'\''")) }
}
