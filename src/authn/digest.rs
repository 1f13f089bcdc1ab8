//! SHA-256 over fields, so that no two lists of fields have the same bytes.

use aws_lc_rs::digest::{self, Context};

use crate::model::{PrincipalKind, Token};

/// A digest being made: every field is written behind its length, every list behind its count.
pub(super) struct Fields(Context);

/// The digest of a whole text.
pub(super) fn of(text: &[u8]) -> [u8; 32] {
    bytes(&digest::digest(&digest::SHA256, text))
}

/// The digest that [`Token`] describes: callers with the same have the same rights.
pub(super) fn of_facts(token: &Token) -> [u8; 32] {
    let kind = match token.kind {
        PrincipalKind::User => "user",
        PrincipalKind::ServicePrincipal => "service-principal",
    };
    let mut fields = Fields::new();
    fields.text("lakegate token facts 1").text(token.issuer.as_str()).text(kind).text(&token.subject);
    fields.list(&token.groups).list(&token.roles).list(&token.scopes);
    fields.option(token.client.as_deref()).option(token.auth_time.map(|time| time.to_string()).as_deref()).option(token.acr.as_deref());
    fields.option(token.session.as_deref()).list(&token.actors);
    fields.finish()
}

fn bytes(digest: &digest::Digest) -> [u8; 32] {
    let mut out = [0; 32];
    // SHA-256 is 32 bytes long, so that both sides agree.
    for (to, from) in out.iter_mut().zip(digest.as_ref()) {
        *to = *from;
    }
    out
}

// === impl Fields ===

impl Fields {
    pub(super) fn new() -> Self {
        Self(Context::new(&digest::SHA256))
    }

    pub(super) fn bytes(&mut self, field: &[u8]) -> &mut Self {
        self.0.update(&field.len().to_be_bytes());
        self.0.update(field);
        self
    }

    pub(super) fn text(&mut self, field: &str) -> &mut Self {
        self.bytes(field.as_bytes())
    }

    pub(super) fn option(&mut self, field: Option<&str>) -> &mut Self {
        self.0.update(&[u8::from(field.is_some())]);
        self.text(field.unwrap_or_default())
    }

    pub(super) fn list(&mut self, items: &[String]) -> &mut Self {
        self.0.update(&items.len().to_be_bytes());
        for item in items {
            self.text(item);
        }
        self
    }

    pub(super) fn finish(self) -> [u8; 32] {
        bytes(&self.0.finish())
    }
}
