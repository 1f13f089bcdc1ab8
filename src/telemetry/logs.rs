//! Structured logs on standard error: one JSON object a line (or text for people), which escapes whatever an attacker put into a request.

use tracing_subscriber::{EnvFilter, Layer as _, layer::SubscriberExt as _, util::SubscriberInitExt as _};

/// What is wrong with a log filter.
#[derive(Debug, thiserror::Error)]
#[error("`{filter}` is no log filter such as `info` or `info,lakegate::authn=debug`: {cause}")]
pub struct FilterError {
    filter: String,
    cause: String,
}

/// Starts logging what `filter` lets through (`tracing`'s directive syntax). A second call changes nothing.
///
/// # Errors
/// [`FilterError`] where `filter` cannot be parsed.
pub fn start(filter: &str, json: bool) -> Result<(), FilterError> {
    let filter = EnvFilter::try_new(filter).map_err(|cause| FilterError { filter: filter.to_owned(), cause: cause.to_string() })?;
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let lines =
        if json { lines.json().flatten_event(true).with_current_span(false).with_span_list(false).boxed() } else { lines.with_ansi(false).boxed() };
    // A subscriber that is there already is the one of a test, or of an embedding program: it stays.
    let _ = tracing_subscriber::registry().with(filter).with(lines).try_init();
    Ok(())
}
