//! Compiles `proto/` with protox, so that nobody has to install protoc, and lists the files of `catalog/`.
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
const CATALOG: &str = "catalog";
const ENVOY: &str = "envoy/service/auth/v3/external_auth.proto";
const DECISION: &str = "lakegate/v1/decision.proto";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed={PROTO}");
    println!("cargo::rerun-if-changed=build.rs");
    describe(ENVOY, &out_dir()?.join("envoy.bin"))?;
    protox::compile([DECISION], [PROTO])?;
    println!("cargo::rerun-if-changed={CATALOG}");
    list(&out_dir()?.join("catalog.rs"))
}

/// Writes an expression of every catalog file: its path and its text, in order of name.
fn list(to: &Path) -> Result<(), Box<dyn Error>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(CATALOG)? {
        let name = entry?.file_name().into_string().map_err(|name| format!("{} is no name for a catalog file", name.display()))?;
        names.extend(Path::new(&name).extension().is_some_and(|extension| extension == "yaml").then_some(name));
    }
    names.sort_unstable();
    let here = env!("CARGO_MANIFEST_DIR");
    let files = names.iter().map(|name| format!("(\"{CATALOG}/{name}\", include_str!(r\"{here}/{CATALOG}/{name}\")),\n"));
    fs::write(to, format!("&[{}]", files.collect::<String>()))?;
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
