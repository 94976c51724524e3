//! What goes to standard output: the one place that writes there. Everything else returns text or data.

use std::io::{self, Write};

use serde::Serialize;

use crate::cli::Format;

/// Writes text as it is.
///
/// # Errors
/// Standard output is closed or full.
pub(crate) fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// Writes data for programs, or what `text` makes of it for people.
///
/// # Errors
/// Standard output is closed or full.
pub(crate) fn show<T: Serialize>(
    value: &T,
    format: Format,
    text: impl FnOnce(&T) -> String,
) -> anyhow::Result<()> {
    let shown = match format {
        Format::Text => text(value),
        Format::Json => serde_json::to_string_pretty(value)? + "\n",
        Format::Yaml => serde_saphyr::to_string(value)?.trim_end().to_owned() + "\n",
    };
    Ok(print(&shown)?)
}

/// Tells of an error, with everything that led to it.
pub(crate) fn complain(error: &anyhow::Error) {
    // Nobody is left to be told when standard error is closed too.
    writeln!(io::stderr(), "fairway: {error:#}").unwrap_or_default();
}

/// Tells how things go on standard error, where it does not mix with what was asked for.
pub(crate) fn remark(text: &str) {
    // As above.
    writeln!(io::stderr(), "{text}").unwrap_or_default();
}

/// Says whether the reader of standard output has gone: `fairway … | head` is no error.
pub(crate) fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let causes = error.chain().filter_map(|cause| cause.downcast_ref::<io::Error>());
    causes.into_iter().any(|cause| cause.kind() == io::ErrorKind::BrokenPipe)
}
