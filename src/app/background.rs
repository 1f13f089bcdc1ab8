//! Work that may wait: done by threads that leave the processors to those that answer calls.

use std::{any::Any, thread};

use rustix::process::nice;

/// How much less than those of calls the threads count to the scheduler: at 10, one gets about a tenth of a processor that both want.
const LESS: i32 = 10;

/// What `work` returns, and all threads that it starts, at a low priority.
///
/// # Errors
/// What it panicked with, or why there is no thread for it.
pub(super) async fn run<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, String> {
    let lowered = move || {
        // a system that does not let a thread step back has no other means
        let _ = nice(LESS);
        work()
    };
    // Of its own, since a thread that has stepped back cannot step forward again.
    let joined = || {
        let thread = thread::Builder::new().name("background".to_owned()).spawn(lowered).map_err(|error| error.to_string())?;
        thread.join().map_err(|panicked| said(&*panicked).to_owned())
    };
    tokio::task::spawn_blocking(joined).await.map_err(|error| error.to_string())?
}

fn said(panicked: &(dyn Any + Send)) -> &str {
    panicked.downcast_ref::<&str>().copied().or_else(|| panicked.downcast_ref::<String>().map(String::as_str)).unwrap_or("it panicked")
}

#[cfg(test)]
mod tests {
    use rustix::process::getpriority_process;

    use super::*;

    #[tokio::test]
    async fn whoever_works_in_the_background_steps_back_alone() {
        let own = getpriority_process(None).unwrap();
        let work = || (getpriority_process(None).unwrap(), thread::spawn(|| getpriority_process(None).unwrap()).join().unwrap());
        let less = (own + LESS).min(19);
        assert_eq!(run(work).await, Ok((less, less)));
        assert_eq!(getpriority_process(None).unwrap(), own);
    }

    #[tokio::test]
    async fn what_it_panicked_with_is_told() {
        assert_eq!(run(|| panic!("as it was")).await, Err::<(), _>("as it was".to_owned()));
        assert_eq!(run(|| panic!("as {}", "told")).await, Err::<(), _>("as told".to_owned()));
    }
}
