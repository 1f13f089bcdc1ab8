use std::{
    collections::{BTreeMap, HashMap},
    ops::Bound,
};

use super::{
    By, Entry, Lifted, Revocation, RevokeError,
    index::{Index, Kind, Mark, Rule},
    journal::{Journal, Line},
};
use crate::{digest::Fields, text::shown};

/// How many revocations are held at most, with those that were lifted and would not have ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Places {
    pub all: usize,
    /// Of these, those that logout tokens may take: however many an issuer sends, operators can still revoke.
    pub logouts: usize,
}

/// All that is known of revocations, changed one at a time; requests ask the [`Index`], never this.
#[derive(Debug, Default)]
pub(super) struct Book {
    pub places: Places,
    /// By id.
    all: BTreeMap<String, Entry>,
    /// Logout tokens that were taken, and until when they would be again.
    seen: HashMap<[u8; 32], i64>,
    /// How many count, by kind.
    pub counts: HashMap<Kind, usize>,
    pub last_made: Option<i64>,
    /// When the first entry ends.
    next_end: Option<i64>,
    /// `None` in memory alone, and while another process may have the folder.
    pub journal: Option<Journal>,
}

/// Lines of the file that count no more, beside those that do, before it is written anew.
const SLACK: usize = 100;

/// More that end at one time are not taken from the index one by one, each with a copy of a part of it.
const SINGLY: usize = 1000;

// === impl Places ===

impl Places {
    fn of(self, by: By) -> usize {
        match by {
            By::Operator { .. } => self.all,
            By::Issuer => self.logouts,
        }
    }
}

impl Default for Places {
    fn default() -> Self {
        Self { all: 200_000, logouts: 190_000 }
    }
}

// === impl Book ===

impl Book {
    /// Takes what a file holds for all there is.
    ///
    /// # Errors
    /// In words, where a line lifts what no line before it made.
    pub(super) fn replay(&mut self, lines: Vec<Line>, index: &Index) -> Result<(), String> {
        *self = Self { places: self.places, journal: self.journal.take(), ..Self::default() };
        for line in lines {
            match line {
                Line::Revoke(revocation) => drop(self.enter(Entry { revocation: *revocation, lifted: None, kept: true })),
                Line::Lift { id, lifted } => {
                    let entry =
                        self.all.get_mut(&id).ok_or_else(|| format!("the file of revocations lifts `{}`, which it does not hold", shown(&id)))?;
                    if entry.lifted.replace(lifted).is_none() {
                        let kind = entry.revocation.whose.kind();
                        self.count(kind, -1);
                    }
                }
            }
        }
        index.replace(self.live());
        Ok(())
    }

    /// What refuses.
    fn live(&self) -> impl Iterator<Item = (Mark, Rule)> {
        self.all.values().filter(|entry| entry.lifted.is_none()).flat_map(|entry| rules(&entry.revocation))
    }

    pub(super) fn add(&mut self, revocation: Revocation, index: &Index, now: i64) -> Result<Entry, RevokeError> {
        if self.is_full(revocation.by) {
            return Err(RevokeError::Full);
        }
        if seen_key(&revocation).is_some_and(|key| self.seen.get(&key).is_some_and(|until| now < *until)) {
            return Err(RevokeError::Replayed);
        }
        let id = revocation.id.clone();
        let line = Line::Revoke(Box::new(revocation.clone()));
        let earlier = self.enter(Entry { revocation: revocation.clone(), lifted: None, kept: false });
        for (mark, rule) in rules(&revocation) {
            index.add(mark, rule);
        }
        if let Some(earlier) = earlier {
            withdraw(&earlier, index);
        }
        match self.write(&line, now) {
            Ok(kept) => {
                if let Some(entry) = self.all.get_mut(&id) {
                    entry.kept = kept;
                }
                Ok(Entry { revocation, lifted: None, kept })
            }
            Err(error) => {
                // Whoever sent the logout token is told that it failed, and may send it again.
                if let Some(key) = seen_key(&revocation) {
                    self.seen.remove(&key);
                }
                tracing::error!(id, error, "a revocation counts but cannot be written; a restart would forget it");
                Err(RevokeError::NotKept(error))
            }
        }
    }

    pub(super) fn lift(&mut self, id: &str, lifted: Lifted, index: &Index) -> Result<Entry, RevokeError> {
        let known = self.all.get(id).filter(|entry| entry.lifted.is_none() && lifted.at < entry.revocation.until);
        let Some(entry) = known.cloned() else { return Err(RevokeError::Unknown(shown(id))) };
        let line = Line::Lift { id: id.to_owned(), lifted };
        // One that is not in the file must not be lifted there.
        let written = if entry.kept || self.journal.is_none() { self.write(&line, lifted.at).map(|_| ()) } else { Ok(()) };
        written.map_err(RevokeError::NotLifted)?;
        withdraw(&entry, index);
        self.count(entry.revocation.whose.kind(), -1);
        let entry = Entry { lifted: Some(lifted), ..entry };
        self.all.insert(id.to_owned(), entry.clone());
        Ok(entry)
    }

    pub(super) fn page(&self, after: Option<&str>, limit: usize, lifted: bool, now: i64) -> (Vec<Entry>, bool) {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let mut wanted = self
            .all
            .range::<str, _>((from, Bound::Unbounded))
            .map(|(_, entry)| entry)
            .filter(|entry| now < entry.revocation.until && (lifted || entry.lifted.is_none()));
        let page: Vec<Entry> = wanted.by_ref().take(limit).cloned().collect();
        (page, wanted.next().is_some())
    }

    /// Whether there is no place for one more that is made by `by`.
    pub(super) fn is_full(&self, by: By) -> bool {
        self.held() >= self.places.of(by)
    }

    /// How many take a place, whether they count or were lifted.
    pub(super) fn held(&self) -> usize {
        self.all.len()
    }

    /// Makes room: forgets what has ended, then what was lifted, which refuses nothing either and is held only to be told of.
    pub(super) fn forget(&mut self, now: i64, index: &Index) {
        self.expire(now, index);
        if self.all.len() > self.counts.values().sum() {
            // One that follows from a logout token is what keeps the token from being taken again after a restart.
            let once = |entry: &Entry| entry.revocation.logout.as_ref().is_some_and(|seen| now < seen.until);
            self.all.retain(|_, entry| entry.lifted.is_none() || once(entry));
        }
    }

    /// Forgets what has ended: it refuses nothing any more.
    pub(super) fn expire(&mut self, now: i64, index: &Index) {
        if self.next_end.is_none_or(|end| now < end) {
            return;
        }
        let gone: Vec<Entry> = self.all.extract_if(.., |_, entry| entry.revocation.until <= now).map(|(_, entry)| entry).collect();
        for entry in gone.iter().filter(|entry| entry.lifted.is_none()) {
            self.count(entry.revocation.whose.kind(), -1);
        }
        if gone.len() > SINGLY {
            index.replace(self.live());
        } else {
            for entry in &gone {
                withdraw(entry, index);
            }
        }
        self.seen.retain(|_, until| now < *until);
        let ends = self.all.values().map(|entry| entry.revocation.until);
        self.next_end = ends.chain(self.seen.values().copied()).min();
    }

    /// Writes the file anew where lines could not be written or most of them count no more.
    pub(super) fn tidy(&mut self, now: i64) {
        let Some(journal) = &self.journal else { return };
        let lifted = self.all.values().filter(|entry| entry.lifted.is_some()).count();
        let most = self.all.len().saturating_add(lifted).saturating_mul(2).saturating_add(SLACK);
        if (journal.broken.is_some() || journal.lines() > most)
            && let Err(error) = self.rewrite(now)
        {
            tracing::error!(error, "the file of revocations cannot be written");
        }
    }

    /// Holds `entry`, whose rules are the index's to hold. Two with one id are one revocation, the later; the earlier is returned.
    fn enter(&mut self, entry: Entry) -> Option<Entry> {
        let revocation = &entry.revocation;
        let mut end = revocation.until;
        if let (Some(key), Some(seen)) = (seen_key(revocation), &revocation.logout) {
            self.seen.insert(key, seen.until);
            end = end.min(seen.until);
        }
        self.next_end = Some(self.next_end.map_or(end, |next| next.min(end)));
        self.last_made = self.last_made.max(Some(revocation.made_at));
        self.count(revocation.whose.kind(), 1);
        let earlier = self.all.insert(revocation.id.clone(), entry);
        if let Some(earlier) = earlier.as_ref().filter(|earlier| earlier.lifted.is_none()) {
            self.count(earlier.revocation.whose.kind(), -1);
        }
        earlier
    }

    fn count(&mut self, kind: Kind, by: isize) {
        let count = self.counts.entry(kind).or_default();
        *count = count.saturating_add_signed(by);
    }

    /// Whether `line` is on disk; it need not be where nothing is kept. All that is held goes there with it where an earlier line could not.
    fn write(&mut self, line: &Line, now: i64) -> Result<bool, String> {
        let Some(journal) = &mut self.journal else { return Ok(false) };
        if journal.broken.is_none() {
            return journal.append(line, now).map(|()| true).map_err(|error| error.to_string());
        }
        self.rewrite(now)?;
        // What was just made is among what is held; a lift is not yet.
        match (line, &mut self.journal) {
            (Line::Lift { .. }, Some(journal)) => journal.append(line, now).map(|()| true).map_err(|error| error.to_string()),
            _ => Ok(true),
        }
    }

    pub(super) fn rewrite(&mut self, now: i64) -> Result<(), String> {
        let Some(journal) = &mut self.journal else { return Ok(()) };
        let lines = self.all.values().flat_map(|entry| {
            let lift = entry.lifted.map(|lifted| Line::Lift { id: entry.revocation.id.clone(), lifted });
            [Line::Revoke(Box::new(entry.revocation.clone()))].into_iter().chain(lift)
        });
        let broken = journal.broken.clone();
        if let Err(error) = journal.rewrite(lines) {
            journal.fail(&error, now);
            return Err(error.to_string());
        }
        if let Some(broken) = broken {
            tracing::info!(failed_s = now.saturating_sub(broken.since), "all revocations are in their file again");
        }
        for entry in self.all.values_mut() {
            entry.kept = true;
        }
        Ok(())
    }
}

fn rules(revocation: &Revocation) -> impl Iterator<Item = (Mark, Rule)> {
    let (until, id) = (revocation.until, revocation.id.parse().ok());
    revocation.whose.marks(&revocation.issuer, revocation.before).into_iter().map(move |(mark, before)| (mark, Rule { before, until, id }))
}

/// Takes the rules of `entry` away; of a lifted one they are gone.
fn withdraw(entry: &Entry, index: &Index) {
    if entry.lifted.is_none() {
        for (mark, rule) in rules(&entry.revocation) {
            index.remove(mark, rule);
        }
    }
}

fn seen_key(revocation: &Revocation) -> Option<[u8; 32]> {
    let seen = revocation.logout.as_ref()?;
    let mut fields = Fields::new();
    fields.text("lakegate logout token 1").text(&revocation.issuer).text(&seen.jti);
    Some(fields.finish())
}
