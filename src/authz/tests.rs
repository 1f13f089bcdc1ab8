mod decisions;
mod equivalence;
mod faults;
mod reports;
mod starter;
mod temp;
pub(super) mod world;
