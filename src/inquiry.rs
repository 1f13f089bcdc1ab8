//! A call that is asked about and not made: why it would be allowed or denied, by one snapshot, for the command line and the control socket alike.

mod request;
mod stages;

pub use self::{
    request::{Line, Request},
    stages::{Asker, Report, inquire},
};
