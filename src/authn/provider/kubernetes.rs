use super::{Algorithm, Claims, HOUR, JWTS, KindRule, Profile, Reason, Refusal, Value, bad, needed, wrong};
use crate::json::Object;

/// Service-account tokens that the kubelet projects into a pod, with lakegate's own audience (Kubernetes, *Managing Service Accounts*, *Bound service
/// account tokens*). The cluster's facts stand in one claim whose name has a dot, `kubernetes.io`.
pub(super) const PROFILE: Profile = Profile {
    token_types: JWTS,
    algorithms: &[Algorithm::RS256, Algorithm::ES256, Algorithm::ES384],
    // `expirationSeconds` is one hour unless given; the kubelet gets another token long before.
    longest_token_s: 24 * HOUR,
    subject: "sub",
    groups: None,
    roles: &[],
    clients: &[],
    ids: &["jti"],
    kind: KindRule::ServicePrincipal,
    attributes: &[
        ("namespace", &[CLUSTER, "namespace"]),
        ("node", &[CLUSTER, "node", "name"]),
        ("pod", &[CLUSTER, "pod", "name"]),
        ("service_account", &[CLUSTER, "serviceaccount", "name"]),
    ],
    id_tokens: false,
    pins: &[],
};

const CLUSTER: &str = "kubernetes.io";

/// A token of a pod, for somebody else than the API server, whose parts say the same.
///
/// A legacy token from a secret never expires and has flat claims. The token that every pod has for the API server is extended to a year and marked with
/// `warnafter` (`pkg/registry/core/serviceaccount/storage/token.go`); it opens the cluster, so nobody should send it here. Without a pod it was made by
/// whoever may ask for tokens of the account, from anywhere.
pub(super) fn admit(claims: &Claims<'_>) -> Result<(), Refusal> {
    if claims.has("kubernetes.io/serviceaccount/service-account.name") {
        return Err(wrong("a legacy service-account token, which never expires"));
    }
    let cluster = claims.get(CLUSTER).and_then(Value::as_object).ok_or_else(|| bad("the token has no object `kubernetes.io`"))?;
    if cluster.get("warnafter").is_some() {
        let detail = "the token is the pod's own for the API server; mount a projected one for lakegate's audience";
        return Err(Refusal::new(Reason::TokenWrongType, detail));
    }
    if text(cluster, &["pod", "name"]).is_none() {
        return Err(Refusal::new(Reason::TokenWrongType, "the token is bound to no pod; mount a projected one"));
    }
    let account = text(cluster, &["namespace"]).zip(text(cluster, &["serviceaccount", "name"]));
    let account = account.map(|(namespace, name)| format!("system:serviceaccount:{namespace}:{name}"));
    if account.as_deref() == Some(needed(claims, "sub")?) {
        Ok(())
    } else {
        Err(bad("the token's `sub` and `kubernetes.io` do not name the same account"))
    }
}

fn text<'o>(object: &'o Object<'_>, names: &[&str]) -> Option<&'o str> {
    let (first, rest) = names.split_first()?;
    let value = object.get(first)?;
    if rest.is_empty() { value.as_text() } else { text(value.as_object()?, rest) }
}
