//! Which tests the suite holds, how each ended, and what is wrong with that.

use std::collections::BTreeMap;

use anyhow::{Context, Result};

use super::output::{Outcome, Said};

/// All tests, and how those ended that did.
pub(super) struct Results {
    /// Of Gateway API and of the suite.
    pub(super) version: String,
    tests: BTreeMap<String, Test>,
    ended: usize,
}

struct Test {
    is_mesh: bool,
    outcome: Option<Outcome>,
}

impl Results {
    /// Begins with the list that the suite's own binary gives.
    pub(super) fn of(list: &str) -> Result<Self> {
        let mut lines = list.lines();
        let version = lines.next().context("the list of tests is empty")?.to_owned();
        let mut tests = BTreeMap::new();
        for line in lines {
            let mut columns = line.split('\t');
            let name = columns.next().context("a test without a name")?.to_owned();
            let marks = columns.next().context("a test without marks")?;
            let is_mesh = marks.split(',').any(|mark| mark == "mesh");
            tests.insert(name, Test { is_mesh, outcome: None });
        }
        Ok(Self { version, tests, ended: 0 })
    }

    /// Takes what was said of a test; says whether it is worth telling: the skipped ones of meshes are not.
    pub(super) fn take(&mut self, said: &Said) -> bool {
        let unknown = || Test { is_mesh: false, outcome: None };
        let test = self.tests.entry(said.name.clone()).or_insert_with(unknown);
        test.outcome = Some(said.result);
        self.ended += 1;
        said.result != Outcome::Skip
    }

    /// Says how far it is.
    pub(super) fn progress(&self) -> String {
        format!("{}/{}", self.ended, self.tests.len())
    }

    /// Says what is wrong. Of a part of the suite, others are skipped rightly.
    pub(super) fn faults(&self, whole: bool) -> Vec<String> {
        let mut faults = Vec::new();
        for (name, test) in &self.tests {
            match test.outcome {
                None => faults.push(format!("{name} has not ended")),
                Some(Outcome::Fail) => faults.push(name.clone()),
                Some(Outcome::Skip) if whole && !test.is_mesh => {
                    faults.push(format!("{name} was skipped, and only tests of meshes may be"));
                }
                Some(Outcome::Skip | Outcome::Pass) => {}
            }
        }
        if self.count(Outcome::Pass) == 0 {
            faults.push("no test has passed".to_owned());
        }
        faults
    }

    /// Says in what the results differ from a list as [`Self::list`] gives it.
    pub(super) fn differences(&self, committed: &str) -> Vec<String> {
        let now = self.list();
        let missing = committed.lines().filter(|line| !now.lines().any(|other| other == *line));
        let added = now.lines().filter(|line| !committed.lines().any(|other| other == *line));
        let missing = missing.map(|line| format!("expected: {line}"));
        let added =
            added.map(|line| format!("not expected: {line}; --update writes the list anew"));
        missing.chain(added).collect()
    }

    /// Gives every test with its result, one a line.
    pub(super) fn list(&self) -> String {
        let line = |(name, test): (&String, &Test)| {
            let result =
                test.outcome.map_or_else(|| "NONE".to_owned(), |outcome| outcome.to_string());
            format!("{result} {name}\n")
        };
        self.tests.iter().map(line).collect()
    }

    /// Sums up.
    pub(super) fn summary(&self) -> String {
        format!(
            "{} passed, {} failed, {} skipped, of {} tests of Gateway API {}",
            self.count(Outcome::Pass),
            self.count(Outcome::Fail),
            self.count(Outcome::Skip),
            self.tests.len(),
            self.version
        )
    }

    fn count(&self, outcome: Outcome) -> usize {
        self.tests.values().filter(|test| test.outcome == Some(outcome)).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str = "v1.6.3\nA\t-\tGateway\nB\tparallel\tGateway\nM\tmesh\tMesh\n";

    fn ended(outcomes: &[(&str, Outcome)]) -> Results {
        let mut results = Results::of(LIST).expect("a list");
        for &(name, result) in outcomes {
            results.take(&Said { name: name.to_owned(), result, seconds: 0.0, log: Vec::new() });
        }
        results
    }

    #[test]
    fn only_meshes_may_be_skipped_and_nothing_may_be_missing() {
        use Outcome::{Fail, Pass, Skip};
        let well = ended(&[("A", Pass), ("B", Pass), ("M", Skip)]);
        assert_eq!(well.faults(true), Vec::<String>::new());
        assert_eq!(well.list(), "PASS A\nPASS B\nSKIP M\n");
        let skipped = ended(&[("A", Pass), ("B", Skip), ("M", Skip)]);
        assert_eq!(skipped.faults(true).len(), 1);
        assert_eq!(skipped.faults(false), Vec::<String>::new());
        assert_eq!(ended(&[("A", Pass), ("M", Skip)]).faults(true), ["B has not ended"]);
        assert_eq!(ended(&[("A", Pass), ("B", Fail), ("M", Skip)]).faults(true), ["B"]);
    }

    #[test]
    fn a_test_that_went_missing_is_told() {
        use Outcome::{Pass, Skip};
        let now = ended(&[("A", Pass), ("B", Pass), ("M", Skip)]);
        assert_eq!(now.differences(&now.list()), Vec::<String>::new());
        let differences = now.differences("PASS A\nPASS B\nPASS Gone\nSKIP M\n");
        assert_eq!(differences, ["expected: PASS Gone"]);
    }
}
