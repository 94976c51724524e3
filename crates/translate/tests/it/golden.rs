//! The golden cases. `FAIRWAY_GOLDEN=update` (`cargo xtask golden --update`) writes what each one gives
//! below its mark; `FAIRWAY_GOLDEN_FILTER` picks some.

use std::env;
use std::fs;

use similar::TextDiff;

use super::case::{Case, MARK, all};
use super::{print, statuses};

#[test]
#[expect(clippy::disallowed_methods, reason = "the test is told by its environment, not the crate")]
fn golden_cases_give_what_they_expect() {
    let update = env::var("FAIRWAY_GOLDEN").is_ok_and(|word| word == "update");
    let filter = env::var("FAIRWAY_GOLDEN_FILTER").unwrap_or_default();
    let mut failed = Vec::new();
    let cases: Vec<_> = all().into_iter().filter(|(name, _)| name.contains(&filter)).collect();
    assert!(!cases.is_empty(), "no case is called {filter:?}");
    for (name, path) in cases {
        let text = fs::read_to_string(&path).unwrap();
        let parts = text.split_once(MARK);
        let (input, expected) = parts.unwrap_or((text.as_str(), "no mark"));
        let case = Case::read(&path, input);
        let plan = case.plan();
        let given = match statuses::statuses(&case, &plan) {
            Some(statuses) => statuses::shown(&statuses),
            None => print::shown(&plan),
        };
        if given == expected {
            continue;
        }
        if update {
            let newline = if input.ends_with('\n') { "" } else { "\n" };
            fs::write(&path, format!("{input}{newline}{MARK}{given}")).unwrap();
            continue;
        }
        let diff = TextDiff::from_lines(expected, &given);
        failed.push(format!("--- {name}\n{}", diff.unified_diff().header("expected", "given")));
    }
    assert!(
        failed.is_empty(),
        "{} case(s) differ; `cargo xtask golden --update` rewrites them\n{}",
        failed.len(),
        failed.join("\n")
    );
}
