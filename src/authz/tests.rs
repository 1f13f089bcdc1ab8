mod decisions;
mod equivalence;
mod faults;
mod reports;
mod starter;
pub(super) mod world;
