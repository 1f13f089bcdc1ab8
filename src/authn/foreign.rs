//! Tokens of issuers that are not configured: what is said of them, and which one that is configured may be meant.

use super::{IssuerConfig, Provider};
use crate::{
    model::{Reason, Refusal},
    text::shown,
};

/// `TokenUnknownIssuer` for the `iss` of a token. Said aside, where an issuer of those configured is so like it that one of the two is written wrong: who
/// is trusted is nobody's to learn by trying.
pub(super) fn refused<'i>(claimed: &str, configured: impl Iterator<Item = &'i IssuerConfig>) -> Refusal {
    let refusal = Refusal::new(Reason::TokenUnknownIssuer, format!("the token's issuer `{}` is not one of those configured", shown(claimed)));
    match configured.into_iter().find_map(|config| likely(claimed, config)) {
        Some(aside) => refusal.with_aside(aside),
        None => refusal,
    }
}

fn likely(claimed: &str, config: &IssuerConfig) -> Option<String> {
    let (name, issuer) = (&config.name, config.issuer.as_str());
    let mend = format!("set its `issuer` to the token's `iss`, `{}`, if they are one", shown(claimed));
    if bare(claimed) == bare(issuer) {
        return Some(format!("issuer `{name}` differs from it by `/` at the end alone; {mend}"));
    }
    if bare(claimed).eq_ignore_ascii_case(bare(issuer)) {
        return Some(format!("issuer `{name}` differs from it by capitals alone; {mend}"));
    }
    let tenant = tenant(claimed)?;
    (config.provider == Provider::Entra && self::tenant(issuer) == Some(tenant)).then(|| {
        format!("issuer `{name}` is the other version of the same Entra tenant, and the application registration says which one signs; {mend}")
    })
}

fn bare(issuer: &str) -> &str {
    issuer.strip_suffix('/').unwrap_or(issuer)
}

/// The tenant that an issuer of Microsoft Entra ID names: version 1 as `https://sts.windows.net/TENANT/`, version 2 as
/// `https://login.microsoftonline.com/TENANT/v2.0`.
fn tenant(issuer: &str) -> Option<&str> {
    let first = issuer.strip_prefix("https://sts.windows.net/").and_then(|rest| rest.strip_suffix('/'));
    let second = || issuer.strip_prefix("https://login.microsoftonline.com/").and_then(|rest| rest.strip_suffix("/v2.0"));
    first.or_else(second)
}
