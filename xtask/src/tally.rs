//! Counts what cargo's result lines say. The lines are the only thing that stable Rust promises about
//! a test run besides its exit code.

/// What the tests of one or more binaries came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    /// Names of the tests that did not run.
    pub(crate) skipped: Vec<String>,
    /// Names of the tests that failed.
    pub(crate) broken: Vec<String>,
}

impl Tally {
    /// Takes one line of output into account.
    pub(crate) fn read(&mut self, line: &str) {
        if let Some(counts) = line.strip_prefix("test result: ") {
            self.passed += count(counts, "passed");
            self.failed += count(counts, "failed");
        } else if let Some((name, result)) = test_line(line) {
            if result.starts_with("ignored") {
                self.skipped.push(name.to_owned());
            } else if result.starts_with("FAILED") {
                self.broken.push(name.to_owned());
            }
        }
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped.extend(other.skipped);
        self.broken.extend(other.broken);
    }
}

/// Finds the number before `word` in `ok. 3 passed; 0 failed; 1 ignored; …`.
fn count(counts: &str, word: &str) -> u64 {
    let words: Vec<&str> = counts.split([' ', ';']).filter(|word| !word.is_empty()).collect();
    words
        .windows(2)
        .find_map(|pair| (pair[1] == word).then(|| pair[0].parse().ok()).flatten())
        .unwrap_or(0)
}

/// Splits `test a::b ... ok`. A test's own output may stand before the result, so the last dots count.
fn test_line(line: &str) -> Option<(&str, &str)> {
    line.strip_prefix("test ")?.rsplit_once(" ... ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(output: &str) -> Tally {
        let mut tally = Tally::default();
        output.lines().for_each(|line| tally.read(line));
        tally
    }

    #[test]
    fn sums_the_result_lines_of_several_binaries() {
        let sum = tally(
            "running 2 tests\n\
             test a ... ok\n\
             test result: ok. 12 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s\n\
             test b::c ... FAILED\n\
             test result: FAILED. 3 passed; 1 failed; 0 ignored; 0 measured; 5 filtered out; finished in 0.01s\n",
        );
        assert_eq!((sum.passed, sum.failed), (15, 1));
        assert_eq!(sum.broken, ["b::c"]);
    }

    #[test]
    fn names_the_tests_that_did_not_run() {
        let sum = tally("test needs::root ... ignored, needs root\ntest other ... ignored\n");
        assert_eq!(sum.skipped, ["needs::root", "other"]);
    }

    #[test]
    fn other_output_counts_for_nothing() {
        assert_eq!(
            tally("test\nresult: 3 passed\nthe test result: ok. 4 passed\n"),
            Tally::default()
        );
    }
}
