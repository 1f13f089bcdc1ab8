//! A file of test cases as it is written. A doc comment is the key's description in the JSON Schema.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::config::raw::OneOrMany;

/// Test cases for the policies of lakegate: who calls what, and what is decided.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "test cases of lakegate")]
pub(super) struct File {
    /// Other files of this form, relative to this one, whose callers and requests may be named here.
    #[serde(rename = "use")]
    #[schemars(example = &"fixtures.yaml")]
    pub(super) uses: Option<OneOrMany>,
    /// When the calls are made, unless a case says it: RFC 3339, or `now`. Without it, 2026-01-01T12:00:00Z.
    #[schemars(example = &"2026-06-01T09:30:00Z")]
    pub(super) time: Option<String>,
    /// Callers by the names that cases use.
    pub(super) callers: Option<BTreeMap<String, Caller>>,
    /// Requests by the names that cases use.
    pub(super) requests: Option<BTreeMap<String, RequestText>>,
    /// The cases. A file without any is for others to use.
    pub(super) cases: Option<Vec<Case>>,
}

/// Who calls. With `User`, `ServicePrincipal` or `claims` the call brings a good token; without, the workload calls for itself.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Caller {
    /// The name of a caller, to take everything from that is not said here.
    #[schemars(example = &"alice")]
    pub(super) like: Option<String>,
    /// A person: `<issuer>/<subject>`.
    #[serde(rename = "User")]
    #[schemars(example = &"corp/alice")]
    pub(super) user: Option<String>,
    /// A program with a token: `<issuer>/<subject>`.
    #[serde(rename = "ServicePrincipal")]
    #[schemars(example = &"ci/deployer")]
    pub(super) service_principal: Option<String>,
    /// The claims of the token, in place of what follows: read as those of a real one. `exp`, `nbf`, `iat` and `auth_time` may be times as below.
    pub(super) claims: Option<Map<String, Value>>,
    /// Its groups as the token has them, without the issuer.
    #[schemars(example = ["ml-engineers"])]
    pub(super) groups: Option<Vec<String>>,
    /// Its roles as the token has them, without the issuer.
    pub(super) roles: Option<Vec<String>>,
    /// The scopes of the token.
    pub(super) scopes: Option<Vec<String>>,
    /// The client that the token was given to.
    pub(super) client: Option<String>,
    /// When the person signed in: RFC 3339, or as long before the call as `30m ago`.
    #[schemars(example = &"30m ago")]
    pub(super) auth_time: Option<String>,
    /// How the person signed in.
    pub(super) acr: Option<String>,
    /// Who acts for the person, by its subject; several where one acts for another, the one who acts now first.
    pub(super) actor: Option<OneOrMany>,
    /// The attributes of the token, by the names that policies read in `context.token.claims`.
    pub(super) attributes: Option<Map<String, Value>>,
    /// Why the call is made, as `context.purpose`.
    #[schemars(example = &"fraud-detection")]
    pub(super) purpose: Option<String>,
    /// When the token expires: RFC 3339, or `in 5m`, which it is unless given.
    pub(super) expires: Option<String>,
    /// The SPIFFE ID of the calling workload; `none` where the mesh vouches for nobody.
    #[schemars(example = &"spiffe://cluster.local/ns/ml-staging/sa/trainer")]
    pub(super) peer: Option<String>,
}

/// A request: in full, or its method and URL alone.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(inline)]
pub(super) enum RequestText {
    Text(String),
    Full(Request),
}

/// A request in full.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Request {
    /// Method and URL: `POST https://<host>/<path>`, or `POST <target>:/<path>` with the name of a workspace, account or service.
    #[schemars(example = &"POST stage:/api/2.2/jobs/run-now")]
    pub(super) call: String,
    /// Headers by their names. `authorization` is not among them: the caller says who calls.
    pub(super) headers: Option<BTreeMap<String, String>>,
    /// A text as it is sent, or any other value, which is sent as JSON.
    pub(super) body: Option<Value>,
    /// The address that the call comes from.
    pub(super) source_ip: Option<String>,
}

/// One case, or several that share what stands beside `each`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Case {
    /// What the case shows.
    pub(super) name: Option<String>,
    /// Who calls: the name of a caller, or one in full; of several, each.
    #[schemars(example = &"alice")]
    pub(super) caller: Option<Callers>,
    /// What is called: the name of a request, its method and URL, or one in full; of several, each.
    #[schemars(example = &"GET stage:/api/2.2/jobs/list")]
    pub(super) request: Option<Requests>,
    /// When the call is made.
    pub(super) time: Option<String>,
    /// What is decided.
    #[schemars(example = &"allow")]
    pub(super) decision: Option<Decision>,
    /// Why it is denied, as docs/reasons.md names it. Without it, policies deny.
    #[schemars(example = &"POLICY_NO_PERMIT")]
    pub(super) reason: Option<String>,
    /// The ids of the policies that decide: all of them, and no other.
    pub(super) policies: Option<Vec<String>>,
    /// A part of what the denied caller reads.
    pub(super) detail: Option<String>,
    /// Cases that take from this one what they do not say. One that says `decision` says `reason`, `policies` and `detail` anew.
    pub(super) each: Option<Vec<Case>>,
}

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(inline)]
pub(super) enum Callers {
    Named(String),
    Full(Box<Caller>),
    Several(Vec<CallerText>),
}

/// The name of a caller, or one in full.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(inline)]
pub(super) enum CallerText {
    Named(String),
    Full(Box<Caller>),
}

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(inline)]
pub(super) enum Requests {
    Text(String),
    Full(Request),
    Several(Vec<RequestText>),
}

/// What is decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Decision {
    /// The call may pass.
    Allow,
    /// It may not.
    Deny,
    /// lakegate answers it itself: the SDKs' question what a host is.
    Answer,
}

// === impl Decision ===

impl Decision {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
            Self::Answer => "answer",
        }
    }
}

// === impl Case ===

impl Case {
    /// This case with what it does not say taken from `outer`.
    pub(super) fn within(self, outer: &Self) -> Self {
        // What is expected beside a decision belongs to that decision.
        let expected = if self.decision.is_some() { &Self::default() } else { outer };
        Self {
            caller: self.caller.or_else(|| outer.caller.clone()),
            request: self.request.or_else(|| outer.request.clone()),
            time: self.time.or_else(|| outer.time.clone()),
            decision: self.decision.or(outer.decision),
            reason: self.reason.or_else(|| expected.reason.clone()),
            policies: self.policies.or_else(|| expected.policies.clone()),
            detail: self.detail.or_else(|| expected.detail.clone()),
            ..self
        }
    }
}

// === impl Caller ===

impl Caller {
    /// The keys that it has but for `like`.
    pub(super) fn said(&self) -> Vec<&'static str> {
        let subject = [("User", self.user.is_some()), ("ServicePrincipal", self.service_principal.is_some()), ("claims", self.claims.is_some())];
        let all = subject.into_iter().chain(self.facts()).chain([("peer", self.peer.is_some())]);
        all.filter(|(_, said)| *said).map(|(key, _)| key).collect()
    }

    /// What only a token has, and whether it is said.
    pub(super) fn facts(&self) -> [(&'static str, bool); 10] {
        [
            ("groups", self.groups.is_some()),
            ("roles", self.roles.is_some()),
            ("scopes", self.scopes.is_some()),
            ("client", self.client.is_some()),
            ("auth_time", self.auth_time.is_some()),
            ("acr", self.acr.is_some()),
            ("actor", self.actor.is_some()),
            ("attributes", self.attributes.is_some()),
            ("purpose", self.purpose.is_some()),
            ("expires", self.expires.is_some()),
        ]
    }

    /// This caller with what it does not say taken from `other`. Claims take the place of all facts that are not claims.
    pub(super) fn over(self, other: Self) -> Self {
        let named = self.user.is_some() || self.service_principal.is_some();
        let claims = match (self.claims, other.claims) {
            (Some(own), Some(mut all)) => {
                all.extend(own);
                Some(all)
            }
            (own, all) => own.or(all.filter(|_| !named)),
        };
        let peer = self.peer.or(other.peer);
        let other = if claims.is_some() { Self::default() } else { Self { claims: None, peer: None, ..other } };
        Self {
            like: None,
            user: self.user.or(other.user.filter(|_| !named)),
            service_principal: self.service_principal.or(other.service_principal.filter(|_| !named)),
            claims,
            groups: self.groups.or(other.groups),
            roles: self.roles.or(other.roles),
            scopes: self.scopes.or(other.scopes),
            client: self.client.or(other.client),
            auth_time: self.auth_time.or(other.auth_time),
            acr: self.acr.or(other.acr),
            actor: self.actor.or(other.actor),
            attributes: self.attributes.or(other.attributes),
            purpose: self.purpose.or(other.purpose),
            expires: self.expires.or(other.expires),
            peer,
        }
    }
}
