use std::{path::PathBuf, time::Duration};

use super::{
    files, forms,
    path::KeyPath,
    raw,
    report::Report,
    secrets::{self, SecretPlace},
    words::{AssertionAudience, ClientAuth, IntrospectWhen},
};
use crate::authn::IntrospectionConfig;

/// How an issuer is asked about its tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Introspection {
    pub when: IntrospectWhen,
    /// Found by discovery unless given.
    pub endpoint: Option<String>,
    pub client_id: String,
    pub proof: ClientProof,
    /// 1 s to 5 m.
    pub window: Duration,
    pub audience_optional: bool,
}

/// What lakegate proves itself with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientProof {
    Basic(SecretPlace),
    Post(SecretPlace),
    PrivateKeyJwt { key: PathBuf, key_id: Option<String>, audience: AssertionAudience },
}

// === impl Introspection ===

impl Introspection {
    /// The file that a change of the client's secret or key changes.
    #[must_use]
    pub fn file(&self) -> Option<&PathBuf> {
        match &self.proof {
            ClientProof::Basic(place) | ClientProof::Post(place) => place.file(),
            ClientProof::PrivateKeyJwt { key, .. } => Some(key),
        }
    }
}

pub(super) fn introspection(raw: &raw::Introspection, path: &KeyPath, report: &mut Report<'_>) -> Option<Introspection> {
    let endpoint = raw.endpoint.as_deref().map(|text| forms::guarded_url(text, &path.key("endpoint"), report));
    let client_id = raw.client_id.as_deref().and_then(|text| forms::token_text(text, &path.key("client_id"), report));
    let proof = proof(raw, path, report);
    let window = raw.window.map_or(WINDOW, |span| span.0);
    if !(WINDOW_MIN..=WINDOW_MAX).contains(&window) || window.subsec_nanos() != 0 {
        report.fault(
            &path.key("window"),
            "it is not 1s to 5m in whole seconds",
            "write as long as a token may still pass after its issuer ended it, as `10s`",
        );
    }
    Some(Introspection {
        when: raw.when?,
        endpoint: endpoint.flatten(),
        client_id: client_id?,
        proof: proof?,
        window,
        audience_optional: raw.audience_optional.unwrap_or_default(),
    })
}

fn proof(raw: &raw::Introspection, path: &KeyPath, report: &mut Report<'_>) -> Option<ClientProof> {
    let auth = raw.auth.unwrap_or_default();
    let by_key = auth == ClientAuth::PrivateKeyJwt;
    let foreign = [
        ("secret_file", raw.secret_file.is_some() && by_key),
        ("secret_env", raw.secret_env.is_some() && by_key),
        ("key", raw.key.is_some() && !by_key),
        ("key_id", raw.key_id.is_some() && !by_key),
        ("assertion_audience", raw.assertion_audience == Some(AssertionAudience::Endpoint) && !by_key),
    ];
    for (key, _) in foreign.iter().filter(|(_, foreign)| *foreign) {
        let other = if by_key { "`private_key_jwt` has no secret" } else { "a key is for `auth: private_key_jwt`" };
        report.fault(&path.key(key), format!("`{key}` does not go with this `auth`: {other}"), "remove it, or say another `auth`");
    }
    match auth {
        ClientAuth::Basic => secrets::secret(raw.secret_file.as_deref(), raw.secret_env.as_deref(), path, report).map(ClientProof::Basic),
        ClientAuth::Post => secrets::secret(raw.secret_file.as_deref(), raw.secret_env.as_deref(), path, report).map(ClientProof::Post),
        ClientAuth::PrivateKeyJwt => {
            let key_id = raw.key_id.as_deref().map(|text| forms::token_text(text, &path.key("key_id"), report));
            let Some(written) = raw.key.as_deref() else {
                report.fault(path, "`auth: private_key_jwt` needs a `key`", "name the file with the private key in PEM, as `key: introspection.pem`");
                return None;
            };
            let key = files::file(written, &path.key("key"), report);
            Some(ClientProof::PrivateKeyJwt { key: key?, key_id: key_id.flatten(), audience: raw.assertion_audience.unwrap_or_default() })
        }
    }
}

const WINDOW: Duration = Duration::from_secs(10);
const WINDOW_MIN: Duration = Duration::from_secs(1);
const WINDOW_MAX: Duration = Duration::from_secs(IntrospectionConfig::LONGEST_WINDOW_S.unsigned_abs());
