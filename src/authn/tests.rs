//! The stage through its public door: real keys, real signatures, an issuer over loopback HTTP.

mod attacks;
mod attributes;
mod facts;
mod flights;
mod introspection;
mod key_sets;
mod logouts;
mod peers;
mod personal;
mod proofs;
mod properties;
mod revocations;
mod sessions;
mod shelves;
mod trails;
mod vectors;
mod world;
