//! From files to a published snapshot: watch, read a listing that holds still, compile, publish; the last good set stays until a better one is whole.

mod candidate;
mod catalog;
mod compile;
mod compose;
mod doubts;
mod listing;
mod published;
mod request;
mod secret;
mod signing;
mod watch;

pub use candidate::{beside, candidate};
pub use catalog::earlier;
pub use compile::{Compiled, Compiler};
pub use published::{Published, ReloadStatus};
pub use request::{Reloaded, Requests, Trigger, Waiting, requests};
pub use watch::Watcher;
