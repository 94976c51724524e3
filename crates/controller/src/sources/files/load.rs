//! One file's content to reviewed objects, taking over from its last good state what did not change.

use std::sync::Arc;
use std::time::SystemTime;

use fairway_api::AnyObject;
use foldhash::{HashMap, HashMapExt};

use super::split::{Piece, split};
use super::tree::Signature;
use crate::sources::admission::{Admission, Finding, Identity};
use crate::sources::key::ObjectKey;
use crate::sources::problem::{Position, Problem};
use crate::sources::stamp::{AdmittedObject, Fingerprint};
use crate::sources::yaml::{self, Document, Places};

/// What is known of a file.
#[derive(Debug)]
pub(super) struct FileState {
    /// As shown to the user.
    pub(super) shown: Arc<str>,
    pub(super) signature: Signature,
    /// When its bytes were read.
    pub(super) read: SystemTime,
    pub(super) content: Option<Fingerprint>,
    pub(super) entries: Vec<Entry>,
    pub(super) problems: Vec<Problem>,
    /// It is gone, with too many others at once; its objects are held.
    pub(super) vanished: bool,
}

/// One object of a file.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) key: ObjectKey,
    pub(super) document: usize,
    pub(super) position: Position,
    /// Of the object as written.
    written: Fingerprint,
    /// The last good version, if there ever was one.
    pub(super) good: Option<Good>,
    findings: Vec<Finding>,
    /// The file no longer has it, but is too broken to believe that.
    pub(super) suspended: bool,
}

/// An admitted object; stamped once it has been the one that counts.
#[derive(Debug)]
pub(super) enum Good {
    Fresh(AnyObject),
    Stamped(Arc<AdmittedObject>),
}

impl FileState {
    pub(super) fn new(shown: Arc<str>, signature: Signature) -> Self {
        Self {
            shown,
            signature,
            read: SystemTime::UNIX_EPOCH,
            content: None,
            entries: Vec::new(),
            problems: Vec::new(),
            vanished: false,
        }
    }

    /// Keeps the entries as they were, and says why.
    pub(super) fn keep(&mut self, mut problem: Problem) {
        problem.last_good_counts = self.entries.iter().any(|entry| entry.good.is_some());
        self.problems = vec![problem];
    }

    /// Takes over new content.
    pub(super) fn update(&mut self, bytes: &[u8], admission: &Admission) {
        let content = Fingerprint::of(&bytes);
        if self.content == Some(content) {
            return;
        }
        self.content = Some(content);
        let documents = match parse(bytes, &self.shown) {
            Ok(documents) => documents,
            Err(problem) => return self.keep(*problem),
        };
        let empty = bytes.iter().all(u8::is_ascii_whitespace);
        if empty && !self.entries.is_empty() {
            // Editors and `>` truncate a file before they write it.
            let problem = Problem::of_file(&self.shown, Position::START, "the file is empty");
            return self.keep(problem.with_remedy("delete the file to remove its objects"));
        }
        self.problems.clear();
        let mut before = HashMap::with_capacity(self.entries.len());
        for entry in self.entries.drain(..) {
            before.entry(entry.key.clone()).or_insert(entry);
        }
        let mut loader = Loader { file: self, before, admission, suspicious: false };
        for document in documents {
            for piece in split(document) {
                loader.add(&piece);
            }
        }
        loader.finish();
    }
}

struct Loader<'a> {
    file: &'a mut FileState,
    before: HashMap<ObjectKey, Entry>,
    admission: &'a Admission,
    /// Something in the file may be what an earlier object was meant to become.
    suspicious: bool,
}

impl Loader<'_> {
    fn add(&mut self, piece: &Piece) {
        let (key, schema) = match self.admission.identify(&piece.value) {
            Identity::Known(key, schema) => (key, schema),
            Identity::Ignored(finding) => {
                let problems = finding.iter().map(|f| self.problem(f, &piece.places, None));
                let problems: Vec<_> = problems.collect();
                self.file.problems.extend(problems);
                return;
            }
            Identity::Unclear(finding) => {
                self.suspicious = true;
                let problem = self.problem(&finding, &piece.places, None);
                self.file.problems.push(problem);
                return;
            }
        };
        let written = Fingerprint::of(&piece.value);
        let (good, findings, refused) = match self.before.remove(&key) {
            Some(entry) if entry.written == written => {
                let refused = entry.findings.iter().any(is_error);
                (entry.good, entry.findings, refused)
            }
            before => {
                let review = self.admission.review(&key, schema, &piece.value);
                let refused = review.admitted.is_none();
                let last = before.and_then(|entry| entry.good);
                (review.admitted.map(Good::Fresh).or(last), review.findings, refused)
            }
        };
        self.suspicious |= refused && good.is_none();
        for finding in &findings {
            let mut problem = self.problem(finding, &piece.places, Some(&key));
            problem.last_good_counts = is_error(finding) && good.is_some();
            self.file.problems.push(problem);
        }
        self.file.entries.push(Entry {
            key,
            document: piece.document,
            position: piece.places.start(),
            written,
            good,
            findings,
            suspended: false,
        });
    }

    /// While something in the file cannot be made out, nothing that was in it counts as removed.
    fn finish(self) {
        if self.suspicious {
            let gone = self.before.into_values().filter(|entry| entry.good.is_some());
            let mut gone: Vec<_> = gone.map(|entry| Entry { suspended: true, ..entry }).collect();
            gone.sort_by_key(|entry| (entry.document, entry.position));
            self.file.entries.extend(gone);
        }
    }

    fn problem(&self, finding: &Finding, places: &Places, key: Option<&ObjectKey>) -> Problem {
        let source = places.source(&finding.path).filter(|_| finding.quote);
        let quoted = source.map(|source| format!("put it in quotes: \"{source}\""));
        Problem {
            file: Arc::clone(&self.file.shown),
            position: places.locate(&finding.path),
            severity: finding.severity,
            object: key.cloned(),
            field: finding.path.to_string(),
            message: finding.message.clone(),
            remedy: quoted.or_else(|| finding.remedy.clone()),
            last_good_counts: false,
        }
    }
}

fn is_error(finding: &Finding) -> bool {
    finding.severity == crate::sources::Severity::Error
}

/// Reads a file's documents.
pub(super) fn parse(bytes: &[u8], file: &Arc<str>) -> Result<Vec<Document>, Box<Problem>> {
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let good = bytes.get(..error.valid_up_to()).unwrap_or_default();
        let line = good.iter().filter(|byte| **byte == b'\n').count() + 1;
        let column = good.rsplit(|byte| *byte == b'\n').next().map_or(0, <[u8]>::len) + 1;
        let problem = Problem::of_file(file, Position { line, column }, "not text in UTF-8");
        Box::new(problem.with_remedy("save the file as UTF-8"))
    })?;
    yaml::parse(text).or_else(|error| {
        // JSON has escapes that YAML has not; then the places are lost, but not the objects.
        if file.ends_with(".json")
            && let Ok(documents) = json(text)
        {
            return Ok(documents);
        }
        let problem = Problem::of_file(file, error.position, error.message);
        Err(Box::new(Problem { remedy: error.remedy, ..problem }))
    })
}

fn json(text: &str) -> Result<Vec<Document>, serde_json::Error> {
    serde_json::Deserializer::from_str(text)
        .into_iter()
        .enumerate()
        .map(|(index, value)| Ok(Document { index, value: value?, places: Places::unknown() }))
        .collect()
}
