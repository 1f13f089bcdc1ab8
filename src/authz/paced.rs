//! Long loops that let others on. Loading thousands of policies would else hold a processor for as long as the scheduler lets it, milliseconds at a
//! time, and whoever answers calls waits.

use std::thread;

/// How many policies are looked at in one go: some hundred microseconds, however it is looked at them.
const AT_ONCE: usize = 32;

/// The same items; threads that wait for the processor get it now and then.
pub(super) fn paced<T>(items: impl IntoIterator<Item = T>) -> impl Iterator<Item = T> {
    items.into_iter().enumerate().map(|(number, item)| {
        if number % AT_ONCE == AT_ONCE - 1 {
            thread::yield_now();
        }
        item
    })
}
