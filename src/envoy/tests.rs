//! The check port through its wire, as a proxy meets it.

mod abuse;
mod serving;
mod tls;
mod transport;
mod world;
