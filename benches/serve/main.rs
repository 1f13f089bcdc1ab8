//! What a check costs: `lakegate serve` as it is released, beside a server that allows everything, in the same run on the same machine.
//!
//! Each server is a process of its own, so that its CPU time can be read; the load comes from this one, in rounds that go from server to server.
//! Every answer is looked at: a server that fails cannot look fast. docs/performance.md says what the figures mean.

mod arguments;
mod baseline;
mod calls;
mod load;
mod process;
mod reload;
mod report;
mod rounds;
mod servers;
mod strangers;

use std::{error::Error, io, process::ExitCode};

use arguments::Arguments;

/// Whatever stops a run: there is nobody to handle it but the reader.
type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

fn main() -> ExitCode {
    let arguments = Arguments::read(std::env::args().skip(1));
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            use io::Write as _;
            // Where even standard error is gone, the exit code is left.
            let _ = writeln!(io::stderr(), "the bench failed: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Outcome<()> {
    // The same runtime for all: lakegate's own is this one.
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    if let Some(port) = arguments.baseline {
        return runtime.block_on(baseline::serve(port));
    }
    if arguments.reload {
        let told = runtime.block_on(reload::run(arguments.spell()))?;
        return Ok(io::Write::write_all(&mut io::stdout().lock(), told.as_bytes())?);
    }
    if arguments.strangers {
        let told = runtime.block_on(strangers::run(arguments.spell()))?;
        return Ok(io::Write::write_all(&mut io::stdout().lock(), told.as_bytes())?);
    }
    let results = runtime.block_on(async {
        let world = servers::World::start().await?;
        rounds::run(&world, arguments.effort()).await
    })?;
    results.print(&mut io::stdout().lock())?;
    results.save()?;
    Ok(())
}
