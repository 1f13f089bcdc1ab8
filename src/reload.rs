//! From a change on disk to a new set of rules that is served whole: what changed is noticed, read until it holds still, compiled, and published.

pub mod listing;
pub mod watch;
