//! The demo: real requests through a real Envoy, decided by the real lakegate, each shown as it is decided and checked against what it should be.

mod calls;
mod check;
mod exchange;
mod play;
mod sdk;
mod show;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use lakegate_testkit::envoy::Envoy;
use lakegate_testkit::{Options, World};
use tokio::signal::unix::{SignalKind, signal};

/// Send real requests through Envoy and lakegate, and show how each is decided.
#[derive(Parser)]
struct Arguments {
    /// The lakegate binary.
    #[arg(long, default_value_os_t = checkout().join("target/release/lakegate"))]
    lakegate: PathBuf,
    /// The Envoy binary.
    #[arg(long, default_value_os_t = Envoy::installed())]
    envoy: PathBuf,
    /// A Python that has the databricks-sdk.
    #[arg(long, default_value_os_t = checkout().join(".tools/venv/bin/python"))]
    python: PathBuf,
    /// Where configuration, policies, logs and the audit file are written; what an earlier demo left there is removed.
    #[arg(long, default_value_os_t = checkout().join("target/demo"))]
    folder: PathBuf,
    /// Leave everything up afterwards, and say how to send requests by hand, until Ctrl-C.
    #[arg(long)]
    stay: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    // whatever runs belongs to the demo's future and ends with it; biased, so that a demo that waits for the same signal says how it went
    let outcome = tokio::select! {
        biased;
        outcome = demo(&arguments) => outcome,
        interrupted = interrupted() => interrupted.map(|()| false),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(e) => {
            show::line(&format!("the demo could not run: {e}"));
            ExitCode::from(3)
        }
    }
}

/// Plays all calls; true when each was decided as expected.
async fn demo(arguments: &Arguments) -> io::Result<bool> {
    if arguments.folder.join("lakegate.yaml").exists() {
        fs::remove_dir_all(&arguments.folder)?;
    }
    show::line("starting two issuers, a stand-in workspace, lakegate and Envoy on loopback …");
    let mut options = Options::new(absolute(&arguments.lakegate)?).folder(arguments.folder.clone());
    options.envoy.clone_from(&arguments.envoy);
    let mut world = World::start(options).await?;
    show::header();
    let mut tally = show::Tally::default();
    for call in calls::all() {
        show::row(&call.title, &check::play(&world, &call).await?, &mut tally);
    }
    let sidecar = world.sidecar(&world.workloads.trainer, lakegate_testkit::world::STAGE.host).await?;
    for (title, row) in sdk::play(&world, &sidecar, &arguments.python).await? {
        show::row(&title, &row, &mut tally);
    }
    for (title, row) in exchange::play(&mut world).await? {
        show::row(&title, &row, &mut tally);
    }
    show::footer(&world, &tally);
    if arguments.stay {
        play::invite(&world, &sidecar)?;
        interrupted().await?;
    }
    Ok(tally.all_as_expected())
}

/// Resolves when the demo is asked to end.
async fn interrupted() -> io::Result<()> {
    let (mut interrupt, mut terminate, mut hangup) =
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?, signal(SignalKind::hangup())?);
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
        _ = hangup.recv() => {}
    }
    show::line("ending everything that was started");
    Ok(())
}

fn checkout() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or_else(|| Path::new("."))
}

/// lakegate is started in another folder, where a relative path would mean something else.
fn absolute(binary: &Path) -> io::Result<PathBuf> {
    fs::canonicalize(binary).map_err(|e| io::Error::new(e.kind(), format!("no lakegate at {}: {e}", binary.display())))
}
