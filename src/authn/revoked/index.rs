//! What is asked on every request: a few keys made when the token was verified, looked up without a lock and without allocating.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use arc_swap::ArcSwap;
use smallvec::SmallVec;

use super::Whose;
use crate::{digest::Fields, model::Token};

/// Something of a token that can be revoked: the first 128 bits of a SHA-256 over what it is, its issuer's identifier and its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Mark(u128);

/// All that of one token. One without a chain of actors has six at most: its issuer, its id, and for each of the two names that its subject may have, the
/// subject and that no session is named; or the session in place of the last two.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::authn) struct Marks(SmallVec<[(Mark, Kind); 6]>);

/// What is revoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Kind {
    Issuer,
    Subject,
    /// A subject's tokens that do not say of which session they are.
    SubjectWithoutSession,
    Session,
    Token,
}

/// Which tokens with a mark are refused, and until when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rule {
    /// Those without an `iat` or with an earlier one; `None` for all. Seconds since the epoch, like all times here.
    pub before: Option<i64>,
    pub until: i64,
    /// The revocation's; `None` where its id is no UUID.
    pub id: Option<uuid::Uuid>,
}

/// The rules by mark. Divided, so that a change copies a small part: with 100,000 marks about a hundred.
#[derive(Debug)]
pub(super) struct Index {
    shards: Box<[ArcSwap<Shard>]>,
    marks: AtomicUsize,
}

#[derive(Clone, Debug, Default)]
struct Shard(HashMap<Mark, SmallVec<[Rule; 1]>>);

/// A power of two.
const SHARDS: usize = 1024;

// === impl Mark ===

impl Mark {
    pub(super) fn new(kind: Kind, issuer: &str, value: &str) -> Self {
        let mut fields = Fields::new();
        fields.text("lakegate mark 1").text(kind.as_str()).text(issuer).text(value);
        Self(fields.finish().into_iter().take(16).fold(0, |number, byte| number << 8 | u128::from(byte)))
    }

    fn shard(self) -> usize {
        usize::try_from(self.0 % SHARDS as u128).unwrap_or(0)
    }
}

// === impl Marks ===

impl Marks {
    /// Of `token`, whose issuer has this identifier; `sub` is its claim of that name, which another claim may have taken the place of.
    pub(in crate::authn) fn of(issuer: &str, token: &Token, sub: Option<&str>) -> Self {
        let mut marks = Self::default();
        let mut add = |kind: Kind, value: &str| marks.0.push((Mark::new(kind, issuer, value), kind));
        add(Kind::Issuer, "");
        let other = sub.filter(|&sub| sub != token.subject);
        for subject in [token.subject.as_str()].into_iter().chain(other) {
            add(Kind::Subject, subject);
            if token.session.is_none() {
                add(Kind::SubjectWithoutSession, subject);
            }
        }
        if let Some(id) = &token.id {
            add(Kind::Token, id);
        }
        if let Some(session) = &token.session {
            add(Kind::Session, session);
        }
        // Whoever acts, or acted, is a party to what the token does
        for actor in &token.actors {
            add(Kind::Subject, actor);
        }
        marks
    }

    /// What they take in memory beside themselves.
    pub(in crate::authn) fn bytes(&self) -> usize {
        if self.0.spilled() { self.0.capacity().saturating_mul(size_of::<(Mark, Kind)>()) } else { 0 }
    }
}

// === impl Kind ===

impl Kind {
    fn as_str(self) -> &'static str {
        match self {
            Self::Issuer => "issuer",
            Self::Subject => "subject",
            Self::SubjectWithoutSession => "subject-without-session",
            Self::Session => "session",
            Self::Token => "token",
        }
    }
}

// === impl Whose ===

impl Whose {
    /// What it revokes of the issuer with this identifier, each with the time before which tokens are refused.
    pub(super) fn marks(&self, issuer: &str, before: Option<i64>) -> SmallVec<[(Mark, Option<i64>); 2]> {
        let mark = |kind: Kind, value: &str| Mark::new(kind, issuer, value);
        match self {
            Self::TokenId(id) => SmallVec::from_iter([(mark(Kind::Token, id), None)]),
            Self::Subject(subject) => SmallVec::from_iter([(mark(Kind::Subject, subject), before)]),
            Self::Everyone => SmallVec::from_iter([(mark(Kind::Issuer, ""), before)]),
            Self::Session { id, subject } => {
                let beside = subject.as_deref().map(|subject| (mark(Kind::SubjectWithoutSession, subject), before));
                [(mark(Kind::Session, id), None)].into_iter().chain(beside).collect()
            }
        }
    }
}

// === impl Rule ===

impl Rule {
    fn refuses(self, issued_at: Option<i64>, now: i64) -> bool {
        now < self.until && self.before.is_none_or(|before| issued_at.is_none_or(|issued| issued < before))
    }
}

// === impl Index ===

impl Index {
    pub(super) fn new() -> Self {
        Self { shards: (0..SHARDS).map(|_| ArcSwap::from_pointee(Shard::default())).collect(), marks: AtomicUsize::new(0) }
    }

    /// Adds a rule. Changes must come one at a time; whoever asks sees the one before or the one after.
    pub(super) fn add(&self, mark: Mark, rule: Rule) {
        self.change(mark, |shard| {
            shard.0.entry(mark).or_default().push(rule);
            1
        });
    }

    /// Removes what [`add`](Self::add) added, once. Also only one at a time.
    pub(super) fn remove(&self, mark: Mark, rule: Rule) {
        self.change(mark, |shard| {
            let Some(rules) = shard.0.get_mut(&mark) else { return 0 };
            let Some(place) = rules.iter().position(|known| *known == rule) else { return 0 };
            rules.remove(place);
            if rules.is_empty() {
                shard.0.remove(&mark);
            }
            -1
        });
    }

    /// Has these rules and no others, however many there are. Who asks meanwhile sees for each mark what was or what will be.
    pub(super) fn replace(&self, rules: impl Iterator<Item = (Mark, Rule)>) {
        let mut shards = vec![Shard::default(); SHARDS];
        let mut marks = 0_usize;
        for (mark, rule) in rules {
            if let Some(shard) = shards.get_mut(mark.shard()) {
                shard.0.entry(mark).or_default().push(rule);
                marks = marks.saturating_add(1);
            }
        }
        let before = self.marks.fetch_add(marks, Ordering::SeqCst);
        for (cell, shard) in self.shards.iter().zip(shards) {
            cell.store(Arc::new(shard));
        }
        self.marks.fetch_sub(before, Ordering::SeqCst);
    }

    fn change(&self, mark: Mark, change: impl FnOnce(&mut Shard) -> isize) {
        let Some(cell) = self.shards.get(mark.shard()) else { return };
        let mut shard = Shard::clone(&cell.load());
        let by = change(&mut shard);
        // Counted before it can be seen, so that nobody who is to be refused finds the index empty.
        if by > 0 {
            self.marks.fetch_add(1, Ordering::SeqCst);
        }
        cell.store(Arc::new(shard));
        if by < 0 {
            self.marks.fetch_sub(1, Ordering::SeqCst);
        }
    }

    /// What of `marks` is revoked for a token that was issued then, and by which rule.
    pub(super) fn revoked(&self, marks: &Marks, issued_at: Option<i64>, now: i64) -> Option<(Kind, Rule)> {
        if self.marks.load(Ordering::SeqCst) == 0 {
            return None;
        }
        let refuses = |mark: Mark| {
            let shard = self.shards.get(mark.shard())?.load();
            shard.0.get(&mark)?.iter().find(|rule| rule.refuses(issued_at, now)).copied()
        };
        marks.0.iter().find_map(|(mark, kind)| Some((*kind, refuses(*mark)?)))
    }
}
