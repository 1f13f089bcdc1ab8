//! What a new set changes in the keys that lakegate signs with, said in the log.

use crate::{pipeline::Snapshot, signer::KeySet};

/// What a change of the key that signs is to those who keep the last keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    /// They know the new one.
    Known,
    /// They do not, and believe nothing new until they fetch the keys again.
    Unknown,
    /// Nor is any of the last there still, so that who fetches the keys believes nothing of what was signed before.
    All,
}

/// Says that `next` signs with another key than `last`, where both sign.
pub(super) fn tell(last: &Snapshot, next: &Snapshot) {
    let (Some(last), Some(next)) = (last.responder.issuer(), next.responder.issuer()) else { return };
    let (last, next) = (last.keys(), next.keys());
    let Some(change) = change(last, next) else { return };
    let id = |keys: &KeySet| keys.first().map(|key| key.id().to_owned()).unwrap_or_default();
    let (old, new) = (id(last), id(next));
    match change {
        Change::Known => tracing::info!(old, new, "lakegate signs with another key"),
        Change::Unknown => {
            tracing::warn!(old, new, "lakegate signs with another key, which was not among the last: who keeps those believes nothing new");
        }
        Change::All => {
            tracing::warn!(old, new, "lakegate signs with another key, and none of the last is left: who verifies by those believes nothing now");
        }
    }
}

/// `None` where the same key signs.
fn change(last: &KeySet, next: &KeySet) -> Option<Change> {
    let has = |keys: &KeySet, id: &str| keys.iter().any(|key| key.id() == id);
    let new = next.first()?.id();
    if last.first()?.id() == new {
        return None;
    }
    Some(if has(last, new) {
        Change::Known
    } else if last.iter().any(|key| has(next, key.id())) {
        Change::Unknown
    } else {
        Change::All
    })
}

#[cfg(test)]
mod tests {
    use std::{fs, path::PathBuf};

    use super::*;
    use crate::signer::{Algorithm, generate};

    #[test]
    fn a_change_is_as_bad_as_it_is_to_who_keeps_the_last_keys() {
        let folder = tempfile::tempdir().unwrap();
        let files: Vec<PathBuf> = ["a", "b", "c", "d"].map(|name| folder.path().join(name)).into();
        for file in &files {
            fs::write(file, generate(Algorithm::Es256).unwrap()).unwrap();
        }
        let set = |numbers: &[usize]| KeySet::read(&numbers.iter().map(|at| files[*at].clone()).collect::<Vec<_>>()).unwrap();
        for (last, next, expected) in [
            (&[0, 1, 2][..], &[0, 1, 2][..], None),
            (&[0, 1], &[0, 2], None),
            (&[0], &[0], None),
            (&[0, 1, 2], &[1, 3, 0], Some(Change::Known)),
            (&[0, 1], &[1], Some(Change::Known)),
            (&[0, 1], &[2, 0], Some(Change::Unknown)),
            (&[0, 1], &[2, 1], Some(Change::Unknown)),
            (&[0, 1], &[2, 3], Some(Change::All)),
            (&[0], &[1], Some(Change::All)),
        ] {
            assert_eq!(change(&set(last), &set(next)), expected, "{last:?} to {next:?}");
        }
    }
}
