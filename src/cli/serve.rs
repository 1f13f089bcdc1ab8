use std::path::PathBuf;

use super::{Exit, output::Output};
use crate::{
    app::{self, StartError},
    clock::Clock,
    lifecycle,
};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The configuration file
    #[arg(long)]
    config: PathBuf,
    /// A file whose text is the number of milliseconds to move the clock by; read again and again
    #[cfg(feature = "test-clock")]
    #[arg(long)]
    test_clock: Option<PathBuf>,
}

pub(super) fn run(args: &Args, output: &mut Output) -> Exit {
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return Output::error(Exit::Failure, format_args!("the runtime cannot start: {error}")),
    };
    let exit = runtime.block_on(serve(args, output));
    runtime.shutdown_background();
    exit
}

async fn serve(args: &Args, output: &mut Output) -> Exit {
    let clock = Clock::default();
    #[cfg(feature = "test-clock")]
    if let Some(file) = args.test_clock.clone() {
        tokio::spawn(follow(file, clock.clone()));
    }
    let bound = match app::build(&args.config, clock).await {
        Ok(bound) => bound,
        Err(StartError::Invalid(faults)) => return output.faults(&faults),
        Err(failed @ StartError::Failed { .. }) => return Output::error(Exit::Failure, failed),
    };
    let stop = async {
        match lifecycle::terminated().await {
            Ok(signal) => tracing::info!(signal, "lakegate stops"),
            Err(error) => tracing::error!(%error, "signals cannot be received; lakegate stops"),
        }
    };
    match bound.run(stop).await {
        Ok(()) => Exit::Yes,
        Err(error) => Output::error(Exit::Failure, error),
    }
}

/// Moves `clock` as the file says.
#[cfg(feature = "test-clock")]
async fn follow(file: PathBuf, clock: Clock) {
    loop {
        if let Some(by_ms) = std::fs::read_to_string(&file).ok().and_then(|text| text.trim().parse().ok()) {
            clock.shift(by_ms);
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}
