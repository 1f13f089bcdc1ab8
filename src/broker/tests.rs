//! Credentials as they are had from a token endpoint that answers over HTTP, with a clock that moves.

mod answers;
mod caller;
mod crowd;
mod desk;
mod endpoint;
mod faults;
mod known;
mod outage;
mod renewal;
mod shown;
mod unseen;
