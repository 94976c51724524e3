//! `fairway translate`: what the files of a directory mean, without serving it.

use std::process::ExitCode;

use fairway_controller::view;
use fairway_translate::status::{Outcomes, current, render};
use serde_json::Value;

use crate::cli::{Format, Stage, TranslateArgs};
use crate::directory::{Certified, Directory};
use crate::output;

/// # Errors
/// The directory cannot be read, or standard output is closed.
pub(crate) fn translate(args: &TranslateArgs) -> anyhow::Result<ExitCode> {
    let certified =
        if args.generate_certificates { Certified::Assumed } else { Certified::AsWritten };
    let directory = Directory::read(&args.source, certified)?;
    for problem in directory.scan.problems.iter().filter(|problem| problem.is_error()) {
        tracing::warn!("left out: {problem}");
    }
    let shown = shown(&directory, args.what);
    // For people YAML is the text.
    let format = if args.output == Format::Text { Format::Yaml } else { args.output };
    output::show(&shown, format, Value::to_string)?;
    Ok(ExitCode::SUCCESS)
}

fn shown(directory: &Directory, what: Stage) -> Value {
    let Directory { plan, settings, snapshot, .. } = directory;
    match what {
        // Private keys never leave by this way.
        Stage::Model => fairway_model::wire::redacted(&plan.model),
        Stage::Verdicts => view::verdicts_json(&plan.verdicts),
        Stage::Statuses => {
            let now = jiff::Timestamp::now();
            let before = current(snapshot);
            let statuses = render(plan, settings, &Outcomes::default(), &before, now);
            view::statuses_json(&statuses)
        }
    }
}
