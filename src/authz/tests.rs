mod decisions;
mod equivalence;
mod faults;
mod ids;
mod reports;
mod roles;
mod slices;
mod starter;
pub(super) mod world;
