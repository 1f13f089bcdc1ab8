//! Policies beside those that are served: the configured candidate, or a folder that somebody wants to know about.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
};

use super::{compile, compose, listing::Meant};
use crate::{
    authz::Authorizer,
    config::Config,
    model::Fault,
    pipeline::{Candidate, Snapshot},
};

/// The policies in `dir` over the catalog and inventory of `snapshot`, with the access and grants that `config` names, and with what is likely not meant of them. It blocks.
///
/// # Errors
/// Every fault of every file, or that there is none.
pub fn beside(config: &Config, snapshot: &Snapshot, dir: &Path, previous: Option<&Authorizer>) -> Result<(Authorizer, Vec<Fault>), Vec<Fault>> {
    let source = compile::source(config, dir)?;
    if source.files.is_empty() {
        return Err(vec![whole(dir, "there is no `*.cedar` file".to_owned())]);
    }
    let vocabulary = snapshot.classifier.catalog().vocabulary();
    let authorizer = snapshot.authorizer.beside(vocabulary, &source, compose::DECISION_CACHE, previous)?;
    let mut warnings: Vec<Fault> = compile::unread(dir, Meant::Policies).into_iter().collect();
    warnings.extend(authorizer.warnings().iter().cloned());
    warnings.extend(authorizer.unknown_names(&compose::scope(config)));
    Ok((authorizer, warnings))
}

/// The candidate that `config` names, as far as it can be loaded; `None` where it names none. It blocks, and it always comes back.
#[must_use]
pub fn candidate(config: &Config, snapshot: &Snapshot, previous: Option<&Snapshot>) -> Option<Candidate> {
    let dir = config.policy.candidate.as_deref()?;
    let previous = previous.and_then(Snapshot::candidate);
    let loaded = catch_unwind(AssertUnwindSafe(|| beside(config, snapshot, dir, previous)));
    let loaded = loaded.unwrap_or_else(|_| Err(vec![whole(dir, "loading failed, which is a defect of lakegate".to_owned())]));
    Some(loaded.map_or_else(Candidate::Faulty, |(authorizer, warnings)| Candidate::Loaded { authorizer: Box::new(authorizer), warnings }))
}

fn whole(dir: &Path, message: String) -> Fault {
    Fault { file: dir.to_owned(), line: None, column: None, message, help: None }
}
