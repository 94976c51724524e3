//! When to look at a directory again: soon after something in it changed, and now and then anyway.
//!
//! Only a hint: what has changed is for [`super::FileSource::scan`] to find out. So a missed event
//! costs at most one slow poll, and a needless one costs one scan.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use notify::event::{AccessKind, AccessMode};
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until, timeout_at};

/// How long to wait for what.
#[derive(Debug, Clone, Copy)]
pub struct Timing {
    /// From the last event to the tick: an editor's save is several events.
    pub settle: Duration,
    /// From the first event to the tick, however many more come.
    pub bound: Duration,
    /// Between ticks when nothing is heard: for what the kernel does not tell, such as changes of
    /// files on a network, or behind links that lead out of the directory.
    pub poll: Duration,
    /// The same where the kernel tells nothing at all.
    pub poll_unwatched: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            settle: Duration::from_millis(5),
            bound: Duration::from_millis(25),
            poll: Duration::from_secs(5),
            poll_unwatched: Duration::from_millis(500),
        }
    }
}

/// Watches a directory with all below it, or a single file.
pub struct Watch {
    root: PathBuf,
    timing: Timing,
    heard: Arc<Heard>,
    /// `None` where the kernel refuses (its limit of watches is reached, say): then polls must do.
    watcher: Option<RecommendedWatcher>,
    /// Device and inode of the root that is watched: another directory in its place is to be
    /// watched anew.
    watched: Option<(u64, u64)>,
    /// When the first event came that no tick has answered yet.
    pending: Option<Instant>,
    next_poll: Instant,
}

/// What the watcher's thread has to say.
#[derive(Default)]
struct Heard {
    something: Notify,
    /// The root itself came, went or was replaced.
    root: AtomicBool,
}

impl Watch {
    /// Begins to watch. Must be called within a tokio runtime; never fails, as polls are always
    /// possible, and the directory may come later.
    pub fn start(root: impl Into<PathBuf>, timing: Timing) -> Self {
        let root = absolute(&root.into());
        let heard = Arc::new(Heard::default());
        let mut watch = Self {
            watcher: watcher(root.clone(), Arc::clone(&heard)).ok(),
            root,
            timing,
            heard,
            watched: None,
            pending: None,
            next_poll: Instant::now(),
        };
        let parent = watch.root.parent().map(Path::to_owned);
        if let (Some(watcher), Some(parent)) = (&mut watch.watcher, parent)
            && let Err(error) = watcher.watch(&parent, RecursiveMode::NonRecursive)
        {
            tracing::warn!(%error, "watching {}", parent.display());
        }
        watch.arm();
        watch.next_poll = Instant::now() + watch.pause();
        watch
    }

    /// Whether the kernel tells of changes; if not, they are found by polls only.
    pub fn is_watched(&self) -> bool {
        self.watched.is_some()
    }

    /// Waits until it is time to look at the directory again. May be dropped while it waits, and
    /// called again: nothing is lost.
    pub async fn changed(&mut self) {
        let first = loop {
            if let Some(first) = self.pending {
                break first;
            }
            tokio::select! {
                () = self.heard.something.notified() => self.pending = Some(Instant::now()),
                () = sleep_until(self.next_poll) => {
                    self.next_poll = Instant::now() + self.pause();
                    self.arm_if_replaced();
                    return;
                }
            }
        };
        let bound = first + self.timing.bound;
        loop {
            let quiet = (Instant::now() + self.timing.settle).min(bound);
            let more = timeout_at(quiet, self.heard.something.notified()).await;
            if more.is_err() || Instant::now() >= bound {
                break;
            }
        }
        self.pending = None;
        self.next_poll = Instant::now() + self.pause();
        if self.heard.root.swap(false, Ordering::Relaxed) {
            self.arm();
        } else {
            self.arm_if_replaced();
        }
    }

    fn pause(&self) -> Duration {
        if self.is_watched() { self.timing.poll } else { self.timing.poll_unwatched }
    }

    fn arm_if_replaced(&mut self) {
        if self.watched.is_none() || identity(&self.root).ok() != self.watched {
            self.arm();
        }
    }

    fn arm(&mut self) {
        let Some(watcher) = &mut self.watcher else { return };
        if self.watched.take().is_some() {
            // The old watch may already be gone with its directory.
            drop(watcher.unwatch(&self.root));
        }
        let Ok(metadata) = fs::metadata(&self.root) else { return };
        if !metadata.is_dir() {
            // The parent's watch tells of a file; one of its own would stay with the old inode.
            self.watched = Some((metadata.dev(), metadata.ino()));
            return;
        }
        match watcher.watch(&self.root, RecursiveMode::Recursive) {
            Ok(()) => self.watched = Some((metadata.dev(), metadata.ino())),
            Err(error) => tracing::warn!(%error, "watching {}", self.root.display()),
        }
    }
}

fn watcher(root: PathBuf, heard: Arc<Heard>) -> notify::Result<RecommendedWatcher> {
    notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        // An error or an overflow means that something was missed.
        let paths = match event {
            Ok(event) if !is_change(event.kind) => return,
            Ok(event) => event.paths,
            Err(_) => Vec::new(),
        };
        // The parent directory is watched too, and its other children are no business of ours.
        if !paths.is_empty() && !paths.iter().any(|path| path.starts_with(&root)) {
            return;
        }
        if paths.contains(&root) {
            heard.root.store(true, Ordering::Relaxed);
        }
        heard.something.notify_one();
    })
}

/// Our own reading of files is an event, too.
fn is_change(kind: EventKind) -> bool {
    match kind {
        EventKind::Access(access) => access == AccessKind::Close(AccessMode::Write),
        EventKind::Any
        | EventKind::Create(_)
        | EventKind::Modify(_)
        | EventKind::Remove(_)
        | EventKind::Other => true,
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    let metadata = fs::metadata(path)?;
    Ok((metadata.dev(), metadata.ino()))
}

/// Events carry absolute paths when the watch does; a path without a parent has none to watch.
fn absolute(path: &Path) -> PathBuf {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    // `absolute` keeps a trailing slash's component away, but not `.` in the middle of links: fine,
    // as both sides of a comparison come from here.
    absolute.components().collect()
}
