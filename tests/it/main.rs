//! Everything that needs more than one module: the shape of the house, the wire, the process, the world.

#![expect(clippy::unwrap_used, reason = "a test ends at the first thing that is not as it should be")]

mod architecture;
