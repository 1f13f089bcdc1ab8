//! Compiles `proto/` with protox, so that nobody has to install protoc.
//!
//! `envoy.bin` is the descriptor set that gRPC reflection shows. lakegate's own contract, the audit event, is compiled to hold that it is well formed;
//! the record itself is written by serde, and a test compares the two.

use std::{
    env,
    error::Error,
    fs,
    path::{Path, PathBuf},
};

const PROTO: &str = "proto";
const ENVOY: &str = "envoy/service/auth/v3/external_auth.proto";
const DECISION: &str = "lakegate/v1/decision.proto";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed={PROTO}");
    println!("cargo::rerun-if-changed=build.rs");
    describe(ENVOY, &out_dir()?.join("envoy.bin"))?;
    protox::compile([DECISION], [PROTO])?;
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "cargo speaks to build scripts through the environment")]
fn out_dir() -> Result<PathBuf, &'static str> {
    env::var_os("OUT_DIR").map(PathBuf::from).ok_or("cargo sets OUT_DIR")
}

/// Writes the descriptor set of `file` and of everything it imports.
fn describe(file: &str, to: &Path) -> Result<(), Box<dyn Error>> {
    let mut compiler = protox::Compiler::new([PROTO])?;
    compiler.include_imports(true).open_file(file)?;
    fs::write(to, compiler.encode_file_descriptor_set())?;
    Ok(())
}
