//! The last good model on disk. A data plane writes each model that it serves and starts from it
//! when nobody tells it anything better.
//!
//! A file is replaced as a whole: write, fsync, rename, fsync of the folder. A reader finds the old
//! model or the new one, never half of one, also after a loss of power. It holds private keys, so
//! only its owner may read it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use fairway_model::{Model, wire};

/// Why the store cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The file or its folder.
    #[error("{action} {path}: {source}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// What the file holds.
    #[error("reading {path}: {source}")]
    Content {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        source: wire::WireError,
    },
}

/// Where the last good model is kept.
#[derive(Clone, Debug)]
pub struct Store {
    folder: PathBuf,
}

const FILE: &str = "last-good.json";

impl Store {
    /// Keeps models in this folder, which is made if it is missing.
    ///
    /// # Errors
    /// The folder cannot be made.
    pub fn open(folder: impl Into<PathBuf>) -> Result<Self, StoreError> {
        let folder = folder.into();
        fs::create_dir_all(&folder).map_err(|source| io_error("creating", &folder, source))?;
        Ok(Self { folder })
    }

    /// Gives the file that holds the model.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.folder.join(FILE)
    }

    /// Reads the last good model; `None` if none was ever saved.
    ///
    /// # Errors
    /// The file cannot be read, or holds something else than a model of a version that we know.
    pub fn load(&self) -> Result<Option<Model>, StoreError> {
        let path = self.path();
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(io_error("reading", &path, source)),
        };
        wire::decode(&bytes).map(Some).map_err(|source| StoreError::Content { path, source })
    }

    /// Replaces the last good model.
    ///
    /// # Errors
    /// The disk refuses; the model before is still there.
    pub fn save(&self, model: &Model) -> Result<(), StoreError> {
        let path = self.path();
        let fresh = self.folder.join(format!("{FILE}.new"));
        let write = || -> io::Result<()> {
            let mut file = OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(true)
                .mode(0o600)
                .open(&fresh)?;
            file.write_all(&wire::encode(model))?;
            file.sync_all()
        };
        write().map_err(|source| io_error("writing", &fresh, source))?;
        fs::rename(&fresh, &path).map_err(|source| io_error("replacing", &path, source))?;
        File::open(&self.folder)
            .and_then(|folder| folder.sync_all())
            .map_err(|source| io_error("syncing", &self.folder, source))
    }
}

fn io_error(action: &'static str, path: &Path, source: io::Error) -> StoreError {
    StoreError::Io { action, path: path.to_owned(), source }
}

/// How many times as long as it takes to save a model the next one waits at least: the share of a processor
/// that a stream of changes costs. A model is written as a whole, however little of it has changed.
const REST: u32 = 20;

/// How long a model waits at most.
const LONGEST_REST: Duration = Duration::from_secs(5);

/// Saves models on a thread of its own, so that no change waits for the disk. The first one is written at
/// once; of those that come while it rests from the last one, the newest.
#[derive(Debug)]
pub struct Saver {
    models: Option<Sender<Arc<Model>>>,
    thread: Option<JoinHandle<()>>,
}

impl Saver {
    /// Starts the thread. `report` is told of each failure to save; the saver goes on.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn start(
        store: Store,
        report: impl Fn(StoreError) + Send + 'static,
    ) -> Result<Self, StoreError> {
        let (models, incoming) = mpsc::channel();
        let folder = store.folder.clone();
        let thread = std::thread::Builder::new()
            .name("last-good".to_owned())
            .spawn(move || {
                save_newest(&incoming, |model| {
                    if let Err(error) = store.save(model) {
                        report(error);
                    }
                });
            })
            .map_err(|source| io_error("starting a thread to save models in", &folder, source))?;
        Ok(Self { models: Some(models), thread: Some(thread) })
    }

    /// Hands over a model that is being served.
    pub fn submit(&self, model: Arc<Model>) {
        if let Some(models) = &self.models {
            // The thread ends only when this sender is dropped, so nothing is lost here.
            drop(models.send(model));
        }
    }
}

impl Drop for Saver {
    /// Waits until the newest model is on disk.
    fn drop(&mut self) {
        drop(self.models.take());
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

fn save_newest(incoming: &Receiver<Arc<Model>>, mut save: impl FnMut(&Model)) {
    let mut next = incoming.recv().ok();
    while let Some(model) = next {
        let model = incoming.try_iter().last().unwrap_or(model);
        let began = Instant::now();
        save(&model);
        drop(model);
        let rest = (began.elapsed() * REST).min(LONGEST_REST);
        next = newest_within(incoming, rest).or_else(|| incoming.recv().ok());
    }
}

/// Gives the newest model that comes within a while, which is over when no more can come. All are taken out at
/// once, so that none is kept that is not served any more.
fn newest_within(incoming: &Receiver<Arc<Model>>, rest: Duration) -> Option<Arc<Model>> {
    let until = Instant::now() + rest;
    let mut newest = None;
    while let Ok(model) = incoming.recv_timeout(until.saturating_duration_since(Instant::now())) {
        newest = Some(model);
    }
    newest
}

#[cfg(test)]
mod tests {
    use super::*;
    use fairway_model::{Gateway, GatewayId};
    use std::os::unix::fs::PermissionsExt;

    fn model(name: &str) -> Model {
        let gateway = Gateway {
            namespace: "shop".into(),
            name: name.into(),
            addresses: Vec::new(),
            client_certificate: None,
        };
        let mut model = Model::default();
        model.gateways.insert(GatewayId::new(name), Arc::new(gateway));
        model
    }

    #[test]
    fn what_was_saved_is_read_and_only_by_its_owner() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::open(folder.path().join("deep/state")).expect("made");
        assert!(store.load().expect("readable").is_none());
        store.save(&model("a")).expect("saved");
        store.save(&model("b")).expect("saved");
        assert_eq!(store.load().expect("readable"), Some(model("b")));
        let mode = fs::metadata(store.path()).expect("a file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn garbage_is_an_error_that_names_the_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::open(folder.path()).expect("made");
        fs::write(store.path(), b"{\"half\":").expect("written");
        let error = store.load().expect_err("garbage");
        assert!(error.to_string().contains("last-good.json"), "{error}");
    }

    #[test]
    fn the_newest_model_is_on_disk_when_the_saver_is_gone() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::open(folder.path()).expect("made");
        let saver = Saver::start(store.clone(), |error| panic!("{error}")).expect("started");
        for number in 0..50 {
            saver.submit(Arc::new(model(&format!("gateway-{number}"))));
        }
        drop(saver);
        assert_eq!(store.load().expect("readable"), Some(model("gateway-49")));
    }

    #[test]
    fn a_stream_of_models_is_not_written_one_by_one() {
        let took = Duration::from_millis(5);
        let (models, incoming) = mpsc::channel();
        let began = Instant::now();
        let saving = std::thread::spawn(move || {
            let mut saved = Vec::new();
            save_newest(&incoming, |model| {
                saved.push(model.clone());
                std::thread::sleep(took);
            });
            saved
        });
        for number in 0..100 {
            models.send(Arc::new(model(&format!("gateway-{number}")))).expect("it listens");
            std::thread::sleep(Duration::from_millis(2));
        }
        drop(models);
        let saved = saving.join().expect("it ends");
        let most = 2 + began.elapsed().as_millis() / (took * REST).as_millis();
        assert!(
            u128::try_from(saved.len()).is_ok_and(|saved| saved <= most),
            "{} of at most {most}",
            saved.len()
        );
        assert_eq!(saved.last(), Some(&model("gateway-99")));
    }
}
