//! Compiles `proto/` with protox, so that nobody has to install protoc.
//!
//! `envoy.bin` is the descriptor set that gRPC reflection shows; `lakegate.bin` and the generated Rust are lakegate's own wire contracts
//! (`proto/lakegate/`), absent while there are none.

use std::{
    env,
    error::Error,
    fs, io,
    path::{Path, PathBuf},
};

const PROTO: &str = "proto";
const ENVOY: &str = "proto/envoy/service/auth/v3/external_auth.proto";
const OWN: &str = "proto/lakegate";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed={PROTO}");
    println!("cargo::rerun-if-changed=build.rs");
    let out = out_dir()?;
    describe(&[PathBuf::from(ENVOY)], &out.join("envoy.bin"))?;
    let own = proto_files(Path::new(OWN))?;
    if !own.is_empty() {
        describe(&own, &out.join("lakegate.bin"))?;
        tonic_prost_build::configure().compile_fds(protox::compile(&own, [PROTO])?)?;
    }
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "cargo speaks to build scripts through the environment")]
fn out_dir() -> Result<PathBuf, &'static str> {
    env::var_os("OUT_DIR").map(PathBuf::from).ok_or("cargo sets OUT_DIR")
}

/// Writes the descriptor set of `files` and of everything they import.
fn describe(files: &[PathBuf], to: &Path) -> Result<(), Box<dyn Error>> {
    let mut compiler = protox::Compiler::new([PROTO])?;
    compiler.include_imports(true).open_files(files)?;
    fs::write(to, compiler.encode_file_descriptor_set())?;
    Ok(())
}

/// Every `.proto` below `folder`, in order; none where there is no such folder.
fn proto_files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    if !folder.is_dir() {
        return Ok(found);
    }
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(proto_files(&path)?);
        } else if path.extension().is_some_and(|end| end == "proto") {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}
