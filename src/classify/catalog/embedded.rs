//! The files of the shipped catalog, as the build found them.

/// Path and text of each, in order of name.
pub(super) const FILES: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/catalog.rs"));
