mod decisions;
mod equivalence;
mod faults;
mod reports;
pub(super) mod world;
