//! What is wrong where a token endpoint gives no token, and what to do about it.

use crate::{
    broker::{Answered, TrialEnd, Unusable},
    config::{Minted, MintedFor},
    net::NetError,
};

/// Where tokens are given out (Databricks: *OAuth token endpoints*).
const ENDPOINTS: &str = "that of a workspace is `https://<workspace host>/oidc/v1/token`, that of an account `https://<account host>/oidc/accounts/<account id>/v1/token`: \
     correct `credentials.token_endpoint`, or leave it out";

/// What an endpoint said in place of a token.
pub(super) struct Refused<'a> {
    pub answered: &'a Answered,
    /// Its `error` and `error_description`.
    pub code: Option<&'a str>,
    pub description: Option<&'a str>,
    /// What was asked for.
    pub scope: &'a str,
}

/// What to do where a server does not answer. The texts of the client are the only thing by which causes can be told apart, so that an unknown one gets all.
pub(super) fn unanswered(error: &NetError) -> &'static str {
    let NetError::Unreachable(cause) = error else {
        return match error {
            NetError::TimedOut => {
                "something between drops the packets, or the other side is overloaded: look at NetworkPolicy, ServiceEntry, egress gateway and firewall on the way"
            }
            _ => "what answers is no server of this kind: look at the address, and at proxies on the way",
        };
    };
    let cause = cause.to_ascii_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| cause.contains(word));
    if has(&["certificate", "tls", "handshake", "unknownissuer", "invalid peer"]) {
        "the certificate is not trusted from here: a proxy that opens TLS on the way, a wrong host, or missing roots (`SSL_CERT_FILE` names them)"
    } else if has(&["corrupt message"]) {
        "what answers there does not speak TLS: a wrong port, or a sidecar that takes plain text in its place"
    } else if has(&["lookup", "resolve", "name or service", "nodename", "dns", "no address"]) {
        "the name cannot be resolved from here: look at its spelling, and at the DNS of the cluster"
    } else if has(&["refused"]) {
        "nobody listens there: look at host and port, and at what the mesh makes of them (ServiceEntry, sidecar)"
    } else if has(&["loopback", "forbidden", "link-local"]) {
        "the name leads to an address that no configuration may lead to: look at the DNS of the cluster"
    } else {
        "the connection was closed without an answer: a sidecar without a ServiceEntry, a firewall, an IP access list or a private link that does not let lakegate in"
    }
}

/// What the answer means, and what to do about it.
pub(super) fn declined(refused: &Refused<'_>, minted: &Minted) -> (&'static str, String) {
    let Refused { answered, code, description, scope: asked } = *refused;
    let about_scope = description.is_some_and(|text| text.to_ascii_lowercase().contains("scope"));
    match code {
        Some("invalid_scope") => ("the scope is not given", scope(asked, minted)),
        Some("invalid_grant" | "access_denied") if about_scope => {
            ("the scope is not given, or the token is not accepted", format!("{}; else {}", scope(asked, minted), compare(minted)))
        }
        Some("invalid_grant" | "access_denied") => ("issuer, audience or subject are not those of a federation policy", compare(minted)),
        Some("invalid_client") => ("the client is not known, or not believed", client(minted)),
        Some("unauthorized_client") => (
            "the client may not have a token in this way",
            format!("the service principal must be in the workspace, and its account must allow this grant; {}", client(minted)),
        ),
        Some("unsupported_grant_type") => ("this grant is not known there", format!("token federation must be had at this endpoint: {ENDPOINTS}")),
        Some("invalid_request") => ("the request is not understood", format!("{ENDPOINTS}; then {}", compare(minted))),
        _ => status(answered, code, minted),
    }
}

/// What a status alone tells.
fn status(answered: &Answered, code: Option<&str>, minted: &Minted) -> (&'static str, String) {
    match answered.status {
        300..=399 => {
            ("it redirects, which is never followed with a token", format!("a sign-in page, another host or `http` for `https`: {ENDPOINTS}"))
        }
        404 | 405 | 410 => ("it is no token endpoint", ENDPOINTS.to_owned()),
        429 => {
            let wait = answered.retry_after_s.map_or_else(|| "a while".to_owned(), |seconds| format!("{seconds} s, as it says"));
            ("too many are asking", format!("wait {wait}; should it last, have fewer callers at once, or ask Databricks for more"))
        }
        500.. => ("the other side is at fault", "wait, and look at the status page of Databricks; lakegate tries again by itself".to_owned()),
        _ if answered.html => (PAGE, page()),
        400 | 401 | 403 if code.is_some() => ("it refuses", compare(minted)),
        400 => ("it refuses without an OAuth error", format!("{ENDPOINTS}; then {}", compare(minted))),
        401 | 403 => (
            "something refuses that does not speak OAuth",
            format!("an IP access list, a private link or a proxy before the endpoint; where it is the endpoint itself, {}", compare(minted)),
        ),
        _ => ("it is no answer of a token endpoint", ENDPOINTS.to_owned()),
    }
}

const PAGE: &str = "a page for people answers";

fn page() -> String {
    format!("a sign-in page or a proxy stands in its place: {ENDPOINTS}")
}

/// Of an answer that should hold a token and holds none that can be used, for this reason.
pub(super) fn unusable(answered: &Answered, reason: &Unusable, minted: &Minted) -> (String, String) {
    if answered.html {
        return (PAGE.to_owned(), page());
    }
    let mend = match reason {
        Unusable::Audience(_) => "is the endpoint that of another workspace? If not, name the audience in `credentials.token_audiences`".to_owned(),
        Unusable::Short(_) => {
            "what is exchanged ends too soon, since Databricks gives no token that lives longer: bring a fresh token; look at the clocks too"
                .to_owned()
        }
        Unusable::Early(_) => "set the clock of this machine by NTP; where it is right, that of whoever answers is wrong".to_owned(),
        Unusable::Scope { lacks, .. } => scope(lacks, minted),
        Unusable::Returned => format!("what answers gives back what it is sent, which the workspace must never see: {ENDPOINTS}"),
        Unusable::NotJson | Unusable::Form(_) | Unusable::Type(_) | Unusable::Unreadable | Unusable::Claim(_) => {
            format!("a proxy on the way, or no token endpoint: {ENDPOINTS}")
        }
    };
    (reason.to_string(), mend)
}

fn scope(asked: &str, minted: &Minted) -> String {
    let told = "write one that the principal and its policy have into `credentials.scope`";
    match &minted.grant {
        MintedFor::Client { .. } => format!("`{asked}` is more than the secret of the service principal may: {told}"),
        _ => format!("`{asked}` was asked for: {told}"),
    }
}

/// With what to compare what was sent.
fn compare(minted: &Minted) -> String {
    let policy = "`issuer` is `iss`, one of its `audiences` (the account id where it has none) is `aud`";
    let keys = "its keys are those of `kid`: fetched from the issuer where it has neither `jwks_json` nor `jwks_uri`";
    let of_the_account = |what: &str, whom: &str| {
        format!(
            "compare with the federation policy of the account {what}: its {policy}, {keys}; {whom} is a user name or an application id of the account, who is in the workspace"
        )
    };
    let unsaid = match &minted.grant {
        MintedFor::Assertion { audience, .. } | MintedFor::ServicePrincipal { audience, .. } if *audience == minted.token_endpoint => {
            "; `aud` is the token endpoint here, as it is of a target that says no `account_id`: say that, or name this audience in the policy"
        }
        _ => "",
    };
    match &minted.grant {
        MintedFor::Assertion { .. } => {
            format!("{}{unsaid}", of_the_account("what was sent", "its `subject_claim` is `sub` or not set, and `sub`"))
        }
        MintedFor::Caller => of_the_account("what the caller's token says", "the claim that its `subject_claim` names"),
        MintedFor::ServicePrincipal { .. } => format!(
            "compare with the federation policy of the service principal (not of the account) what was sent: its {policy}, its `subject` is `sub`, {keys}; `client_id` is the \
             application id of that principal, which is in the workspace{unsaid}"
        ),
        MintedFor::Client { client_id, .. } => {
            format!("is `{client_id}` a service principal of this account and workspace, and its secret neither ended nor removed?")
        }
    }
}

fn client(minted: &Minted) -> String {
    match &minted.grant {
        MintedFor::Client { client_id, .. } => {
            format!(
                "compare `client_id` (`{client_id}`) with the application id of the service principal, and make it a new secret: one that was removed or has ended looks the same"
            )
        }
        MintedFor::ServicePrincipal { .. } => {
            format!("compare `principals[].client_id` with the application ids of the account; then {}", compare(minted))
        }
        MintedFor::Assertion { .. } | MintedFor::Caller => {
            format!(
                "the endpoint knows no federation policy of the whole account that trusts the issuer: make one, or use `mode: service-principal`; {}",
                compare(minted)
            )
        }
    }
}

/// Whether the refusal is the one that a subject must have who is nobody.
pub(super) fn is_of_the_subject(end: &TrialEnd) -> bool {
    matches!(end, TrialEnd::Declined { code: Some(code), .. } if code == "invalid_grant" || code == "access_denied")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The texts are those of the client, of the resolver and of the guard of addresses.
    #[test]
    fn the_cause_of_silence_is_told_apart_as_far_as_its_text_goes() {
        let unreachable = |text: &str| NetError::Unreachable(text.to_owned());
        for (error, says) in [
            (NetError::TimedOut, "NetworkPolicy"),
            (NetError::TooLong(1), "no server of this kind"),
            (unreachable("failed to lookup address information: Name or service not known"), "DNS of the cluster"),
            (unreachable("failed to lookup address information: Temporary failure in name resolution"), "DNS of the cluster"),
            (unreachable("invalid peer certificate: UnknownIssuer"), "`SSL_CERT_FILE`"),
            (unreachable("received fatal alert: HandshakeFailure"), "`SSL_CERT_FILE`"),
            (unreachable("received corrupt message of type InvalidContentType"), "does not speak TLS"),
            (unreachable("Connection refused (os error 111)"), "nobody listens"),
            (unreachable("connection closed before message completed"), "closed without an answer"),
            (unreachable("Connection reset by peer (os error 104)"), "closed without an answer"),
        ] {
            assert!(unanswered(&error).contains(says), "{error}: {}", unanswered(&error));
        }
    }
}
