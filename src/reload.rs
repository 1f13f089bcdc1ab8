//! From files to a published snapshot: watch, compile, publish; the last good set stays until a better one is whole.

mod compile;
mod published;
pub mod watch;

pub use compile::{Compiled, compile};
pub use published::{Published, ReloadStatus};
