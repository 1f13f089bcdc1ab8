//! lakegate decides, once per request, whether a call may leave the mesh for Databricks.
//!
//! ```text
//! Envoy ──CheckRequest──►  envoy ► normalize ► authn ► classify ► authz ► broker ► respond  ──CheckResponse──► Envoy
//!                                    Call     Caller    Intent    Permit   Grant    Verdict
//!                                  └──────────── audit: a record opened first, closed last ────────────┘
//! ```
//!
//! Modules stand in the order of knowledge: each may name only those above it, and `tests/it/architecture.rs` holds that.

pub mod text;

pub mod model;

pub mod clock;
pub mod digest;
pub mod json;
pub mod signer;
pub mod yaml;

pub mod lifecycle;
pub mod net;
pub mod telemetry;

pub mod audit;
pub mod authn;
pub mod authz;
pub mod broker;
pub mod classify;
pub mod normalize;
pub mod respond;

pub mod pipeline;
pub mod replay;

pub mod inquiry;

pub mod config;
pub mod reload;

pub mod admin;
pub mod envoy;

pub mod app;

pub mod cli;
