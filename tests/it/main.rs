//! Everything that needs more than one module: the shape of the house, the wire, the process, the world.

#![expect(clippy::unwrap_used, reason = "a test ends at the first thing that is not as it should be")]
#![expect(clippy::expect_used, reason = "as above")]
#![expect(clippy::panic, reason = "as above")]
#![expect(clippy::indexing_slicing, reason = "JSON that is not there is null, and a test says so")]

#[cfg(not(feature = "test-clock"))]
compile_error!("these tests move the clock of the service: run them with `--features test-clock`, as `make test` does");

mod access;
mod architecture;
mod asking;
mod beyond;
mod brokered;
mod candidate;
mod claims;
mod control;
mod credentials;
mod credentials_check;
mod credentials_inventory;
mod credentials_policy;
mod credentials_scope;
mod credentials_told;
mod doctor;
mod dpop;
mod every_call;
mod identity;
mod introspection;
mod keycloak;
mod keys;
mod oidc;
mod overnight;
mod peers;
mod personal;
mod policy_tests;
mod reload;
mod requests;
mod revocation;
mod sdk;
mod service;
mod shadow;
mod shipped;
mod spelling;
mod storm;
mod strangers;
mod time;
mod tls;
mod upgrade;
mod why;
