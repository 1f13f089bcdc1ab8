//! What of credentials can be served and is likely not meant, or leaves something open that whoever wrote it should know of.

use crate::{
    config::{Config, Credentials, Identity, Minted, MintedFor, PersonalTokens, TargetEntry},
    model::Fault,
    signer::{self, Algorithm, TokenIssuer},
};

/// Every such warning, in the order of the targets.
pub(super) fn of_credentials(config: &Config, issuer: Option<&TokenIssuer>) -> Vec<Fault> {
    let targets = config.targets.iter().flat_map(|entry| [personal(entry), ambiguous(config, entry)]);
    let of_all = [unsuited(config, issuer), unreachable(config)].into_iter().chain(targets).flatten().map(|doubt| doubt.told(config));
    exposed(config).chain(of_all).collect()
}

/// Key files that others may read. What their owner's group may is meant: Kubernetes mounts a Secret for the pod's.
fn exposed(config: &Config) -> impl Iterator<Item = Fault> {
    let files = config.assertion.iter().flat_map(|assertion| &assertion.keys);
    files.filter(|file| signer::is_exposed(file)).map(|file| Fault {
        file: file.clone(),
        line: None,
        column: None,
        message: "everybody on this machine may read this private key, or write it: whoever has it can be any user of Databricks".to_owned(),
        help: Some(
            "take the right from others (`chmod o= FILE`), and put a new key in its place (`lakegate keys rotate`) where somebody may have read it"
                .to_owned(),
        ),
    })
}

struct Doubt {
    message: String,
    help: String,
}

impl Doubt {
    fn told(self, config: &Config) -> Fault {
        Fault { file: config.file.clone(), line: None, column: None, message: self.message, help: Some(self.help) }
    }
}

/// That a workspace takes tokens of which nothing is known here.
fn personal(entry: &TargetEntry) -> Option<Doubt> {
    (entry.credentials == Credentials::Passthrough(PersonalTokens::Passthrough)).then(|| Doubt {
        message: format!(
            "{} takes personal access tokens: Databricks does what their owners may, policies decide on the calling workload alone, and none looks at persons, \
             revocations or `bindings`; such a token works without lakegate too",
            called(entry)
        ),
        help: "remove `personal_access_tokens` once its callers have tokens of their identity provider".to_owned(),
    })
}

/// That lakegate's word is exchanged, and has or will have a signature that Databricks does not take (Databricks: *OAuth token federation*, RS256 and ES256).
fn unsuited(config: &Config, issuer: Option<&TokenIssuer>) -> Option<Doubt> {
    config.targets.iter().find(|entry| exchanges_word(entry))?;
    let key = issuer?.keys().iter().find(|key| key.algorithm() == Algorithm::EdDsa)?;
    Some(Doubt {
        message: format!("the key {} of `trust.assertion.keys` signs with EdDSA, and Databricks takes RS256 and ES256 alone", key.id()),
        help: "make one with `lakegate keys new --algorithm es256` in its place".to_owned(),
    })
}

/// That lakegate's word is exchanged under a name at which Databricks can find no keys (Databricks: *OAuth token federation*, an `issuer` is an https URL).
fn unreachable(config: &Config) -> Option<Doubt> {
    let issuer = &config.assertion.as_ref()?.issuer;
    let entry = config.targets.iter().find(|entry| exchanges_word(entry) && !issuer.starts_with("https://"))?;
    Some(Doubt {
        message: format!(
            "{} exchanges what lakegate signs as `{issuer}`, which is no https URL: Databricks can only know the keys by a federation policy that holds them \
             (`jwks_json`), uploaded anew after each rotation",
            called(entry)
        ),
        help: "write an https URL of yours as `trust.assertion.issuer`, also where nothing answers there".to_owned(),
    })
}

/// That callers of several issuers have tokens, and what Databricks is told of them does not say of which issuer they are.
fn ambiguous(config: &Config, entry: &TargetEntry) -> Option<Doubt> {
    let Credentials::Minted(Minted { grant, issuers: None, .. }) = &entry.credentials else { return None };
    let key = match grant {
        MintedFor::Caller => "subject: caller",
        MintedFor::Assertion { identity: Identity::Subject, .. } => "identity: subject",
        _ => return None,
    };
    (config.issuers.len() > 1).then(|| Doubt {
        message: format!(
            "{} has tokens for callers of all {} issuers (`{key}`): where two issuers name different persons alike, Databricks takes one for the other",
            called(entry),
            config.issuers.len()
        ),
        help: "name those whose callers it is for in `credentials.issuers`".to_owned(),
    })
}

/// Whether it is lakegate's word that the target exchanges.
fn exchanges_word(entry: &TargetEntry) -> bool {
    let by_word = |grant: &MintedFor| matches!(grant, MintedFor::Assertion { .. } | MintedFor::ServicePrincipal { .. });
    matches!(&entry.credentials, Credentials::Minted(minted) if by_word(&minted.grant))
}

fn called(entry: &TargetEntry) -> String {
    format!("{} `{}`", entry.target.kind.type_name().to_lowercase(), entry.target.name)
}
