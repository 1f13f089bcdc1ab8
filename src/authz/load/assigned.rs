//! From the entries of `access/` and `grants/` to policies: each is a link of its role.

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{Kept, Loaded, Placed, Rules};
use crate::{
    authz::{
        assign::{self, Assignment, Gives},
        policy::{Checker, Written},
        repeated::Mistakes,
        role::{Holder, Linker, Role},
        text::{Mark, Piece, look_alike},
    },
    model::{EntityRef, Fault},
    text::{nearest, shown},
};

/// The entries of one file.
pub(super) struct Assigned<'s> {
    pub(super) path: &'s Path,
    pub(super) assignments: Arc<Vec<Assignment>>,
}

/// Access for a time, for one holder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// Of the policy that it is.
    pub id: Arc<str>,
    /// The role, or the actions, that it gives.
    pub gives: Vec<String>,
    pub to: EntityRef,
    /// `None` where the role itself says on what.
    pub on: Option<EntityRef>,
    /// Milliseconds since the epoch.
    pub from_ms: i64,
    /// Milliseconds since the epoch; it holds up to, but not at, this moment.
    pub until_ms: i64,
    pub why: String,
    pub requested_by: Option<EntityRef>,
    pub approved_by: EntityRef,
    pub file: PathBuf,
    pub line: usize,
}

/// Makes policies of entries.
pub(super) struct Assigning<'l> {
    checker: &'l Checker<'l>,
    rules: &'l Rules,
    previous: Option<&'l Kept>,
    linker: Linker<'l>,
    loaded: &'l mut Loaded,
    /// Names of which it has been told that they are strange, once each.
    told: HashSet<EntityRef>,
}

/// Roles that are missing for which the one that was likely meant is looked for among all.
const SUGGESTIONS: usize = 10;

/// What is wrong with an entry, and the mend.
type Wrong = (String, Option<String>);

// === impl Assigning ===

impl<'l> Assigning<'l> {
    pub(super) fn new(checker: &'l Checker<'l>, rules: &'l Rules, previous: Option<&'l Kept>, loaded: &'l mut Loaded) -> Self {
        Self { checker, rules, previous, linker: Linker::new(&checker.validation), loaded, told: HashSet::new() }
    }

    pub(super) fn all(&mut self, assigned: &[Assigned<'_>]) {
        let mut missing = Mistakes::new();
        for Assigned { path, assignments } in assigned {
            let path: Arc<Path> = (*path).into();
            for assignment in assignments.iter() {
                let fault = |(message, help): Wrong| {
                    let (line, column) = (Some(assignment.place.line), Some(assignment.place.column));
                    Fault { file: path.to_path_buf(), line, column, message, help }
                };
                // A role that is gone is one mistake, however many lines name it.
                if let Gives::Role(name) = &assignment.gives
                    && !self.loaded.roles.contains_key(name.as_str())
                {
                    missing.note(name, (&path, assignment.place.line), |others| fault(self.unknown(name, others < SUGGESTIONS)));
                    continue;
                }
                if let Err(wrong) = self.one(&path, assignment) {
                    self.loaded.faults.add(|| fault(wrong));
                }
                for warning in self.unmeant(assignment) {
                    self.loaded.warnings.add(|| fault(warning));
                }
            }
        }
        self.loaded.faults.extend(missing.into_faults());
    }

    /// The policies of one entry.
    fn one(&mut self, path: &Arc<Path>, assignment: &Assignment) -> Result<(), Wrong> {
        let line = assignment.place.line;
        let role = self.role(assignment)?;
        for (id, holder) in &assignment.holders {
            match (&holder.resource, role.takes_resource()) {
                (None, true) => return Err(("what the entry gives is given on something".to_owned(), Some("add `on:`".to_owned()))),
                (Some(_), false) => return Err((format!("`{}` says itself on what it is", role.id), Some("remove `on`".to_owned()))),
                _ => {}
            }
            let compiled = self.linker.link(&role, holder, Arc::clone(id), assignment.owner.as_deref()).map_err(|message| (message, None))?;
            self.loaded.take(id, path, line)?;
            self.loaded.grants.extend(Grant::new(assignment, id, holder, path));
            self.loaded.policies.push(Placed { compiled: Arc::new(compiled), file: Arc::clone(path), line });
        }
        Ok(())
    }

    /// What is likely not meant of an entry: names in letters of several scripts, and actions that are about nothing of what they are given on.
    fn unmeant(&mut self, assignment: &Assignment) -> Vec<Wrong> {
        let names = assignment.holders.iter().flat_map(|(_, holder)| [Some(&holder.principal), holder.resource.as_ref()]).flatten();
        let strange: Vec<&EntityRef> = names.filter(|name| !name.id.is_ascii()).collect();
        let new = strange.into_iter().filter(|name| self.told.insert((*name).clone()));
        let mut found: Vec<Wrong> = new.filter_map(look_alike).map(|(message, help)| (message, Some(help.to_owned()))).collect();
        let actions = if let Gives::Actions(actions) = &assignment.gives { actions.as_slice() } else { &[] };
        for action in actions.iter().filter(|_| actions.len() > 1) {
            let Ok(alone) = self.role_of(std::slice::from_ref(action)) else { continue };
            if !assignment.holders.iter().any(|(_, holder)| self.linker.fits(&alone, holder)) {
                let message = format!("`{}` can never apply here: it is about other types", shown(&action.id));
                found.push((message, Some("remove it, or give it on what it is about".to_owned())));
            }
        }
        found
    }

    /// What is linked: the role itself, or what holds for the time of a grant.
    fn role(&mut self, assignment: &Assignment) -> Result<Arc<Role>, Wrong> {
        let role = match &assignment.gives {
            Gives::Actions(actions) => self.role_of(actions)?,
            Gives::Role(name) => Arc::clone(self.loaded.roles.get(name.as_str()).ok_or_else(|| self.unknown(name, true))?),
        };
        match &assignment.approved {
            None => Ok(role),
            Some(approved) => Ok(Arc::new(role.within(&approved.clauses()).map_err(|message| (message, None))?)),
        }
    }

    /// The role that actions are, checked like one that is written.
    fn role_of(&mut self, actions: &[EntityRef]) -> Result<Arc<Role>, Wrong> {
        let text = assign::role_of(actions);
        let key = self.rules.key("actions", &text);
        let known = self.loaded.kept.written.get(&key).or_else(|| self.previous?.written.get(&key)).cloned();
        let first = |marks: Vec<Mark>| marks.into_iter().next().map_or_else(|| (String::new(), None), |mark| (mark.message, mark.help));
        let compile = || self.checker.compile(&Piece { text: &text, offset: 0, start: 0, base: 0 }).map_err(first);
        let written = known.map_or_else(compile, Ok)?;
        self.loaded.kept.written.insert(key, written.clone());
        match written {
            Written::Role(role) => Ok(role),
            Written::Policy(_) => Err(("the entry gives nothing".to_owned(), None)),
        }
    }

    fn unknown(&self, name: &str, suggest: bool) -> Wrong {
        let message = format!("there is no role `{}`", shown(name));
        if self.loaded.ids.contains_key(name) {
            return (message, Some(format!("`{}` is a policy that says itself whom it is for", shown(name))));
        }
        let roles = self.loaded.roles.keys().map(|id| &**id).filter(|_| suggest);
        let near = nearest(name, roles).map(|near| format!("did you mean `{near}`?"));
        (message, near.or_else(|| Some("a role is a policy with `principal in ?principal`".to_owned())))
    }
}

// === impl Grant ===

impl Grant {
    /// `None` of what is given for good.
    fn new(assignment: &Assignment, id: &Arc<str>, holder: &Holder, path: &Path) -> Option<Self> {
        let approved = assignment.approved.as_ref()?;
        Some(Self {
            id: Arc::clone(id),
            gives: match &assignment.gives {
                Gives::Role(role) => vec![role.clone()],
                Gives::Actions(actions) => actions.iter().map(|action| action.id.to_string()).collect(),
            },
            to: holder.principal.clone(),
            on: holder.resource.clone(),
            from_ms: approved.from,
            until_ms: approved.until,
            why: assignment.why.clone().unwrap_or_default(),
            requested_by: approved.requested_by.clone(),
            approved_by: approved.by.clone(),
            file: path.to_owned(),
            line: assignment.place.line,
        })
    }
}
