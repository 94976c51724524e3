//! Which files of a directory count, and how to see cheaply that one has changed.

use std::collections::BTreeMap;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// Deeper directories are not read: a bound, should links lead in circles that cannot be seen.
const MAX_DEPTH: usize = 32;

/// What is there.
#[derive(Debug, Default)]
pub(super) struct Listing {
    /// Ordered by path, which decides between duplicates.
    pub(super) files: BTreeMap<PathBuf, Signature>,
    /// Directories and files that exist, and could not be looked at: what was in them still counts.
    pub(super) unreadable: Vec<(PathBuf, io::Error)>,
}

/// What changes when a file does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Signature {
    device: u64,
    inode: u64,
    size: u64,
    /// Seconds and nanoseconds.
    modified: (i64, i64),
    /// The inode's own time, which no one can set back.
    changed: (i64, i64),
}

impl Signature {
    fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }

    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// Whether the file may have changed once more within the same tick of its clock after it was
    /// read at `read`, so that its signature proves nothing.
    pub(super) fn is_doubtful(&self, read: SystemTime) -> bool {
        // Times without a fraction come from file systems that count in (two) seconds.
        let coarse = self.changed.1 == 0 && self.modified.1 == 0;
        let tick = if coarse { Duration::from_secs(2) } else { Duration::from_millis(20) };
        let changed = u64::try_from(self.changed.0)
            .ok()
            .zip(u32::try_from(self.changed.1).ok())
            .map(|(seconds, nanos)| SystemTime::UNIX_EPOCH + Duration::new(seconds, nanos));
        changed.is_none_or(|changed| read < changed + tick)
    }
}

/// Lists the files that count below `root`, or `root` itself if it is a file.
///
/// # Errors
///
/// When `root` cannot be read at all.
pub(super) fn list(root: &Path) -> io::Result<Listing> {
    let mut listing = Listing::default();
    let metadata = fs::metadata(root)?;
    if metadata.is_dir() {
        let mut above = vec![(metadata.dev(), metadata.ino())];
        read_directory(root, &mut above, &mut listing)?;
    } else {
        listing.files.insert(root.to_owned(), Signature::of(&metadata));
    }
    Ok(listing)
}

fn read_directory(
    directory: &Path,
    above: &mut Vec<(u64, u64)>,
    listing: &mut Listing,
) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        let Some(name) = name.to_str() else { continue };
        // Mounted ConfigMaps keep their versions in hidden directories and link to them.
        if name.starts_with(['.', '#']) {
            continue;
        }
        let path = entry.path();
        let counts =
            matches!(path.extension().and_then(|e| e.to_str()), Some("yaml" | "yml" | "json"));
        let metadata = match fs::metadata(&path) {
            Ok(metadata) => metadata,
            // A link to nothing, or a file that has just gone.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => {
                listing.unreadable.push((path, error));
                continue;
            }
        };
        if metadata.is_file() && counts {
            listing.files.insert(path, Signature::of(&metadata));
        } else if metadata.is_dir() {
            descend(path, &metadata, above, listing);
        }
    }
    Ok(())
}

fn descend(path: PathBuf, metadata: &Metadata, above: &mut Vec<(u64, u64)>, listing: &mut Listing) {
    let identity = (metadata.dev(), metadata.ino());
    if above.contains(&identity) || above.len() >= MAX_DEPTH {
        return;
    }
    above.push(identity);
    if let Err(error) = read_directory(&path, above, listing)
        && error.kind() != io::ErrorKind::NotFound
    {
        listing.unreadable.push((path, error));
    }
    above.pop();
}
