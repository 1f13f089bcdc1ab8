//! What lakegate tells of itself: logs, metrics and spans. Names of metrics and labels live with the modules that count.

pub mod logs;
pub mod trace;

pub use prometheus_client::registry::Registry;

/// A registry. Every name that is entered begins with `lakegate_`; a test over the running service holds that.
#[must_use]
pub fn registry() -> Registry {
    Registry::default()
}
