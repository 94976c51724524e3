//! Reads what a Go test binary prints with `-test.v=test2json`: lines that begin with a marker byte say which
//! test goes on, and how each ended; those between them are its log.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Write};

/// Begins the lines that tell of tests, so that no test can imitate them.
const MARKER: char = '\u{16}';

/// The test that holds all others.
const WHOLE: &str = "TestConformance/";

/// How a test ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Pass,
    Fail,
    Skip,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pass => "PASS",
            Self::Fail => "FAIL",
            Self::Skip => "SKIP",
        })
    }
}

/// What was said of one test of the suite when it ended.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Said {
    pub(super) name: String,
    pub(super) result: Outcome,
    pub(super) seconds: f64,
    /// What it logged, subtests included; kept of those that failed.
    pub(super) log: Vec<String>,
}

/// Reads line by line, and copies everything.
pub(super) struct Output<W> {
    copy: W,
    /// The test that the next lines belong to: one of the suite, without its subtests.
    current: String,
    logs: BTreeMap<String, Vec<String>>,
}

impl<W: Write> Output<W> {
    pub(super) const fn new(copy: W) -> Self {
        Self { copy, current: String::new(), logs: BTreeMap::new() }
    }

    /// Takes a line; gives what it says if it ends a test of the suite.
    pub(super) fn read(&mut self, line: &str) -> io::Result<Option<Said>> {
        // What was printed without a line's end stands before the marker.
        let (before, marked) = match line.split_once(MARKER) {
            Some((before, marked)) => (before, Some(marked)),
            None => (line, None),
        };
        writeln!(self.copy, "{before}{}", marked.unwrap_or_default())?;
        if !before.is_empty() {
            self.log(before);
        }
        Ok(marked.and_then(|marked| self.mark(marked)))
    }

    fn mark(&mut self, line: &str) -> Option<Said> {
        if let Some(rest) = line.strip_prefix("=== ") {
            let name = rest.split_whitespace().nth(1)?;
            one_of_suite(name).unwrap_or_default().clone_into(&mut self.current);
            return None;
        }
        let (result, name, seconds) = ended(line)?;
        let suite = one_of_suite(name)?.to_owned();
        suite.clone_into(&mut self.current);
        if name.strip_prefix(WHOLE) != Some(&suite) {
            if result == Outcome::Fail {
                self.log(line);
            }
            return None;
        }
        let log = self.logs.remove(&suite).unwrap_or_default();
        let log = if result == Outcome::Fail { log } else { Vec::new() };
        Some(Said { name: suite, result, seconds, log })
    }

    fn log(&mut self, line: &str) {
        if !self.current.is_empty() {
            self.logs.entry(self.current.clone()).or_default().push(line.trim_end().to_owned());
        }
    }
}

/// Gives the name of the suite's test that a test is, or is a part of.
fn one_of_suite(name: &str) -> Option<&str> {
    name.strip_prefix(WHOLE)?.split('/').next()
}

/// Reads `--- PASS: NAME (0.12s)`.
fn ended(line: &str) -> Option<(Outcome, &str, f64)> {
    let (word, rest) = line.trim_start().strip_prefix("--- ")?.split_once(": ")?;
    let result = match word {
        "PASS" => Outcome::Pass,
        "FAIL" => Outcome::Fail,
        "SKIP" => Outcome::Skip,
        _ => return None,
    };
    let (name, time) = rest.split_once(" (")?;
    let seconds = time.strip_suffix("s)")?.parse().ok()?;
    Some((result, name, seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\u{16}=== RUN   TestConformance
    suite.go:389: setup
\u{16}=== RUN   TestConformance/A
    a.go:1: of A
\u{16}=== PAUSE TestConformance/A
\u{16}=== RUN   TestConformance/B
\u{16}=== RUN   TestConformance/B/one
    b.go:1: of B
\u{16}--- FAIL: TestConformance/B/one (0.01s)
\u{16}--- FAIL: TestConformance/B (1.50s)
\u{16}=== NAME  TestConformance
    suite.go:390: between
\u{16}=== RUN   TestConformance/M
\u{16}--- SKIP: TestConformance/M (0.00s)
\u{16}=== CONT  TestConformance/A
--- FAIL: TestConformance/A (9.99s)
no newline\u{16}--- PASS: TestConformance/A (0.25s)
\u{16}--- FAIL: TestConformance (2.00s)
\u{16}FAIL";

    #[test]
    fn results_and_the_logs_of_failed_tests_are_read() {
        let mut copy = Vec::new();
        let mut output = Output::new(&mut copy);
        let said: Vec<Said> =
            TEXT.lines().filter_map(|line| output.read(line).expect("memory")).collect();
        let short: Vec<(&str, Outcome, usize)> =
            said.iter().map(|said| (said.name.as_str(), said.result, said.log.len())).collect();
        let expected = [("B", Outcome::Fail, 2), ("M", Outcome::Skip, 0), ("A", Outcome::Pass, 0)];
        assert_eq!(short, expected);
        assert_eq!(said[0].log[0], "    b.go:1: of B");
        assert!(String::from_utf8(copy).expect("text").contains("suite.go:390: between"));
    }

    #[test]
    fn what_a_test_prints_is_no_result() {
        assert_eq!(ended("--- PASS: nothing"), None);
        let mut output = Output::new(io::sink());
        assert_eq!(output.read("--- PASS: TestConformance/A (0.00s)").expect("a sink"), None);
    }
}
