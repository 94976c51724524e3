//! A directory of YAML as the source of all objects: `fairway run DIR`, `fairway check DIR`.
//!
//! [`FileSource::scan`] looks at every file's signature, reads the ones that changed, reviews the
//! objects in them that changed, and hands out all objects; what did not change is the same `Arc`.
//!
//! What counts while something is broken:
//!
//! * A file that does not parse, cannot be read or is empty: all its objects as last read.
//! * An object that is not valid: its own last good version; the rest of the file is taken over.
//!   While an object has none, or a document does not say what it is, nothing that the file held
//!   before counts as removed, since it may be what the broken part was meant to become.
//! * The same object twice: the first by path, then by place in the file.
//! * Deleted objects and files are gone at once. Held are only: all objects, when the directory
//!   itself vanished or cannot be read; those of a directory below that cannot be read; and those
//!   of several files that vanished between two scans, if they are more than 10 and more than half
//!   of all. Held objects stay until their files come back, other files define them, or
//!   [`FileSource::release_held`] says that it is meant.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use foldhash::HashSet;
use jiff::Timestamp;

use super::admission::{Admission, Schemas};
use super::field::FieldPath;
use super::problem::{Position, Problem};
use super::stamp::{AdmittedObject, Stamps};

mod load;
mod merge;
mod split;
mod tree;

use load::FileState;
use merge::Merge;
use tree::Listing;

/// Larger files are refused: no one writes them by hand, and reading them would take the memory.
const MAX_FILE: u64 = 64 << 20;
/// Fewer new files than this are not worth a thread.
const FILES_PER_THREAD: usize = 32;
/// At most this many objects may vanish at once with their files without being held.
const MAX_VANISHED: usize = 10;

/// Reads a directory again and again.
pub struct FileSource {
    root: PathBuf,
    schemas: Arc<Schemas>,
    admission: Admission,
    files: BTreeMap<PathBuf, FileState>,
    stamps: Stamps,
    objects: Arc<[Placed]>,
    /// Of the files themselves and between them, from the last merge.
    problems: Vec<Problem>,
    held: usize,
    /// Namespaces that no file defines, by name.
    implied: BTreeMap<String, Arc<AdmittedObject>>,
}

/// What a directory holds now.
#[derive(Debug, Clone)]
pub struct Scan {
    /// All objects that count, ordered by path and place; the same `Arc` when nothing changed.
    pub objects: Arc<[Placed]>,
    /// All that is wrong now, ordered by place.
    pub problems: Vec<Problem>,
    /// Whether `objects` differs from the last scan's.
    pub changed: bool,
    /// Objects that count only because they vanished all at once; see [`FileSource::release_held`].
    pub held: usize,
}

/// An object and where it was read.
#[derive(Debug, Clone)]
pub struct Placed {
    pub object: Arc<AdmittedObject>,
    pub origin: Origin,
    /// No file holds it: it is the Namespace of the object at `origin`. In a cluster it would have
    /// to exist, with the label that selectors pick it by.
    pub implied: bool,
}

/// Where an object was read. Of a held or last good version: where it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// As shown to the user: below the directory as named on the command line.
    pub file: Arc<str>,
    /// Counted from 0.
    pub document: usize,
    /// Where the object begins.
    pub position: Position,
}

impl FileSource {
    /// A source of what is in `root`: a directory, or a single file. Reads nothing yet.
    pub fn new(root: impl Into<PathBuf>, schemas: &Arc<Schemas>) -> Self {
        Self {
            root: root.into(),
            schemas: Arc::clone(schemas),
            admission: Admission::new(schemas),
            files: BTreeMap::new(),
            stamps: Stamps::default(),
            objects: Arc::new([]),
            problems: Vec::new(),
            held: 0,
            implied: BTreeMap::new(),
        }
    }

    /// Reads what changed. Blocks on the disk; `now` becomes the creation time of new objects.
    pub fn scan(&mut self, now: Timestamp) -> Scan {
        let mut tree_problems = Vec::new();
        let dirty = match tree::list(&self.root) {
            Ok(listing) => {
                for (path, error) in &listing.unreadable {
                    tree_problems.push(self.unreadable(path, error));
                }
                // First what is there, since it may define what seems to be gone.
                let read = self.read_changed(&listing);
                self.remove_missing(&listing) || read
            }
            Err(error) => {
                tree_problems.push(self.unreadable(&self.root, &error));
                false
            }
        };
        let mut changed = false;
        if dirty {
            let before = Arc::clone(&self.objects);
            self.merge(now);
            let same = |(left, right): (&Placed, &Placed)| Arc::ptr_eq(&left.object, &right.object);
            changed = before.len() != self.objects.len()
                || !before.iter().zip(self.objects.iter()).all(same);
        }
        if self.held > 0 {
            tree_problems.push(self.held_problem());
        }
        let mut problems = self.problems.clone();
        problems.append(&mut tree_problems);
        problems.sort();
        problems.dedup();
        Scan { objects: Arc::clone(&self.objects), problems, changed, held: self.held }
    }

    /// Obeys that the held objects are gone; the next scan does without them.
    pub fn release_held(&mut self) {
        for file in self.files.values_mut().filter(|file| file.vanished) {
            file.entries.clear();
        }
    }

    /// The line and column of a field of an object, found by reading its file again; the object's
    /// own place when the file has changed since, or the field is a default.
    pub fn locate(&self, placed: &Placed, field: &str) -> Position {
        let origin = &placed.origin;
        let state = self.files.iter().find(|(_, state)| state.shown == origin.file);
        let bytes = state.and_then(|(path, _)| fs::read(path).ok());
        let documents = bytes.and_then(|bytes| load::parse(&bytes, &origin.file).ok());
        let document = documents.into_iter().flatten().find(|d| d.index == origin.document);
        let pieces = document.map(split::split).unwrap_or_default();
        let piece = pieces.iter().find(|piece| piece.places.start() == origin.position);
        piece.map_or(origin.position, |piece| piece.places.locate(&FieldPath::parse(field)))
    }

    /// Forgets files that are gone, unless they are to be held. True if anything was forgotten.
    fn remove_missing(&mut self, listing: &Listing) -> bool {
        let hidden =
            |path: &Path| listing.unreadable.iter().any(|(above, _)| path.starts_with(above));
        let missing: Vec<PathBuf> = self
            .files
            .iter()
            .filter(|(path, _)| !listing.files.contains_key(*path) && !hidden(path))
            .filter(|(_, state)| !state.vanished || state.entries.is_empty())
            .map(|(path, _)| path.clone())
            .collect();
        let fresh: Vec<_> = missing.iter().filter(|path| !self.files[*path].vanished).collect();
        let hold = fresh.len() > 1 && {
            let gone = self.objects_only_in(&fresh);
            gone > MAX_VANISHED && gone * 2 > self.objects.len()
        };
        for path in &missing {
            match self.files.get_mut(path) {
                Some(state) if hold && !state.vanished => state.vanished = true,
                _ => drop(self.files.remove(path)),
            }
        }
        !missing.is_empty()
    }

    /// How many objects would be lost with these files: not those that other files define, since
    /// files are renamed and split.
    fn objects_only_in(&self, files: &[&PathBuf]) -> usize {
        let files: HashSet<_> = files.iter().copied().collect();
        let keys = |gone: bool| {
            let states = self.files.iter().filter(move |(path, _)| files.contains(path) == gone);
            let entries = states.flat_map(|(_, state)| &state.entries);
            entries.filter(|entry| entry.good.is_some()).map(|entry| &entry.key)
        };
        let gone: HashSet<_> = keys.clone()(true).collect();
        let kept: HashSet<_> = keys(false).collect();
        gone.difference(&kept).count()
    }

    /// Reads the files whose signature changed. True if any did.
    fn read_changed(&mut self, listing: &Listing) -> bool {
        let mut jobs = Vec::new();
        let mut dirty = false;
        for (path, signature) in &listing.files {
            if let Some(state) = self.files.get(path)
                && state.signature == *signature
                && !state.vanished
                && !signature.is_doubtful(state.read)
            {
                continue;
            }
            let known = self.files.remove(path);
            let mut state = known.unwrap_or_else(|| FileState::new(shown(path), *signature));
            state.signature = *signature;
            dirty |= std::mem::take(&mut state.vanished);
            jobs.push((path.clone(), state));
        }
        dirty |= self.read_all(&mut jobs);
        self.files.extend(jobs);
        dirty
    }

    /// Reads files, many of them on all cores: what is reviewed at the start is all there is.
    fn read_all(&self, jobs: &mut [(PathBuf, FileState)]) -> bool {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        if jobs.len() <= FILES_PER_THREAD || cores == 1 {
            return read_each(jobs, &self.admission);
        }
        let share = jobs.len().div_ceil(cores);
        let schemas = &self.schemas;
        std::thread::scope(|scope| {
            let threads: Vec<_> = jobs
                .chunks_mut(share)
                .map(|share| scope.spawn(|| read_each(share, &Admission::new(schemas))))
                .collect();
            // All are joined, whatever the first ones say.
            let dirty: Vec<bool> = threads
                .into_iter()
                .map(|thread| thread.join().expect("reading a file panics only on a bug"))
                .collect();
            dirty.contains(&true)
        })
    }

    /// Decides which objects count.
    fn merge(&mut self, now: Timestamp) {
        let mut merge = Merge::new(&mut self.stamps, &self.objects, now);
        // Present files first: what they define need not be held any longer.
        let (held, present): (Vec<_>, Vec<_>) =
            self.files.values_mut().partition(|state| state.vanished);
        for state in present {
            merge.take(state);
        }
        let counted = merge.len();
        for state in held {
            merge.take(state);
        }
        self.held = merge.len() - counted;
        let (objects, problems) = merge.finish(&mut self.implied);
        self.objects = objects.into();
        self.problems = problems;
    }

    fn unreadable(&self, path: &Path, error: &io::Error) -> Problem {
        let count = |state: &FileState| state.entries.iter().filter(|e| e.good.is_some()).count();
        let below = self.files.iter().filter(|(file, _)| file.starts_with(path));
        let kept: usize = below.map(|(_, state)| count(state)).sum();
        let problem =
            Problem::of_file(&shown(path), Position::START, format!("cannot be read: {error}"));
        Problem { last_good_counts: kept > 0, ..problem }
    }

    fn held_problem(&self) -> Problem {
        let held = |state: &&FileState| state.vanished && !state.entries.is_empty();
        let files = self.files.values().filter(held);
        let names: Vec<_> = files.map(|state| &*state.shown).collect();
        let some = names.iter().take(3).copied().collect::<Vec<_>>().join(", ");
        let rest = if names.len() > 3 { ", …" } else { "" };
        let message = format!(
            "{} objects vanished at once, with {} files ({some}{rest}), and are held",
            self.held,
            names.len()
        );
        Problem::of_file(&shown(&self.root), Position::START, message)
            .with_remedy("bring the files back, or release the held objects if this is meant")
    }
}

fn read_each(jobs: &mut [(PathBuf, FileState)], admission: &Admission) -> bool {
    let mut dirty = false;
    for job in jobs {
        dirty |= read(job, admission);
    }
    dirty
}

/// Reads one file. True if what it holds may differ from before.
fn read((path, state): &mut (PathBuf, FileState), admission: &Admission) -> bool {
    let before = state.content;
    // Before the bytes: what is written while they are read makes the signature doubtful.
    state.read = SystemTime::now();
    if state.signature.size() > MAX_FILE {
        state.content = None;
        state.keep(Problem::of_file(&state.shown, Position::START, "larger than 64 MiB"));
        return true;
    }
    match fs::read(&*path) {
        Ok(bytes) => state.update(&bytes, admission),
        Err(error) => {
            state.content = None;
            let message = format!("cannot be read: {error}");
            state.keep(Problem::of_file(&state.shown, Position::START, message));
        }
    }
    before != state.content
}

fn shown(path: &Path) -> Arc<str> {
    path.to_string_lossy().into()
}
