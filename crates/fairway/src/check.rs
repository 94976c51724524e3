//! `fairway check`: everything that is wrong with a directory, in one list ordered by place.

use std::fmt::Write as _;
use std::process::ExitCode;

use fairway_controller::complaint::Complaints;
use fairway_controller::sources::{Problem, expiry};
use serde::Serialize;

use crate::cli::CheckArgs;
use crate::directory::{Certified, Directory};
use crate::output;

/// What a check found.
#[derive(Serialize)]
struct Findings {
    /// Objects that were read.
    objects: usize,
    errors: usize,
    warnings: usize,
    problems: Vec<Problem>,
}

/// # Errors
/// The directory cannot be read, or standard output is closed.
pub(crate) fn check(args: &CheckArgs) -> anyhow::Result<ExitCode> {
    let certified =
        if args.generate_certificates { Certified::Assumed } else { Certified::AsWritten };
    let directory = Directory::read(&args.source, certified)?;
    let Directory { source, scan, plan, .. } = &directory;
    let mut problems = scan.problems.clone();
    problems.extend(Complaints::default().follow(source, &scan.objects, &plan.verdicts));
    problems.extend(expiry::expiring(source, &scan.objects, jiff::Timestamp::now()));
    problems.sort();
    problems.dedup();
    let errors = problems.iter().filter(|problem| problem.is_error()).count();
    let findings = Findings {
        objects: scan.objects.iter().filter(|placed| !placed.implied).count(),
        errors,
        warnings: problems.len() - errors,
        problems,
    };
    output::show(&findings, args.output, text)?;
    let fails = findings.errors > 0 || args.strict && findings.warnings > 0;
    Ok(ExitCode::from(u8::from(fails)))
}

fn text(findings: &Findings) -> String {
    let mut text = String::new();
    for problem in &findings.problems {
        writeln!(text, "{problem}").expect("writing to a String never fails");
    }
    let Findings { objects, errors, warnings, .. } = findings;
    writeln!(text, "{objects} objects, {errors} errors, {warnings} warnings")
        .expect("writing to a String never fails");
    text
}
