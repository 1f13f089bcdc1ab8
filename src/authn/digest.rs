//! The digests of tokens.

pub(super) use crate::digest::{Fields, of};
use crate::model::{PrincipalKind, Token};

/// The digest that [`Token`] describes: callers with the same have the same rights.
#[must_use]
pub fn of_facts(token: &Token) -> [u8; 32] {
    let kind = match token.kind {
        PrincipalKind::User => "user",
        PrincipalKind::ServicePrincipal => "service-principal",
    };
    let mut fields = Fields::new();
    fields.text("lakegate token facts 3").text(token.issuer.as_str()).text(kind).text(&token.subject);
    fields.list(&token.groups).count(usize::from(token.groups_elsewhere)).list(&token.roles).list(&token.scopes);
    fields.option(token.client.as_deref()).option(token.auth_time.map(|time| time.to_string()).as_deref()).option(token.acr.as_deref());
    fields
        .option(token.session.as_deref())
        .list(&token.actors)
        .option(token.purpose.as_deref())
        .option(token.email.as_deref())
        .count(token.claims.len());
    for claim in &token.claims {
        fields.text(&claim.name).value(&claim.value);
    }
    fields.finish()
}
