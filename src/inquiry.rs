//! A call that is asked about and not made: why it would be allowed or denied, by one snapshot, for the command line and the control socket alike.

mod claims;
mod request;
mod stages;
mod wire;

pub use self::{
    claims::claims,
    request::{Line, Request},
    stages::{Asker, Report, Terms, inquire},
    wire::Inquiry,
};
