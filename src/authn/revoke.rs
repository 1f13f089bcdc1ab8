//! What an operator asks of revocations.

use std::path::PathBuf;

use jiff::Timestamp;
use prometheus_client::registry::Registry;
use serde::Serialize;

use super::{
    Authenticator, IssuerConfig,
    revoked::{By, Entry, Life, Lifted, Order, RevocationStatus, RevokeError, Whose},
};
use crate::text::quoted;

/// A revocation as operators see it. Times are of RFC 3339.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RevocationNote {
    pub id: String,
    /// Its issuer's name; `None` where the configuration has it no more.
    pub issuer: Option<String>,
    pub iss: String,
    /// `token_id`, `session`, `subject` or `issuer`.
    pub kind: &'static str,
    /// The id or the name; `None` for all tokens of an issuer.
    pub value: Option<String>,
    /// Tokens without an `iat` or with an earlier one are refused; `None` for all.
    pub not_before: Option<String>,
    pub until: String,
    pub made_at: String,
    pub by: By,
    pub note: Option<String>,
    pub lifted_at: Option<String>,
    pub lifted_by: Option<By>,
    /// Whether a restart leaves it.
    pub kept: bool,
    /// What is likely not meant.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// Some of the revocations.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RevocationPage {
    pub revocations: Vec<RevocationNote>,
    /// Behind which id the next page begins; `None` on the last.
    pub next: Option<String>,
}

// === impl Authenticator ===

impl Authenticator {
    /// Takes hold of `state_dir`, so that what is revoked outlives the process. Before the first call; waits for a process that still holds it.
    ///
    /// # Errors
    /// Why it cannot be had, or what in it cannot be read.
    pub fn keep_revocations(&self) -> Result<(), String> {
        self.revocations.keep(self.clock.now())
    }

    /// Forgets what has expired and writes what could not be written. From time to time; waits for the disk.
    pub fn tend_revocations(&self) {
        self.revocations.tend(self.clock.now());
    }

    /// Revokes what `order` says. It counts from the next request on when this returns; waits for the disk.
    ///
    /// # Errors
    /// A [`RevokeError`]; after `NotKept` it counts all the same.
    pub fn revoke(&self, order: Order, by: By) -> Result<RevocationNote, RevokeError> {
        let now_ms = self.clock.now_ms();
        let issuer = self.issuers.iter().find(|issuer| issuer.config.name.as_str() == order.issuer);
        let issuer = issuer.ok_or_else(|| {
            let known: Vec<String> = self.issuers().map(|name| format!("`{name}`")).collect();
            RevokeError::Invalid(format!("no issuer is called {}; there are {}", quoted(&order.issuer), known.join(", ")))
        })?;
        let life = issuer.config.life();
        let revocation = order.revocation(&issuer.config.issuer, life, by, now_ms)?;
        let early = revocation.before.is_some_and(|before| revocation.until < life.end(before))
            || revocation.before.is_none() && revocation.until < life.end(revocation.made_at);
        let entry = self.revocations.add(revocation, now_ms.div_euclid(1000))?;
        let mut note = self.note(entry);
        // A block of a subject ends when it is meant to.
        if early && !(note.kind == "subject" && note.not_before.is_none()) {
            note.warnings.push(
                "a token that it refuses may still be good when it ends; leave `until` out to have it last as long as any token can".to_owned(),
            );
        }
        if !note.kept {
            note.warnings.push("it does not outlive a restart, since no `state_dir` is configured".to_owned());
        }
        Ok(note)
    }

    /// Lifts a revocation; waits for the disk.
    ///
    /// # Errors
    /// A [`RevokeError`]; the revocation counts on then.
    pub fn lift(&self, id: &str, by: By) -> Result<RevocationNote, RevokeError> {
        self.revocations.lift(id, by, self.clock.now()).map(|entry| self.note(entry))
    }

    /// At most `limit` revocations that have not expired, in the order in which they were made, behind the one with the id `after`.
    #[must_use]
    pub fn revocations(&self, after: Option<&str>, limit: usize, lifted: bool) -> RevocationPage {
        let (entries, more) = self.revocations.page(after, limit, lifted, self.clock.now());
        let next = entries.last().filter(|_| more).map(|entry| entry.revocation.id.clone());
        RevocationPage { revocations: entries.into_iter().map(|entry| self.note(entry)).collect(), next }
    }

    #[must_use]
    pub fn revocation_status(&self) -> RevocationStatus {
        self.revocations.status(self.clock.now())
    }

    /// Where revocations are kept, where they are.
    #[must_use]
    pub fn revocations_file(&self) -> Option<PathBuf> {
        self.revocations.file()
    }

    pub(super) fn register_revocations(&self, registry: &mut Registry) {
        self.revocations.register(registry);
    }

    fn note(&self, entry: Entry) -> RevocationNote {
        let Entry { revocation, lifted, kept } = entry;
        let known = self.issuers.iter().find(|issuer| issuer.config.issuer == revocation.issuer);
        let (kind, value, not_before) = match revocation.whose {
            Whose::TokenId(id) => ("token_id", Some(id), None),
            Whose::Session { id, .. } => ("session", Some(id), None),
            Whose::Subject(subject) => ("subject", Some(subject), revocation.before),
            Whose::Everyone => ("issuer", None, revocation.before),
        };
        RevocationNote {
            id: revocation.id,
            issuer: known.map(|issuer| issuer.config.name.to_string()),
            iss: revocation.issuer,
            kind,
            value,
            not_before: not_before.map(rfc3339),
            until: rfc3339(revocation.until),
            made_at: rfc3339(revocation.made_at),
            by: revocation.by,
            note: revocation.note,
            lifted_at: lifted.map(|Lifted { at, .. }| rfc3339(at)),
            lifted_by: lifted.map(|Lifted { by, .. }| by),
            kept,
            warnings: Vec::new(),
        }
    }
}

// === impl IssuerConfig ===

impl IssuerConfig {
    /// How long its tokens may matter: each for its own life, and none for longer than its session.
    pub(super) fn life(&self) -> Life {
        let longest = self.session.longest_s.map_or(self.longest_token_s, |session| session.min(self.longest_token_s));
        Life { longest, leeway: self.leeway_s }
    }
}

fn rfc3339(seconds: i64) -> String {
    Timestamp::from_second(seconds).map(|time| time.to_string()).unwrap_or_default()
}
