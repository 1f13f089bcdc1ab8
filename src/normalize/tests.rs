//! The room through its door: cases as data, then properties.

mod builder;
mod cases;
mod documented;
mod fuzz;
mod limits;
mod properties;

use super::{Config, normalize};
use crate::model::{Call, RawCall, Refusal};

fn config() -> Config {
    Config { body_limit: 1024, path_limit: 8192, header_limit: 16 * 1024, trust_prefix: "x-lakegate-".to_owned() }
}

fn read(raw: &RawCall) -> Result<Call<'_>, Refusal> {
    normalize(raw, &config())
}
