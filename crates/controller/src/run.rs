//! The loop: a change of the files becomes a snapshot, a plan, an update of the data plane, and statuses.
//!
//! The data flows one way. What the data plane says comes back as an outcome, which only `render` looks at.

mod intake;
mod outcomes;

use std::future::Future;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use fairway_model::Model;
use fairway_stream::in_process::Publisher;
use fairway_stream::store::{Saver, Store, StoreError};
use fairway_translate::status::{Statuses, current, render};
use fairway_translate::{Held, Plan, translate};
use tokio::task::JoinHandle;

use crate::admin::{self, Admin, Run, View};
use crate::drivers::embedded::{self, Embedded, Listeners, StartError};
use crate::metrics::{self, Figures};
use crate::sources::admission::Schemas;
use crate::sources::watch::{Timing, Watch};
use crate::status::{StatusDirectory, StatusError, StatusWriter};
use crate::view::{self, Documents, RunView};
use intake::Intake;
use outcomes::Progress;

/// What to run on, and how.
#[derive(Clone, Debug)]
pub struct Options {
    /// The directory of files, or one file.
    pub directory: PathBuf,
    /// How the files are understood.
    pub translate: fairway_translate::Settings,
    /// How the data plane runs.
    pub proxy: embedded::Settings,
    /// Where the admin endpoint listens; nowhere when absent.
    pub admin: Option<SocketAddr>,
    /// Where the last good configuration is kept.
    pub state: PathBuf,
    /// Where statuses are written.
    pub status_dir: PathBuf,
    /// Whether certificates are made for TLS Secrets that are named and missing. Their public part is
    /// written below `state`, in `certificates`.
    pub generate_certificates: bool,
    /// How long requests under way may take at the end.
    pub drain: Duration,
}

/// How long statuses wait for the data plane's answer to a change, which comes within milliseconds.
const PATIENCE: Duration = Duration::from_millis(500);

/// Is told how things stand after each change.
pub type Report = Arc<dyn Fn(&RunView) + Send + Sync>;

/// Why a run cannot begin. Later failures are reported and overcome.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The admin endpoint.
    #[error(
        "opening the admin endpoint on {address}: {source}; choose another one with --admin, or none with --admin off"
    )]
    Admin {
        /// Where it should be.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// The state directory.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The status directory.
    #[error(transparent)]
    Status(#[from] StatusError),
    /// The data plane.
    #[error(transparent)]
    DataPlane(#[from] StartError),
}

/// Serves a directory until `shutdown` is over, then lets requests under way end.
///
/// # Errors
/// It could not begin; see [`RunError`].
pub async fn run(
    options: Options,
    report: Report,
    shutdown: impl Future<Output = ()>,
) -> Result<(), RunError> {
    let mut running = Running::start(options, report).await?;
    let mut watch = Watch::start(&running.options.directory, Timing::default());
    let mut shutdown = std::pin::pin!(shutdown);
    running.look().await;
    loop {
        tokio::select! {
            () = &mut shutdown => break,
            () = watch.changed() => running.look().await,
            ack = running.publisher.acknowledged() => match ack {
                Ok(ack) => running.acknowledged(&ack),
                // The data plane's task is gone, which it has said; what is served goes on.
                Err(_closed) => break,
            },
            () = running.listeners.changed() => running.rebound(),
            () = overdue(running.due) => running.settle(Duration::ZERO),
        }
    }
    running.stop().await;
    Ok(())
}

struct Running {
    options: Options,
    report: Report,
    intake: Intake,
    plan: Option<Arc<Plan>>,
    progress: Progress,
    /// When statuses are written though the data plane has not answered.
    due: Option<Instant>,
    status_writer: StatusWriter,
    /// Whether statuses that an earlier run has left have been looked through.
    tidied: bool,
    documents: Documents,
    statuses: Arc<Statuses>,
    data_plane: Embedded,
    publisher: Publisher,
    listeners: Listeners,
    figures: Figures,
    admin: Option<(Admin, JoinHandle<()>)>,
    /// The model that is served, or about to be.
    model: Arc<Model>,
    sequence: u64,
    last_good: bool,
}

impl Running {
    async fn start(options: Options, report: Report) -> Result<Self, RunError> {
        let store = Store::open(&options.state)?;
        let status_directory = StatusDirectory::open(&options.status_dir)?;
        let listener = match options.admin {
            Some(address) => Some(
                admin::bind(address).await.map_err(|source| RunError::Admin { address, source })?,
            ),
            None => None,
        };
        let schemas = Arc::new(Schemas::bundled());
        let intake = Intake::new(&options, &schemas);
        let model = Arc::new(intake::last_good_model(&store));
        let saver = Saver::start(store, |error| tracing::error!(%error, "last good model"))?;
        let (data_plane, publisher) =
            Embedded::start(options.proxy.clone(), Arc::clone(&model), saver).await?;
        let figures = Figures::default();
        let admin = listener.map(|listener| {
            let scrape = metrics::scrape(Arc::clone(&figures), data_plane.counts());
            let admin = Admin::new(Arc::new(scrape));
            let serving = admin.clone();
            let task = tokio::spawn(async move {
                if let Err(error) = serving.serve(listener).await {
                    tracing::error!(%error, "admin endpoint");
                }
            });
            (admin, task)
        });
        let listeners = data_plane.listeners();
        let statuses = Arc::new(status_directory.statuses());
        let status_writer = StatusWriter::start(status_directory, told(&figures))?;
        let last_good = *model != Model::default();
        Ok(Self {
            options,
            report,
            intake,
            plan: None,
            progress: Progress::default(),
            due: None,
            status_writer,
            tidied: false,
            documents: Documents::default(),
            statuses,
            data_plane,
            publisher,
            listeners,
            figures,
            admin,
            model,
            sequence: 0,
            last_good,
        })
    }

    /// Looks at the files, and serves what they say now.
    async fn look(&mut self) {
        let noticed = Instant::now();
        let looked = self.intake.look();
        let scanned = noticed.elapsed();
        if !looked.changed {
            return;
        }
        self.last_good = looked.unreadable || looked.revived;
        if looked.unreadable {
            // Nothing is known: what is served goes on, be it from this run or from the one before.
            self.show(noticed.elapsed());
            return;
        }
        let held = self.plan.as_ref().map_or_else(Held::new, |plan| plan.addresses.clone());
        let began = Instant::now();
        let settings = &self.options.translate;
        let translation = || translate(&looked.snapshot, settings, &held, self.plan.as_deref());
        // A fault in a route's path is caught in there; this is the net for all else. What is shared
        // with the memo is immutable, so nothing half-made is left behind.
        let Ok(plan) = std::panic::catch_unwind(std::panic::AssertUnwindSafe(translation)) else {
            tracing::error!("a fault of Fairway itself, see above; what was served goes on");
            return;
        };
        let translated = began.elapsed();
        let carried = current(&looked.snapshot).into_iter();
        let mut carried = carried.filter(|(key, _)| !plan.verdicts.contains_key(key)).peekable();
        if carried.peek().is_some() {
            Arc::make_mut(&mut self.statuses).extend(carried);
        }
        self.model = Arc::new(plan.model.clone());
        self.plan = Some(Arc::new(plan));
        let mut answer_comes = false;
        match self.publisher.publish(Arc::clone(&self.model)).await {
            Ok(Some(update)) => {
                self.progress.sent(&update, noticed);
                answer_comes = true;
            }
            Ok(None) => {}
            Err(error) => tracing::error!(%error, "publishing a model"),
        }
        let problems = u64::try_from(self.intake.problems().len()).unwrap_or(u64::MAX);
        let rules = u64::try_from(self.model.routes.len()).unwrap_or(u64::MAX);
        metrics::update(&self.figures, |figures| {
            figures.changes += 1;
            figures.objects = looked.objects;
            figures.rules = rules;
            figures.problems = problems;
            figures.scan = scanned;
            figures.translate = translated;
        });
        if answer_comes {
            // Written once, with what the data plane says, and not twice.
            self.due.get_or_insert_with(|| Instant::now() + PATIENCE);
        } else {
            self.settle(noticed.elapsed());
        }
    }

    /// Writes statuses and shows how things stand.
    fn settle(&mut self, took: Duration) {
        self.due = None;
        self.write_statuses();
        self.show(took);
    }

    fn acknowledged(&mut self, ack: &fairway_stream::Ack) {
        let took = self.progress.acknowledged(ack);
        self.progress.outcomes.listeners = outcomes::of_listeners(&self.listeners.now());
        if let Some(took) = took {
            metrics::update(&self.figures, |figures| figures.served = took);
        }
        self.settle(took.unwrap_or_default());
    }

    /// A port has become free, or is taken.
    fn rebound(&mut self) {
        self.progress.outcomes.listeners = outcomes::of_listeners(&self.listeners.now());
        self.settle(Duration::ZERO);
    }

    fn write_statuses(&mut self) {
        let Some(plan) = &self.plan else { return };
        self.progress.forget_others(&plan.verdicts);
        let now = jiff::Timestamp::now();
        let settings = &self.options.translate;
        let statuses = render(plan, settings, &self.progress.outcomes, &self.statuses, now);
        self.statuses = Arc::new(statuses);
        self.status_writer.write(self.documents.follow(&self.statuses));
        if !std::mem::replace(&mut self.tidied, true) {
            self.status_writer.keep_only(&self.statuses);
        }
    }

    fn show(&mut self, took: Duration) {
        self.sequence += 1;
        let bound = self.listeners.now();
        let verdicts = self.plan.as_ref().map(|plan| &plan.verdicts);
        let shown = Arc::new(RunView {
            sequence: self.sequence,
            took,
            gateways: verdicts
                .map(|verdicts| view::gateways(verdicts, &self.model, &bound))
                .unwrap_or_default(),
            routes: verdicts.map(view::routes).unwrap_or_default(),
            problems: match verdicts {
                Some(verdicts) => self.intake.complaints(verdicts),
                None => self.intake.problems().to_vec(),
            },
            last_good: self.last_good,
            statuses: Arc::clone(&self.statuses),
        });
        if let Some((admin, _)) = &self.admin {
            admin.show(View {
                ready: self.progress.is_served() || self.last_good,
                model: Arc::clone(&self.model),
                plan: self.plan.clone(),
                run: {
                    let shown = Arc::clone(&shown);
                    Run::new(move || RunView::clone(&shown))
                },
            });
        }
        (self.report)(&shown);
    }

    async fn stop(self) {
        let Self { publisher, data_plane, admin, options, status_writer, .. } = self;
        drop(publisher);
        data_plane.drain(options.drain).await;
        if let Some((_, task)) = admin {
            task.abort();
        }
        // Waits for the disk, away from the runtime's threads.
        if let Err(error) = tokio::task::spawn_blocking(move || drop(status_writer)).await {
            tracing::error!(%error, "writing the last statuses");
        }
    }
}

/// Waits until statuses are to be written without an answer of the data plane; for ever when they are not.
async fn overdue(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due.into()).await,
        None => std::future::pending().await,
    }
}

/// Counts the writes of statuses, and reports those that fail.
fn told(figures: &Figures) -> impl Fn(Result<usize, StatusError>) + Send + use<> {
    let figures = Arc::clone(figures);
    move |written| match written {
        Ok(writes) => metrics::update(&figures, |figures| {
            figures.status_writes += u64::try_from(writes).unwrap_or_default();
        }),
        Err(error) => tracing::error!(%error, "writing statuses"),
    }
}
