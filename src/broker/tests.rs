//! Credentials as they are had from a token endpoint that answers over HTTP, with a clock that moves.

mod answers;
mod caller;
mod desk;
mod endpoint;
mod faults;
mod known;
mod renewal;
mod unseen;
