//! The world around lakegate, for tests and for the demo: everything lakegate meets in a mesh, on loopback, on free ports.
//!
//! ```text
//!   application ──http──► sidecar ──mTLS──► egress gateway ──http──► workspace
//!   (or `raw`, straight to the gateway)        │ ext_authz
//!                                               ▼
//!   issuer ◄──keys── lakegate ──► audit.jsonl
//! ```
//!
//! Beside it, for tests of identity, stand real providers: `Keycloak` with a `Directory` (LDAP), and `OidcProvider`.
//!
//! The Envoys are real ones, lakegate is the real binary, run as a process: this crate never names the lakegate crate. `World` brings all of it
//! up in a folder of its own; each part also stands alone. Whatever a part starts ends with it: servers with their value, processes with their
//! process group.
//!
//! Not stood in for: a Databricks workspace's own permissions (the stand-in believes every credential) and the hop's TLS from the gateway to it.

pub mod audit;
pub mod authority;
pub mod browser;
pub mod clock;
pub mod directory;
pub mod dpop;
pub mod envoy;
mod form;
pub mod issuer;
pub mod keycloak;
pub mod lakegate;
pub mod line;
pub mod oidc;
pub mod ports;
pub mod process;
pub mod raw;
mod server;
pub mod workspace;
pub mod world;
pub mod yaml;

pub use world::{Options, World};
