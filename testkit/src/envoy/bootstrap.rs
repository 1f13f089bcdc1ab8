use std::path::Path;

use serde_json::{Value, json};

use super::{Listener, TUNNEL_PEER};
use crate::authority::Identity;

pub(super) const OUTBOUND: &str = "outbound";

const TYPES: &str = "type.googleapis.com/envoy.extensions";

/// An egress gateway: who it is, whom it asks, where it sends to.
#[derive(Debug)]
pub struct Gateway<'w> {
    pub identity: &'w Identity,
    /// The mesh's CA, as a PEM file.
    pub ca_file: &'w Path,
    /// The port of lakegate's check service.
    pub check: u16,
    /// How it is asked there.
    pub asks: Asks<'w>,
    /// The port of the workspace.
    pub workspace: u16,
}

/// How the gateway asks lakegate.
#[derive(Clone, Copy, Debug)]
pub enum Asks<'w> {
    /// In the clear, as on loopback.
    Plainly,
    /// Over TLS, with this certificate if any; lakegate must be who `LAKEGATE` says.
    Tls(Option<&'w Identity>),
}

/// The SPIFFE ID of lakegate itself, where it serves TLS.
pub const LAKEGATE: &str = "spiffe://cluster.local/ns/lakegate-system/sa/lakegate";

/// A workload's sidecar: it takes plain HTTP and brings it to the gateway as the workload.
#[derive(Debug)]
pub struct Sidecar<'w> {
    pub identity: &'w Identity,
    pub ca_file: &'w Path,
    /// The port of the gateway's `istio` listener.
    pub gateway: u16,
    /// The SPIFFE ID that the gateway must prove.
    pub gateway_id: &'w str,
    /// The host the application means; it says `127.0.0.1` itself, and a `VirtualService` would rewrite that.
    pub host: &'w str,
}

// === impl Gateway ===

impl Gateway<'_> {
    pub(super) fn bootstrap(&self) -> Value {
        let listeners: Vec<Value> = Listener::ALL.into_iter().chain(Listener::PEERS).map(|listener| self.listener(listener)).collect();
        let mut lakegate = cluster("lakegate", self.check);
        insert(
            &mut lakegate,
            "typed_extension_protocol_options",
            json!({ "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": format!("{TYPES}.upstreams.http.v3.HttpProtocolOptions"), "explicit_http_config": { "http2_protocol_options": {} },
            } }),
        );
        if let Asks::Tls(shown) = self.asks {
            insert(&mut lakegate, "transport_socket", self.check_tls(shown));
        }
        bootstrap(&listeners, &[cluster("workspace", self.workspace), lakegate])
    }

    fn check_tls(&self, shown: Option<&Identity>) -> Value {
        let validation = json!({
            "trusted_ca": { "filename": self.ca_file },
            "match_typed_subject_alt_names": [{ "san_type": "URI", "matcher": { "exact": LAKEGATE } }],
        });
        let mut context = shown.map_or_else(|| json!({ "validation_context": validation }), |shown| tls_context(shown, &validation));
        insert(&mut context, "alpn_protocols", json!(["h2"]));
        let upstream = json!({ "@type": format!("{TYPES}.transport_sockets.tls.v3.UpstreamTlsContext"), "common_tls_context": context });
        json!({ "name": "tls", "typed_config": upstream })
    }

    fn listener(&self, listener: Listener) -> Value {
        let istio = !matches!(listener, Listener::Bare | Listener::Plain);
        let forwards = match listener {
            Listener::Istio => "SANITIZE_SET",
            Listener::Bare | Listener::Plain => "SANITIZE",
            Listener::Waypoint => "ALWAYS_FORWARD_ONLY",
            Listener::Appending => "APPEND_FORWARD",
        };
        let tunnel = if listener == Listener::Waypoint { vec![self.tunnel()] } else { Vec::new() };
        let manager = connection_manager(
            listener.name(),
            &json!({
                "normalize_path": istio,
                "early_header_mutation_extensions": tunnel,
                "use_remote_address": istio,
                "max_request_headers_kb": 96,
                "forward_client_cert_details": forwards,
                "set_current_client_cert_details": { "subject": true, "cert": true, "dns": true, "uri": true },
                "upgrade_configs": [{ "upgrade_type": "websocket" }],
                "route_config": routes(&[
                    json!({ "match": { "prefix": "/" }, "route": { "cluster": "workspace", "timeout": "15s" } }),
                    json!({ "match": { "connect_matcher": {} }, "route": { "cluster": "workspace" } }),
                ]),
            }),
            &[ext_authz(!istio)],
        );
        let mut chain = json!({ "filters": [manager] });
        if !matches!(listener, Listener::Plain | Listener::Waypoint) {
            let downstream = json!({
                "@type": format!("{TYPES}.transport_sockets.tls.v3.DownstreamTlsContext"),
                "require_client_certificate": true,
                "common_tls_context": tls_context(self.identity, &json!({ "trusted_ca": { "filename": self.ca_file } })),
            });
            insert(&mut chain, "transport_socket", json!({ "name": "tls", "typed_config": downstream }));
        }
        json!({ "name": listener.name(), "address": loopback(0), "filter_chains": [chain] })
    }

    fn tunnel(&self) -> Value {
        let element = format!("By={};URI=%REQ({TUNNEL_PEER})%", self.identity.uri());
        let header = json!({ "header": { "key": "x-forwarded-client-cert", "value": element }, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD" });
        json!({ "name": "tunnel", "typed_config": {
            "@type": format!("{TYPES}.http.early_header_mutation.header_mutation.v3.HeaderMutation"), "mutations": [{ "append": header }],
        } })
    }
}

// === impl Sidecar ===

impl Sidecar<'_> {
    pub(super) fn bootstrap(&self) -> Value {
        let route = json!({ "match": { "prefix": "/" }, "route": { "cluster": "gateway", "host_rewrite_literal": self.host, "timeout": "30s" } });
        let manager = connection_manager(OUTBOUND, &json!({ "normalize_path": true, "route_config": routes(&[route]) }), &[]);
        let listener = json!({ "name": OUTBOUND, "address": loopback(0), "filter_chains": [{ "filters": [manager] }] });
        let validation = json!({
            "trusted_ca": { "filename": self.ca_file },
            "match_typed_subject_alt_names": [{ "san_type": "URI", "matcher": { "exact": self.gateway_id } }],
        });
        let upstream = json!({
            "@type": format!("{TYPES}.transport_sockets.tls.v3.UpstreamTlsContext"),
            "sni": self.host,
            "common_tls_context": tls_context(self.identity, &validation),
        });
        let mut gateway = cluster("gateway", self.gateway);
        insert(&mut gateway, "transport_socket", json!({ "name": "tls", "typed_config": upstream }));
        bootstrap(&[listener], &[gateway])
    }
}

fn bootstrap(listeners: &[Value], clusters: &[Value]) -> Value {
    json!({ "admin": { "address": loopback(0) }, "static_resources": { "listeners": listeners, "clusters": clusters } })
}

fn loopback(port: u16) -> Value {
    json!({ "socket_address": { "address": "127.0.0.1", "port_value": port } })
}

fn cluster(name: &str, port: u16) -> Value {
    json!({
        "name": name, "type": "STATIC", "connect_timeout": "2s",
        "load_assignment": { "cluster_name": name, "endpoints": [{ "lb_endpoints": [{ "endpoint": { "address": loopback(port) } }] }] },
    })
}

fn routes(routes: &[Value]) -> Value {
    json!({ "virtual_hosts": [{ "name": "all", "domains": ["*"], "routes": routes }] })
}

fn connection_manager(name: &str, settings: &Value, filters: &[Value]) -> Value {
    // As istiod writes it for `proxyHeaders.envoyDebugHeaders.disabled`: behind the check nothing takes back what the router adds.
    let router = json!({ "@type": format!("{TYPES}.filters.http.router.v3.Router"), "suppress_envoy_headers": true });
    let router = json!({ "name": "envoy.filters.http.router", "typed_config": router });
    let filters: Vec<&Value> = filters.iter().chain([&router]).collect();
    let mut config = json!({
        "@type": format!("{TYPES}.filters.network.http_connection_manager.v3.HttpConnectionManager"),
        "stat_prefix": name, "codec_type": "AUTO", "http_filters": filters,
    });
    for (key, value) in settings.as_object().into_iter().flatten() {
        insert(&mut config, key, value.clone());
    }
    json!({ "name": "envoy.filters.network.http_connection_manager", "typed_config": config })
}

/// The filter as istiod writes it for a CUSTOM policy, with body; `raw` adds what Istio cannot set.
fn ext_authz(raw: bool) -> Value {
    json!({ "name": "envoy.filters.http.ext_authz", "typed_config": {
        "@type": format!("{TYPES}.filters.http.ext_authz.v3.ExtAuthz"),
        "transport_api_version": "V3",
        "grpc_service": { "envoy_grpc": { "cluster_name": "lakegate" }, "timeout": "2s" },
        "failure_mode_allow": false,
        "status_on_error": { "code": "ServiceUnavailable" },
        "with_request_body": { "max_request_bytes": 1 << 20, "allow_partial_message": true, "pack_as_bytes": true },
        "encode_raw_headers": raw,
        "include_peer_certificate": raw,
    } })
}

fn tls_context(identity: &Identity, validation: &Value) -> Value {
    json!({
        "alpn_protocols": ["http/1.1"],
        "tls_certificates": [{ "certificate_chain": { "filename": identity.certificate_file }, "private_key": { "filename": identity.key_file } }],
        "validation_context": validation,
    })
}

fn insert(object: &mut Value, key: &str, value: Value) {
    if let Some(map) = object.as_object_mut() {
        map.insert(key.to_owned(), value);
    }
}
