//! What lakegate tells of itself: logs, metrics and spans. Names of metrics and labels live with the modules that count.

pub mod logs;
pub mod trace;

pub use prometheus_client::registry::Registry;

/// A registry whose metrics all begin with `lakegate_`.
#[must_use]
pub fn registry() -> Registry {
    Registry::with_prefix("lakegate")
}
