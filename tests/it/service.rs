//! The service as whoever operates it meets it: its start and its end, its commands, its records, what it tells of itself.

mod commands;
mod discovery;
mod end;
mod records;
mod start;
