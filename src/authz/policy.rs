//! One policy, parsed, checked and taken apart into what the index, the cache and the answers need.

use std::sync::Arc;

use cedar_policy::{Effect, Policy, PolicyId};
use miette::Diagnostic;

use super::{
    alias, canonical,
    constraint::{Constraint, entity_ref},
    edges::Edge,
    footprint::Footprint,
    text::{Mark, Piece, shown_entity},
    validate::{Findings, Validation},
};
use crate::{
    model::{EntityRef, Vocabulary},
    text::{nearest, shown},
};

/// A policy without fault.
#[derive(Debug)]
pub(super) struct Compiled {
    /// Its Cedar id is `id`.
    pub(super) policy: Policy,
    /// From `@id`.
    pub(super) id: Arc<str>,
    /// From `@reason`: what the denied caller reads.
    pub(super) reason: Option<String>,
    /// From `@owner`: whom to ask.
    pub(super) owner: Option<String>,
    /// From `@hide`: a deny by this policy denies that the resource exists.
    pub(super) hide: bool,
    pub(super) principal: Constraint,
    pub(super) action: Constraint,
    pub(super) resource: Constraint,
    pub(super) footprint: Footprint,
    /// When its conditions could change by the time alone, where that is known.
    pub(super) edges: Vec<Edge>,
    /// Every entity it names.
    pub(super) literals: Vec<EntityRef>,
    /// What is likely not meant, though it can be served.
    pub(super) warnings: Vec<Mark>,
}

/// What policies are checked against.
pub(super) struct Checker<'v> {
    pub(super) vocabulary: &'v Vocabulary,
    pub(super) validation: Validation<'v>,
}

/// The annotations a policy may have. `@doc` is for whatever else people want to write.
const ANNOTATIONS: [&str; 5] = ["id", "reason", "hide", "owner", "doc"];

// === impl Compiled ===

impl Compiled {
    pub(super) fn is_forbid(&self) -> bool {
        self.policy.effect() == Effect::Forbid
    }

    /// Whether it applies to all principals, and under all conditions, to which `other` applies, as far as their texts say so.
    pub(super) fn applies_where(&self, other: &Self) -> bool {
        let principal = self.principal == Constraint::Any || self.principal == other.principal;
        let [own, others] = [self, other].map(|policy| policy.policy.as_ref().non_scope_constraints());
        principal && own.is_none_or(|own| others.is_some_and(|others| own.eq_shape(others)))
    }

    pub(super) fn scope(&self) -> [&Constraint; 3] {
        [&self.principal, &self.action, &self.resource]
    }
}

// === impl Checker ===

impl Checker<'_> {
    /// # Errors
    /// Every fault of the piece, at offsets into its text.
    pub(super) fn compile(&self, piece: &Piece<'_>) -> Result<Compiled, Vec<Mark>> {
        let policy = Policy::parse(None, piece.text).map_err(|errors| errors.iter().map(|error| mark(error, piece)).collect::<Vec<_>>())?;
        let mut faults = annotation_faults(&policy, piece);
        let id = policy.annotation("id").unwrap_or_default().to_owned();
        let policy = policy.new_id(PolicyId::new(&id));
        let policy = match alias::resolved(&policy, &self.vocabulary.aliases) {
            Ok(resolved) => resolved.unwrap_or(policy),
            Err(message) => {
                faults.push(Mark::new(piece.start, format!("its actions have other names now: {message}"), Some("write those".to_owned())));
                return Err(faults);
            }
        };
        faults.extend(self.literal_faults(&policy, piece));
        let warnings = self.validate(&policy, piece, &mut faults);
        if !faults.is_empty() {
            return Err(faults);
        }
        let edges = Edge::of(policy.as_ref().template());
        let footprint = Footprint::of(policy.as_ref().template(), edges.is_some());
        Ok(Compiled {
            id: id.into(),
            reason: policy.annotation("reason").map(str::to_owned),
            owner: policy.annotation("owner").map(str::to_owned),
            hide: policy.annotation("hide").is_some(),
            principal: policy.principal_constraint().into(),
            action: policy.action_constraint().into(),
            resource: policy.resource_constraint().into(),
            footprint,
            edges: edges.unwrap_or_default(),
            literals: policy.entity_literals().iter().map(entity_ref).collect(),
            warnings,
            policy,
        })
    }

    /// Strict validation; returns the warnings.
    fn validate(&self, policy: &Policy, piece: &Piece<'_>, faults: &mut Vec<Mark>) -> Vec<Mark> {
        let Findings { errors, warnings, unfinished } = self.validation.of(policy);
        faults.extend(marks(errors.iter(), piece));
        if unfinished {
            faults.push(Mark::new(piece.start, "the policy is nested too deeply to be checked", Some("write it as several policies".to_owned())));
        }
        warnings.iter().map(|warning| mark(warning, piece)).collect()
    }

    fn literal_faults(&self, policy: &Policy, piece: &Piece<'_>) -> Vec<Mark> {
        let fault = |uid: &cedar_policy::EntityUid| {
            let entity = entity_ref(uid);
            let (message, right) = canonical::fault_of(&entity, self.vocabulary)?;
            // the engine's own representation is the only one that says where a literal stands
            let offset = if let Some(loc) = uid.as_ref().loc() { loc.start() } else { piece.start };
            let right = right.map(|id| format!("did you mean `{}`?", EntityRef::new(&entity.kind, &id)));
            Some(Mark::new(offset, format!("`{}` can name nothing: {message}", shown_entity(&entity)), right))
        };
        policy.entity_literals().iter().filter_map(fault).collect()
    }
}

/// The places of what was found. One mistake is found in many request environments, in words that differ by the action alone: the first of them.
pub(super) fn marks<'f, D: Diagnostic + 'f>(found: impl Iterator<Item = &'f D>, piece: &Piece<'_>) -> Vec<Mark> {
    let mut found: Vec<Mark> = found.map(|finding| mark(finding, piece)).collect();
    found.sort_by(|one, other| (one.offset, &one.help, &one.message).cmp(&(other.offset, &other.help, &other.message)));
    found.dedup_by(|one, other| one.offset == other.offset && one.help == other.help);
    found
}

fn annotation_faults(policy: &Policy, piece: &Piece<'_>) -> Vec<Mark> {
    let mut faults = Vec::new();
    for (name, value) in policy.annotations() {
        let offset = annotation_offset(piece, name);
        if !ANNOTATIONS.contains(&name) {
            let near = nearest(name, ANNOTATIONS).map_or_else(String::new, |near| format!("did you mean `@{near}`? "));
            let help = format!("{near}there are `@id`, `@reason`, `@hide`, `@owner` and, for all else, `@doc`");
            faults.push(Mark::new(offset, format!("unknown annotation `@{}`", shown(name)), Some(help)));
        } else if let Some(problem) = value_fault(policy, name, value) {
            faults.push(Mark::new(offset, problem, None));
        }
    }
    if policy.annotation("id").is_none() {
        let help = Some("write `@id(\"...\")` before `permit` or `forbid`; answers and records name the policy by it".to_owned());
        faults.push(Mark::new(piece.start, "a policy without `@id`", help));
    }
    faults
}

fn value_fault(policy: &Policy, name: &str, value: &str) -> Option<String> {
    const LONGEST_ID: usize = 128;
    const LONGEST_REASON: usize = 300;
    let id =
        |text: &str| (1..=LONGEST_ID).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'));
    let line = |text: &str| !text.is_empty() && text.chars().count() <= LONGEST_REASON && !text.chars().any(char::is_control);
    match name {
        "id" if !id(value) => Some(format!("`{}` is no policy id: 1 to {LONGEST_ID} letters, digits, `.`, `_` and `-`", shown(value))),
        "reason" | "owner" if !line(value) => Some(format!("`@{name}` is one line of 1 to {LONGEST_REASON} characters")),
        "hide" if !value.is_empty() => Some("`@hide` takes no value".to_owned()),
        "hide" if policy.effect() == Effect::Permit => Some("`@hide` on a permit: only a `forbid` can hide what it denies".to_owned()),
        _ => None,
    }
}

/// Annotations keep their order and stand before everything else, so the first `@name` in the text is the one, unless a comment mentions it.
fn annotation_offset(piece: &Piece<'_>, name: &str) -> usize {
    let rest = piece.text.get(piece.start..).unwrap_or_default();
    rest.find(&format!("@{name}")).map_or(piece.start, |at| piece.start + at)
}

pub(super) fn mark(error: &dyn Diagnostic, piece: &Piece<'_>) -> Mark {
    let offset = error.labels().and_then(|mut labels| labels.next()).map_or(piece.start, |label| label.offset());
    let message = error.to_string();
    // Cedar names the policy first; the fault already says where it stands
    let message = match message.strip_prefix("for policy `").and_then(|rest| rest.split_once("`, ")) {
        Some((_, message)) => message.to_owned(),
        None => message,
    };
    Mark::new(offset, message, error.help().map(|help| help.to_string()))
}
