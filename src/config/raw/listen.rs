use std::{collections::BTreeMap, path::PathBuf};

use schemars::JsonSchema;
use serde::Deserialize;

use super::super::words::PeerSource;

/// Where lakegate listens, and who may ask it.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Listen {
    /// Where Envoy asks (`ext_authz` over gRPC): an address and a port. Off loopback it needs `tls`, or `insecure: true`.
    #[schemars(required, example = &"0.0.0.0:9191")]
    pub check: Option<String>,
    /// Mutual TLS on the check port.
    pub tls: Option<Tls>,
    /// Serve the check port off loopback without mutual TLS. Whoever reaches the port can then ask anything, so no credential is ever minted.
    #[schemars(extend("default" = false))]
    pub insecure: Option<bool>,
    /// Liveness, readiness, metrics and status, over plain HTTP: an address and a port. Nothing secret is shown there.
    #[schemars(extend("default" = "127.0.0.1:9192"))]
    pub admin: Option<String>,
    /// The Unix socket that shows callers and changes state (`lakegate policies`, `reload`, `explain --control`): a file that lakegate makes, at most
    /// 107 bytes with its folder. Only root and the user that lakegate runs as may use it. None unless given.
    #[schemars(example = &"lakegate.sock")]
    pub control: Option<PathBuf>,
}

/// Mutual TLS on the check port.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// The certificate chain that lakegate shows, in PEM. Read again when it changes, as are the next two.
    #[schemars(required, example = &"tls.crt")]
    pub cert: Option<PathBuf>,
    /// Its private key, in PEM.
    #[schemars(required, example = &"tls.key")]
    pub key: Option<PathBuf>,
    /// The certificate authorities whose clients are believed, in PEM.
    #[schemars(required, example = &"ca.crt")]
    pub client_ca: Option<PathBuf>,
    /// The SPIFFE IDs of the proxies that may ask. `*` stands for one whole segment of the path.
    #[schemars(required, example = ["spiffe://cluster.local/ns/istio-egress/sa/*"])]
    pub allow: Option<Vec<String>>,
}

/// Which workloads of the mesh are known.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Peers {
    /// The SPIFFE trust domains whose workloads are believed.
    #[schemars(required, example = ["cluster.local"])]
    pub trust_domains: Option<Vec<String>>,
    /// Other names of these trust domains, each with the one that it counts as, as in a migration: Istio's `trustDomainAliases`. Policies and records have the
    /// right side.
    #[schemars(example = BTreeMap::from([("old.example.com", "cluster.local")]))]
    pub aliases: Option<BTreeMap<String, String>>,
    /// Who says which workload calls, where `proxies` has nothing about the proxy that asks.
    #[schemars(extend("default" = "principal"))]
    pub source: Option<PeerSource>,
    /// Those proxies write the last element of `x-forwarded-client-cert` themselves, whatever they were sent: its `Hash` is then believed as the caller's
    /// certificate, for tokens that are bound to one. Not true of a proxy that forwards the header as it came (`FORWARD_ONLY`).
    #[schemars(extend("default" = false))]
    pub writes_xfcc: Option<bool>,
    /// Refuse a call without a mesh identity.
    #[schemars(extend("default" = true))]
    pub required: Option<bool>,
    /// The same for single proxies, by the certificate that they ask with. Needs `listen.tls`. No two entries may be about the same proxy. A caller that is itself
    /// one of them, unless its source is `connection`, is refused: the workload behind it is not known.
    pub proxies: Option<Vec<PeerProxy>>,
}

/// Who is believed about the workload, for some of the proxies that ask.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PeerProxy {
    /// The SPIFFE IDs of the proxies. `*` stands for one whole segment of the path.
    #[schemars(required, example = &"spiffe://cluster.local/ns/istio-egress/sa/waypoint")]
    pub spiffe: Option<String>,
    /// Who says which workload calls.
    #[schemars(required, example = &"xfcc")]
    pub source: Option<PeerSource>,
    /// As `peers.writes_xfcc`. Always so of `source: xfcc`.
    #[schemars(example = true)]
    pub writes_xfcc: Option<bool>,
}
