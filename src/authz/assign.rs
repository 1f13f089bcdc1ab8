//! Who has which role on what: `access/*.yaml` says it for good, `grants/*.yaml` for a time.
//!
//! ```yaml
//! - role: endpoint-user
//!   to: { Group: corp/recommender }
//!   on: { Environment: staging }
//!   why: the recommender team tries its models
//! ```

mod entry;
mod grant;

use std::{path::Path, sync::Arc};

use self::entry::Entry;
pub(super) use self::grant::{Approved, Grants, role_of};
use super::role::Holder;
use crate::{
    digest::Fields,
    model::{EntityRef, Fault, Faults, Vocabulary},
    yaml::{self, Node, Place, Value},
};

/// Which of the two kinds of files an entry stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Access,
    Grant(Grants),
}

/// One entry without fault in itself; whether there is such a role, its reader says.
#[derive(Clone, Debug)]
pub(super) struct Assignment {
    pub(super) place: Place,
    pub(super) gives: Gives,
    /// Each of `to` with each of `on`.
    pub(super) holders: Vec<(Arc<str>, Holder)>,
    pub(super) owner: Option<String>,
    pub(super) why: Option<String>,
    /// Of a grant.
    pub(super) approved: Option<Approved>,
}

/// What an entry gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Gives {
    Role(String),
    Actions(Vec<EntityRef>),
}

/// Reads the text of one file.
///
/// # Errors
/// Every fault of the file, in its order.
pub(super) fn read(path: &Path, text: &str, kind: Kind, vocabulary: &Vocabulary) -> Result<Vec<Assignment>, Faults> {
    let (root, found) = yaml::read(text);
    let mut faults = Faults::default();
    faults.extend(found.into_iter().map(|found| found.fault(path)));
    let mut assignments = Vec::new();
    match root {
        Some(Node { value: Value::List(items), .. }) if !items.is_empty() => {
            for item in &items {
                match Entry::read(item, kind, vocabulary).and_then(|entry| entry.assignment(kind)) {
                    Ok(assignment) => assignments.push(assignment),
                    Err(found) => faults.extend(found.into_iter().map(|found| found.fault(path))),
                }
            }
        }
        Some(Node { value: Value::List(_), .. }) | None if faults.is_empty() => faults.add(|| empty(path)),
        Some(Node { value: Value::Refused | Value::List(_), .. }) | None => {}
        Some(node) => {
            let wrong = || Wrong::new(node.place, format!("the file is {}, not a list of entries", node.kind()), "begin each with `- role:`");
            faults.add(|| wrong().fault(path));
        }
    }
    faults.sort();
    faults.or(assignments)
}

/// Something wrong at a place of the file.
pub(super) struct Wrong {
    pub(super) place: Place,
    pub(super) message: String,
    pub(super) help: Option<String>,
}

/// An emptied file is more likely half-written than meant.
fn empty(path: &Path) -> Fault {
    Fault {
        file: path.to_owned(),
        line: None,
        column: None,
        message: "the file holds no entry".to_owned(),
        help: Some("delete the file if its entries are to go".to_owned()),
    }
}

/// The id of the policy that an entry becomes for one holder: `base`, and a digest of all that tells it from others.
fn link_id(base: &str, gives: &Gives, holder: &Holder, approved: Option<&Approved>) -> Arc<str> {
    let mut fields = Fields::new();
    for entity in [Some(&holder.principal), holder.resource.as_ref()].into_iter().flatten() {
        fields.text(entity.kind.as_str()).text(&entity.id);
    }
    if let Gives::Actions(actions) = gives {
        for action in actions {
            fields.text(&action.id);
        }
    }
    if let Some(Approved { from, until, .. }) = approved {
        fields.bytes(&from.to_be_bytes()).bytes(&until.to_be_bytes());
    }
    let digest = fields.finish().into_iter().take(8).fold(0_u64, |sum, byte| sum << 8 | u64::from(byte));
    format!("{base}.{digest:016x}").into()
}

// === impl Wrong ===

impl Wrong {
    fn new(place: Place, message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { place, message: message.into(), help: Some(help.into()) }
    }

    pub(super) fn fault(self, path: &Path) -> Fault {
        Fault { file: path.to_owned(), line: Some(self.place.line), column: Some(self.place.column), message: self.message, help: self.help }
    }
}
