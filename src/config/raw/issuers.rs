use std::{collections::BTreeMap, path::PathBuf};

use schemars::JsonSchema;
use serde::Deserialize;

use super::super::{
    units::Span,
    words::{Algorithm, AssertionAudience, BoundKind, ClaimType, ClientAuth, IntrospectWhen, Kind, Overage, Possession, Provider},
};

/// One issuer of tokens. What it does not say follows from its provider.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Issuer {
    /// The name in policies and records: `User::"<name>/<subject>"`. 1 to 63 of `a-z`, `0-9` and `-`.
    #[schemars(required, example = &"corp")]
    pub name: Option<String>,
    /// The `iss` of its tokens, compared letter by letter. `https:`, or `http:` on loopback.
    #[schemars(required, example = &"https://keycloak.example.com/realms/ml")]
    pub issuer: Option<String>,
    /// Whose tokens these are; decides the defaults of what follows.
    #[schemars(required, example = &"keycloak")]
    pub provider: Option<Provider>,
    /// The audiences of which a token must name at least one.
    #[schemars(required, example = ["lakegate"])]
    pub audiences: Option<Vec<String>>,
    /// The signature algorithms that are accepted.
    #[schemars(example = ["RS256"])]
    pub algorithms: Option<Vec<Algorithm>>,
    /// Where its key set is fetched from; found by `OpenID` discovery where neither this nor `jwks_file` is given. `https:`, or `http:` on loopback.
    #[schemars(example = &"https://keycloak.example.com/realms/ml/protocol/openid-connect/certs")]
    pub jwks_uri: Option<String>,
    /// A file with its key set, in place of `jwks_uri`. Watched.
    #[schemars(example = &"corp.jwks.json")]
    pub jwks_file: Option<PathBuf>,
    /// The claim that is the subject. Choose one that never changes hands: `sub` or `oid`, not an e-mail address; of names that people choose (`preferred_username`, `upn`
    /// and the like) `lakegate check` warns.
    #[schemars(example = &"sub")]
    pub subject_claim: Option<String>,
    /// The claim that lists the groups: a path of names joined with dots, and one that holds a dot in quotation marks.
    #[schemars(example = &"groups")]
    pub groups_claim: Option<String>,
    /// The claim, or the claims, that list the roles, each a path like that of `groups_claim`.
    #[schemars(example = &"realm_access.roles")]
    pub roles_claim: Option<OneOrMany>,
    /// Which kind of principal its subjects are.
    #[schemars(example = &"detect")]
    pub kind: Option<Kind>,
    /// Which workloads may present its tokens: a list, or `none` where any may. Without it any may, and `lakegate check` warns.
    #[schemars(example = &"none")]
    pub bindings: Option<Bindings>,
    /// How far its clock may be off; up to 5m.
    #[schemars(example = &"30s")]
    pub leeway: Option<Span>,
    /// The header `typ` values that are accepted, in lower case.
    #[schemars(example = ["at+jwt"])]
    pub token_types: Option<Vec<String>>,
    /// Claims by their paths, each with the text, or the texts, of which it must be one, or hold one. A token in which that is not so is refused. A number or
    /// a truth value is compared as JSON writes it. Needed where anyone can get a token from the issuer.
    #[schemars(extend("examples" = [{ "repository_owner": "acme" }]))]
    pub require: Option<BTreeMap<String, OneOrMany>>,
    /// Claims that policies read as `context.token.claims.<name>`, by these names; of all issuers together, each name with one type.
    #[schemars(extend("examples" = [{ "branch": { "claim": "ref", "type": "string" } }]))]
    pub attributes: Option<BTreeMap<String, Attribute>>,
    /// The subjects that may act for others: who stands outermost in `act` (RFC 8693). Where none is named, a token with `act` is refused.
    #[schemars(example = ["copilot"])]
    pub actors: Option<Vec<String>>,
    /// The claim that says why a call is made, for `context.purpose`.
    #[schemars(example = &"purpose")]
    pub purpose_claim: Option<String>,
    /// In place of `purpose_claim`: the `type` of the entries in `authorization_details` (RFC 9396) whose member `purpose` says it.
    #[schemars(example = &"databricks_access")]
    pub purpose_details: Option<String>,
    /// The longest life of its tokens, from `iat` to `exp`; one that was issued for longer is refused. A revocation lasts as long, unless it says how
    /// long. 1m to 400d. Unless given, 2h of `aws`, `databricks` and `google`, 6h of `github-actions`, 29h of `entra`, 24h of others.
    #[schemars(example = &"24h")]
    pub longest_token: Option<Span>,
    /// How long a session with it may last.
    pub session: Option<Session>,
    /// Sessions end when it says so: OIDC back-channel logout, at `/v1/logout/<name>` of the admin port.
    pub logout: Option<Logout>,
    /// What becomes of a token of `entra` that leaves its groups out, as there are too many; `refuse` unless given.
    #[schemars(example = &"inventory")]
    pub overage: Option<Overage>,
    /// The one trust domain that a `spiffe` issuer vouches for.
    #[schemars(example = &"prod.example.com")]
    pub trust_domain: Option<String>,
    /// Whether its tokens are asked about at the issuer itself (RFC 7662): the way to tokens that are not signed, and to sessions that end at once.
    pub introspection: Option<Introspection>,
    /// Whether its tokens must be bound to a key (DPoP, RFC 9449) or certificate (RFC 8705) of whoever presents them.
    #[schemars(extend("default" = "as-token-says"))]
    pub possession: Option<Possession>,
}

/// A claim that policies read. A token without it has no such attribute; one in which it is of another type is refused.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Attribute {
    /// The claim: a path with dots for what is nested, in which a name that holds a dot stands in quotation marks, or the whole name of a claim that is a
    /// URL. With a `*` for every member, of which `strings` takes all.
    #[schemars(required, example = &"ref")]
    pub claim: Option<String>,
    /// Its type.
    #[schemars(required, example = &"string")]
    pub r#type: Option<ClaimType>,
}

/// Which workloads may present the tokens of an issuer.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(inline)]
pub enum Bindings {
    Word(BindingsWord),
    Only(Vec<Binding>),
}

/// That there are none.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub enum BindingsWord {
    None,
}

/// The workloads that may present some of an issuer's tokens. Of several that are about a token, each adds its own; a token that none is about is refused.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Binding {
    /// Of which tokens; of all unless given.
    pub when: Option<When>,
    /// SPIFFE IDs. `*` stands for one whole segment of the path, and `{claim}` for what that claim of the token says, as one whole segment.
    #[schemars(required, example = ["spiffe://cluster.local/ns/{namespace}/sa/{name}"])]
    pub peers: Option<Vec<String>>,
}

/// Tokens, by what they say. Every key beside `kind` is a claim, with the text, or one of the texts, that it must be or hold; compared as in `require`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
pub struct When {
    /// Whose token it is.
    #[schemars(example = &"service-principal")]
    pub kind: Option<BoundKind>,
    #[serde(flatten)]
    pub claims: BTreeMap<String, OneOrMany>,
}

/// Limits of sessions; none are held where none are given.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Session {
    /// Since the subject signed in (`auth_time`), whatever tokens were issued since; for programs since `iat` where there is no `auth_time`. 1m to 400d.
    #[schemars(example = &"12h")]
    pub longest: Option<Span>,
    /// Since the session was last used, or its token issued. 1m to 400d.
    #[schemars(example = &"30m")]
    pub idle: Option<Span>,
}

/// The logout tokens of an issuer.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Logout {
    /// The `aud` of its logout tokens: the client id under which it knows the endpoint.
    #[schemars(required, example = &"lakegate")]
    pub audience: Option<String>,
}

/// How an issuer is asked whether its tokens are active.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Introspection {
    /// Which tokens it is asked about. Tokens that are not signed do not say whose they are, so that only one issuer can have them.
    #[schemars(required, example = &"opaque")]
    pub when: Option<IntrospectWhen>,
    /// Where it is asked; found by discovery unless given. `https:`, or `http:` on loopback.
    #[schemars(example = &"https://keycloak.example.com/realms/ml/protocol/openid-connect/token/introspect")]
    pub endpoint: Option<String>,
    /// The client as which lakegate asks.
    #[schemars(required, example = &"lakegate")]
    pub client_id: Option<String>,
    /// How that client proves itself.
    #[schemars(extend("default" = "basic"))]
    pub auth: Option<ClientAuth>,
    /// The file with the client's secret, for `basic` and `post`: one line. Watched.
    #[schemars(example = &"introspection.secret")]
    pub secret_file: Option<PathBuf>,
    /// The environment variable with it, in place of `secret_file`. Read at the start.
    #[schemars(example = &"LAKEGATE_INTROSPECTION_SECRET")]
    pub secret_env: Option<String>,
    /// The file with the client's private key in PEM, for `private_key_jwt`: RSA (RS256), or EC on P-256 (ES256) or P-384 (ES384). Watched.
    #[schemars(example = &"introspection.pem")]
    pub key: Option<PathBuf>,
    /// The `kid` under which the issuer knows that key.
    #[schemars(example = &"lakegate-1")]
    pub key_id: Option<String>,
    /// What an assertion by that key names as its audience.
    #[schemars(extend("default" = "issuer"))]
    pub assertion_audience: Option<AssertionAudience>,
    /// How old an answer may be: as long as a token may still pass after its issuer ended it. 1s to 5m.
    #[schemars(extend("default" = "10s"))]
    pub window: Option<Span>,
    /// Takes answers that name no audience. Any client of the issuer can then bring the tokens it was given; an answer that names another audience is
    /// refused all the same.
    #[schemars(extend("default" = false))]
    pub audience_optional: Option<bool>,
}

/// One text, or a list of them.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(inline)]
pub enum OneOrMany {
    One(String),
    Many(Vec<String>),
}
