//! What containers print: one file each, every line with the time it came, as the container runtime
//! interface writes it (`TIME stdout F LINE`).

use std::{
    fs::{File, OpenOptions},
    io::{self, BufRead, BufReader, BufWriter, Read, Write},
    path::{Path, PathBuf},
    str::FromStr,
};

use k8s_openapi::jiff::Timestamp;

/// A file that grew to this many bytes is set aside, and the one set aside before it goes.
const LIMIT: u64 = 64 << 20;

/// Where a container's log stands.
pub(super) fn path(directory: &Path, namespace: &str, pod: &str, container: &str) -> PathBuf {
    directory.join("logs").join(format!("{namespace}_{pod}_{container}.log"))
}

fn set_aside(path: &Path) -> PathBuf {
    path.with_extension("log.1")
}

/// Copies lines until the last process that holds the other end is gone.
pub(super) fn collect(output: impl Read, path: &Path) -> io::Result<()> {
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent)?;
    }
    let mut output = BufReader::new(output);
    let (mut file, mut size) = open(path)?;
    let mut line = Vec::new();
    while output.read_until(b'\n', &mut line)? > 0 {
        if line.last() != Some(&b'\n') {
            line.push(b'\n');
        }
        let stamp = format!("{:.9} stdout F ", Timestamp::now());
        file.write_all(stamp.as_bytes())?;
        file.write_all(&line)?;
        size += u64::try_from(stamp.len() + line.len()).unwrap_or(LIMIT);
        line.clear();
        if output.buffer().is_empty() || size > LIMIT {
            file.flush()?;
        }
        if size > LIMIT {
            std::fs::rename(path, set_aside(path))?;
            (file, size) = open(path)?;
        }
    }
    file.flush()
}

fn open(path: &Path) -> io::Result<(BufWriter<File>, u64)> {
    let file = OpenOptions::new().create(true).append(true).open(path)?;
    let size = file.metadata()?.len();
    Ok((BufWriter::new(file), size))
}

/// Which lines somebody wants to see.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Wanted {
    /// Not before this.
    pub(super) since: Option<Timestamp>,
    /// Only so many, from the end.
    pub(super) tail: Option<usize>,
    /// With the time before each.
    pub(super) timestamps: bool,
    /// Go on while the pod runs.
    pub(super) follow: bool,
}

impl Wanted {
    /// Reads a query: `sinceTime`, `sinceSeconds`, `tailLines`, `timestamps`, `follow`. What cannot
    /// be read is as if it were not there.
    pub(super) fn parse(query: &str, now: Timestamp) -> Self {
        let mut wanted = Self::default();
        for (name, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
            let value = value.replace("%3A", ":").replace("%3a", ":").replace("%2B", "+");
            match name {
                "sinceTime" => wanted.since = Timestamp::from_str(&value).ok(),
                "sinceSeconds" => {
                    let seconds = value.parse().map(std::time::Duration::from_secs);
                    wanted.since = seconds.ok().and_then(|seconds| now.checked_sub(seconds).ok());
                }
                "tailLines" => wanted.tail = value.parse().ok(),
                "timestamps" => wanted.timestamps = value == "true",
                "follow" => wanted.follow = value == "true",
                _ => {}
            }
        }
        wanted
    }

    /// One stored line as it is wanted, or nothing.
    fn show<'a>(&self, stored: &'a str) -> Option<(&'a str, &'a str)> {
        let (time, rest) = stored.split_once(' ')?;
        let text = rest.strip_prefix("stdout F ")?;
        if self.since.is_some_and(|since| Timestamp::from_str(time).is_ok_and(|time| time < since))
        {
            return None;
        }
        Some((time, text))
    }
}

/// The lines wanted out of all that is stored, and how far the present file was read, in bytes.
pub(super) fn read(path: &Path, wanted: Wanted) -> io::Result<(String, u64)> {
    let mut stored = String::new();
    if let Ok(bytes) = std::fs::read(set_aside(path)) {
        stored.push_str(&String::from_utf8_lossy(&bytes));
    }
    let bytes = std::fs::read(path)?;
    stored.push_str(&String::from_utf8_lossy(&bytes));
    let lines: Vec<(&str, &str)> = stored.lines().filter_map(|line| wanted.show(line)).collect();
    let first = wanted.tail.map_or(0, |tail| lines.len().saturating_sub(tail));
    let text = render(lines.get(first..).unwrap_or_default(), wanted);
    Ok((text, u64::try_from(bytes.len()).unwrap_or(u64::MAX)))
}

/// What came after this many bytes of the file; whole lines only.
pub(super) fn read_on(path: &Path, position: u64, wanted: Wanted) -> io::Result<(String, u64)> {
    use std::io::{Seek, SeekFrom};
    let mut file = File::open(path)?;
    // A file that is shorter than what was read of it is a new one.
    let position = if file.metadata()?.len() < position { 0 } else { position };
    file.seek(SeekFrom::Start(position))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    let whole = bytes.iter().rposition(|&byte| byte == b'\n').map_or(0, |end| end + 1);
    bytes.truncate(whole);
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<(&str, &str)> = text.lines().filter_map(|line| wanted.show(line)).collect();
    Ok((render(&lines, wanted), position + u64::try_from(whole).unwrap_or_default()))
}

fn render(lines: &[(&str, &str)], wanted: Wanted) -> String {
    let mut text = String::new();
    for (time, line) in lines {
        if wanted.timestamps {
            text.push_str(time);
            text.push(' ');
        }
        text.push_str(line);
        text.push('\n');
    }
    text
}

/// The end of a log, for a message about why its container ended.
pub(super) fn last_lines(path: &Path, count: usize) -> String {
    let wanted = Wanted { tail: Some(count), ..Wanted::default() };
    read(path, wanted).map(|(text, _)| text).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_back_as_asked() {
        let directory = tempfile::tempdir().unwrap();
        let path = path(directory.path(), "shop", "cart-1", "cart");
        collect(&b"one\ntwo\nthree"[..], &path).unwrap();
        let ask = |query: &str| read(&path, Wanted::parse(query, Timestamp::now())).unwrap().0;
        assert_eq!(ask(""), "one\ntwo\nthree\n");
        assert_eq!(ask("tailLines=1"), "three\n");
        assert_eq!(ask("sinceTime=2999-01-01T00%3A00%3A00Z"), "");
        assert_eq!(ask("sinceTime=2020-01-01T00:00:00Z&tailLines=2"), "two\nthree\n");
        assert!(ask("timestamps=true&tailLines=1").ends_with("Z three\n"));
        let (_, position) = read(&path, Wanted::default()).unwrap();
        collect(&b"four\n"[..], &path).unwrap();
        assert_eq!(read_on(&path, position, Wanted::default()).unwrap().0, "four\n");
    }
}
