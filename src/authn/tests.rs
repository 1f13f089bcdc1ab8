//! The stage through its public door: real keys, real signatures, an issuer over loopback HTTP.

mod attacks;
mod peers;
mod world;
