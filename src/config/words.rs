use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::authn;

/// Whether decisions bind, or are only recorded while every call passes as if lakegate were not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// A refused call does not pass.
    #[default]
    Enforce,
    /// Every call passes unchanged; the record holds what enforcement would have answered.
    Shadow,
}

/// With which credential an allowed call goes on to its host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum CredentialMode {
    /// The caller's own token goes on as it came.
    Passthrough,
    /// No credential goes on.
    #[default]
    Strip,
    /// A Databricks token of the caller's own, had by token exchange (RFC 8693) under an account-wide federation policy.
    Exchange,
    /// A Databricks token of a service principal that the caller's role or workload has, by workload identity federation.
    ServicePrincipal,
    /// A Databricks token of one service principal, had by its secret.
    ClientCredentials,
}

/// What becomes of personal access tokens of Databricks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PersonalTokens {
    /// A call that brings one is refused.
    #[default]
    Refuse,
    /// It goes on as it came. Policies decide on the calling workload alone, and whose it is only Databricks knows.
    Passthrough,
}

/// What is exchanged for a Databricks token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Subject {
    /// What lakegate signs of the caller, so that Databricks trusts lakegate alone.
    #[default]
    Assertion,
    /// The caller's own token. Whoever holds it can exchange it without lakegate, from anywhere.
    Caller,
}

/// As whom Databricks knows a caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Identity {
    /// People by the `email` that their issuer has verified, programs by the client id of their token; anyone, and a workload without a token, as the inventory says.
    Email,
    /// By the subject of the token; a workload without a token by its SPIFFE ID.
    #[default]
    Subject,
    /// By the client id of the token, or as the inventory says; programs and workloads alone.
    ApplicationId,
}

/// Whose token an issuer's is; decides the defaults of everything an issuer does not say itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Provider {
    /// Any `OpenID` provider: subject from `sub`, groups from `groups`.
    Generic,
    /// Keycloak: roles from `realm_access` and `resource_access`, service accounts recognized.
    Keycloak,
    /// A custom authorization server of Okta: subject from `uid`, client from `cid`.
    Okta,
    /// One tenant of Microsoft Entra ID: subject from `oid`, `tid` must be the issuer's.
    Entra,
    /// Google accounts and service accounts by their ID tokens. Needs `require`.
    Google,
    /// Jobs of GitHub Actions: `repository`, `ref`, `environment` and more as attributes. Needs `require` on github.com.
    GithubActions,
    /// Pods of one cluster by projected service-account tokens: `namespace` and `service_account` as attributes.
    Kubernetes,
    /// Databricks' own OAuth tokens.
    Databricks,
    /// Roles of one AWS account by `GetWebIdentityToken`: `account` and `org_id` as attributes.
    Aws,
    /// Workloads of one trust domain by JWT-SVIDs. Needs `trust_domain`.
    Spiffe,
}

/// Which kind of principal the subjects of an issuer are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Each is a `User`.
    User,
    /// Each is a `ServicePrincipal`.
    ServicePrincipal,
    /// Told apart by the provider's own marks in the token.
    Detect,
}

/// The type of an attribute, in the words of Cedar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ClaimType {
    /// One text: `String` in policies.
    String,
    /// A whole number: `Long`.
    Long,
    /// `true` or `false`: `Bool`.
    Bool,
    /// A text, or a list of texts: `Set<String>`.
    Strings,
}

/// What becomes of a token of Entra that says that its subject has more groups than it can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Overage {
    /// It is refused with `GROUPS_UNKNOWN`.
    Refuse,
    /// The subject's groups are those that `policy.groups` and `policy.entities` say, which must have the subject.
    Inventory,
}

/// A signature algorithm of RFC 7518 or RFC 8037. None is symmetric: an HMAC key that was fetched proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Algorithm {
    RS256,
    RS384,
    RS512,
    PS256,
    PS384,
    PS512,
    ES256,
    ES384,
    EdDSA,
}

/// Which tokens an issuer is asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum IntrospectWhen {
    /// Those that are not signed, of which only the issuer knows whose they are.
    Opaque,
    /// Its signed ones, after their signature is verified: for sessions that end before their tokens do.
    Signed,
    /// Both.
    Always,
}

/// How a client proves itself at its issuer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ClientAuth {
    /// By its secret in the `Authorization` header.
    #[default]
    Basic,
    /// By its secret in the form.
    Post,
    /// By an assertion signed with its private key.
    PrivateKeyJwt,
}

/// What an assertion by a client's key names as its audience.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AssertionAudience {
    /// The issuer's identifier, which servers should all take.
    #[default]
    Issuer,
    /// The address of the endpoint, for servers that take nothing else.
    Endpoint,
}

/// Whether a token must be bound to a key or certificate of whoever presents it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Possession {
    /// A token that is bound (`cnf`) is taken with its proof alone; one that is not is a bearer token.
    #[default]
    AsTokenSays,
    /// A token that is not bound is refused.
    Required,
}

/// Who says which workload calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PeerSource {
    /// Envoy, in `source.principal` of the check: the URI of the certificate it has verified.
    #[default]
    Principal,
    /// The last element of `x-forwarded-client-cert`: for waypoints, of which `source.principal` is empty.
    Xfcc,
    /// The certificate of the proxy that asks, which is the workload's own sidecar.
    Connection,
}

/// A kind of principal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum BoundKind {
    /// Tokens of users.
    User,
    /// Tokens of programs.
    ServicePrincipal,
}

/// A trust header: what follows the prefix in its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TrustHeader {
    Subject,
    Groups,
    Roles,
    Peer,
    Actor,
    Decision,
    Assertion,
}

/// What happens to a call whose record cannot be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OnFailure {
    /// It is refused with 503.
    #[default]
    Deny,
    /// It is decided as if the record had been kept.
    Allow,
}

/// When audit records are forced to disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Fsync {
    /// Within a second, after the answers have left.
    #[default]
    Batch,
    /// Before each answer leaves; one sync serves all that wait for it.
    Always,
}

/// How much of a denial the caller reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Explain {
    /// The reason and the decision id alone.
    None,
    /// Also who the caller is taken for, what the call would have done and what is missing.
    #[default]
    Own,
    /// Also the ids of the policies that decided, where a token is good that is bound elsewhere, and to whoever asks why what others may.
    Full,
}

/// The least severe log line that is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum LogLevel {
    Error,
    Warn,
    #[default]
    Info,
    Debug,
    Trace,
}

/// The form of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum LogFormat {
    /// One JSON object a line.
    #[default]
    Json,
    /// For people.
    Text,
}

// === impl LogLevel ===

impl LogLevel {
    /// As a log filter names it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

// === impl Provider ===

// === impl CredentialMode ===

impl CredentialMode {
    /// As it is written.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Passthrough => "passthrough",
            Self::Strip => "strip",
            Self::Exchange => "exchange",
            Self::ServicePrincipal => "service-principal",
            Self::ClientCredentials => "client-credentials",
        }
    }
}

impl From<Provider> for authn::Provider {
    fn from(word: Provider) -> Self {
        match word {
            Provider::Generic => Self::Generic,
            Provider::Keycloak => Self::Keycloak,
            Provider::Okta => Self::Okta,
            Provider::Entra => Self::Entra,
            Provider::Google => Self::Google,
            Provider::GithubActions => Self::GithubActions,
            Provider::Kubernetes => Self::Kubernetes,
            Provider::Databricks => Self::Databricks,
            Provider::Aws => Self::Aws,
            Provider::Spiffe => Self::Spiffe,
        }
    }
}

// === impl ClaimType ===

impl ClaimType {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::Long => "long",
            Self::Bool => "bool",
            Self::Strings => "strings",
        }
    }
}

// === impl Algorithm ===

impl Algorithm {
    /// The name in RFC 7518 §3.1 and RFC 8037 §3.1.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RS256 => "RS256",
            Self::RS384 => "RS384",
            Self::RS512 => "RS512",
            Self::PS256 => "PS256",
            Self::PS384 => "PS384",
            Self::PS512 => "PS512",
            Self::ES256 => "ES256",
            Self::ES384 => "ES384",
            Self::EdDSA => "EdDSA",
        }
    }
}
