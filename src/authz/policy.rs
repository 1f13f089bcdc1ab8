//! One policy, parsed, checked and taken apart into what the index, the cache and the answers need.

use std::sync::Arc;

use cedar_policy_core::ast::{Effect, EntityUID, Policy, PolicyID, Template};
use miette::Diagnostic;

use super::{
    alias, canonical,
    constraint::{Constraint, entity_ref},
    credentials::Ordered,
    edges::Edge,
    footprint::Footprint,
    reading::literals,
    role::{self, Role},
    text::{Mark, Piece, shown_entity},
    together::{self, Parsed},
    undeclared,
    validate::{Findings, Validation},
};
use crate::{
    digest,
    model::{EntityRef, FieldSpec, Vocabulary},
    text::{nearest, shown},
};

/// What one piece of a policy file is.
#[derive(Clone, Debug)]
pub(super) enum Written {
    Policy(Arc<Compiled>),
    Role(Arc<Role>),
}

/// A policy without fault.
#[derive(Debug)]
pub(super) struct Compiled {
    /// Its Cedar id is `id`.
    pub(super) policy: Policy,
    /// From `@id`, or of the link.
    pub(super) id: Arc<str>,
    /// From `@reason`: what the denied caller reads.
    pub(super) reason: Option<String>,
    /// From `@owner`: whom to ask.
    pub(super) owner: Option<String>,
    /// From `@hide`: a deny by this policy denies that the resource exists.
    pub(super) hide: bool,
    /// From `@credentials`: with which credential a call goes on that this permit decides.
    pub(super) ordered: Option<Ordered>,
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
    /// Of all that it was made of. Policies of one digest decide alike.
    pub(super) digest: [u8; 32],
}

/// What policies are checked against.
pub(super) struct Checker<'v> {
    pub(super) vocabulary: &'v Vocabulary,
    /// The claims of tokens that policies may read.
    pub(super) claims: &'v [FieldSpec],
    pub(super) validation: Validation<'v>,
}

/// The annotations a policy may have. `@doc` is for whatever else people want to write.
const ANNOTATIONS: [&str; 6] = ["id", "reason", "hide", "owner", "credentials", "doc"];

// === impl Compiled ===

impl Compiled {
    fn new(policy: Policy, id: Arc<str>, warnings: Vec<Mark>, digest: [u8; 32]) -> Self {
        let template = policy.template();
        let edges = Edge::of(template);
        Self {
            id,
            reason: annotation(template, "reason").map(str::to_owned),
            owner: annotation(template, "owner").map(str::to_owned),
            hide: annotation(template, "hide").is_some(),
            ordered: ordered(template),
            principal: Constraint::of_party(policy.principal_constraint().as_inner()),
            action: Constraint::of_action(policy.action_constraint()),
            resource: Constraint::of_party(policy.resource_constraint().as_inner()),
            footprint: Footprint::of(template, edges.is_some()),
            edges: edges.unwrap_or_default(),
            literals: literals(template).iter().map(entity_ref).collect(),
            warnings,
            digest,
            policy,
        }
    }

    pub(super) fn is_forbid(&self) -> bool {
        self.policy.effect() == Effect::Forbid
    }

    /// `permit` or `forbid`.
    pub(super) fn effect(&self) -> &'static str {
        if self.is_forbid() { "forbid" } else { "permit" }
    }

    pub(super) fn scope(&self) -> [&Constraint; 3] {
        [&self.principal, &self.action, &self.resource]
    }
}

// === impl Checker ===

impl Checker<'_> {
    /// # Errors
    /// Every fault of the piece, at offsets into its text.
    pub(super) fn compile(&self, piece: &Piece<'_>) -> Result<Written, Vec<Mark>> {
        self.check(piece, together::alone(piece)?)
    }

    /// Each piece of a page.
    pub(super) fn compile_page(&self, page: &[Piece<'_>]) -> Vec<Result<Written, Vec<Mark>>> {
        let check = |Parsed { piece, template }| self.check(&piece, template?);
        together::parsed(page).into_iter().map(check).collect()
    }

    fn check(&self, piece: &Piece<'_>, template: Template) -> Result<Written, Vec<Mark>> {
        let mut faults = annotation_faults(&template, piece);
        let id: Arc<str> = annotation(&template, "id").unwrap_or_default().into();
        let template = match alias::resolved(&template, &self.vocabulary.aliases) {
            Ok(resolved) => resolved.unwrap_or(template),
            Err(message) => {
                faults.push(Mark::new(piece.start, format!("its actions have other names now: {message}"), Some("write those".to_owned())));
                return Err(faults);
            }
        };
        let template = template.new_id(if template.is_static() { PolicyID::from_string(&id) } else { role::template_id(&id) });
        faults.extend(self.literal_faults(&template, piece));
        faults.extend(role::faults(&template, piece));
        faults.extend(undeclared::faults(&template, self.claims, piece));
        let warnings = self.validate(&template, piece, &mut faults);
        let (template, digest) = (Arc::new(template), digest::of(piece.text.as_bytes()));
        let policy = Template::try_as_policy(Arc::clone(&template));
        match policy {
            _ if !faults.is_empty() => Err(faults),
            Ok(policy) => Ok(Written::Policy(Arc::new(Compiled::new(policy, id, warnings, digest)))),
            Err(_) => Ok(Written::Role(Arc::new(Role::new(template, id, warnings, digest)))),
        }
    }

    /// Strict validation; returns the warnings.
    fn validate(&self, template: &Template, piece: &Piece<'_>, faults: &mut Vec<Mark>) -> Vec<Mark> {
        let Findings { errors, warnings, unfinished } = self.validation.of(template);
        faults.extend(marks(errors.iter(), piece).into_iter().map(|mark| self.with_action(mark)));
        if unfinished {
            faults.push(Mark::new(piece.start, "the policy is nested too deeply to be checked", Some("write it as several policies".to_owned())));
        }
        warnings.iter().map(|warning| mark(warning, piece)).collect()
    }

    /// With the action that was likely meant, where it names one that is unknown.
    fn with_action(&self, mark: Mark) -> Mark {
        let unknown = mark.message.strip_prefix("unrecognized action `Action::\"").and_then(|rest| rest.split_once('"'));
        let actions = &self.vocabulary.actions;
        let groups = actions.iter().flat_map(|spec| [&*spec.action.service, spec.action.level.as_str()]);
        let Some(near) = unknown.and_then(|(name, _)| nearest(name, actions.iter().map(|spec| &*spec.action.name).chain(groups))) else {
            return mark;
        };
        Mark { help: Some(format!("did you mean `Action::\"{near}\"`?")), ..mark }
    }

    fn literal_faults(&self, template: &Template, piece: &Piece<'_>) -> Vec<Mark> {
        let fault = |uid: &EntityUID| {
            let entity = entity_ref(uid);
            let (message, right) = canonical::fault_of(&entity, self.vocabulary)?;
            let offset = uid.loc().map_or(piece.start, |place| piece.within(place.start()));
            let right = right.map(|id| format!("did you mean `{}`?", EntityRef::new(&entity.kind, &id)));
            Some(Mark::new(offset, format!("`{}` can name nothing: {message}", shown_entity(&entity)), right))
        };
        literals(template).iter().filter_map(fault).collect()
    }
}

/// What `@credentials` says; a bad one is a fault that was found before.
pub(super) fn ordered(template: &Template) -> Option<Ordered> {
    annotation(template, "credentials").and_then(|value| Ordered::parse(value).ok())
}

/// The value of an annotation.
pub(super) fn annotation<'t>(template: &'t Template, name: &str) -> Option<&'t str> {
    template.annotations().find(|(key, _)| key.as_ref() == name).map(|(_, annotation)| annotation.val.as_str())
}

/// The places of what was found. One mistake is found in many request environments, in words that differ by the action alone: the first of them.
pub(super) fn marks<'f, D: Diagnostic + 'f>(found: impl Iterator<Item = &'f D>, piece: &Piece<'_>) -> Vec<Mark> {
    let mut found: Vec<Mark> = found.map(|finding| mark(finding, piece)).collect();
    found.sort_by(|one, other| (one.offset, &one.help, &one.message).cmp(&(other.offset, &other.help, &other.message)));
    found.dedup_by(|one, other| one.offset == other.offset && one.help == other.help);
    found
}

fn annotation_faults(template: &Template, piece: &Piece<'_>) -> Vec<Mark> {
    let mut faults = Vec::new();
    for (name, value) in template.annotations().map(|(name, annotation)| (name.as_ref(), annotation.val.as_str())) {
        let offset = annotation_offset(piece, name);
        if !ANNOTATIONS.contains(&name) {
            let near = nearest(name, ANNOTATIONS).map_or_else(String::new, |near| format!("did you mean `@{near}`? "));
            let help = format!("{near}there are `@id`, `@reason`, `@hide`, `@owner`, `@credentials` and, for all else, `@doc`");
            faults.push(Mark::new(offset, format!("unknown annotation `@{}`", shown(name)), Some(help)));
        } else if let Some((problem, help)) = value_fault(template.effect(), name, value) {
            faults.push(Mark::new(offset, problem, help));
        }
    }
    if annotation(template, "id").is_none() {
        let help = Some("write `@id(\"...\")` before `permit` or `forbid`; answers and records name the policy by it".to_owned());
        faults.push(Mark::new(piece.start, "a policy without `@id`", help));
    }
    faults
}

/// Whether `text` may be the id of a policy: 1 to 128 letters, digits, `.`, `_` and `-`.
pub(super) fn is_id(text: &str) -> bool {
    (1..=LONGEST_ID).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
}

/// Whether `text` is one line that a person can read: 1 to 300 characters.
pub(super) fn is_line(text: &str) -> bool {
    !text.is_empty() && text.chars().count() <= LONGEST_REASON && !text.chars().any(char::is_control)
}

pub(super) const LONGEST_ID: usize = 128;
pub(super) const LONGEST_REASON: usize = 300;

/// What is wrong, and the mend where that says more.
fn value_fault(effect: Effect, name: &str, value: &str) -> Option<(String, Option<String>)> {
    let message = match name {
        "id" if !is_id(value) => Some(format!("`{}` is no policy id: 1 to {LONGEST_ID} letters, digits, `.`, `_` and `-`", shown(value))),
        "reason" | "owner" if !is_line(value) => Some(format!("`@{name}` is one line of 1 to {LONGEST_REASON} characters")),
        "hide" if !value.is_empty() => Some("`@hide` takes no value".to_owned()),
        "hide" if effect == Effect::Permit => Some("`@hide` on a permit: only a `forbid` can hide what it denies".to_owned()),
        "credentials" if effect == Effect::Forbid => Some("`@credentials` on a forbid: what it denies goes nowhere".to_owned()),
        "credentials" => return Ordered::parse(value).err().map(|(message, help)| (message, Some(help))),
        _ => None,
    };
    message.map(|message| (message, None))
}

/// Annotations keep their order and stand before everything else, so the first `@name` in the text is the one, unless a comment mentions it.
fn annotation_offset(piece: &Piece<'_>, name: &str) -> usize {
    let rest = piece.text.get(piece.start..).unwrap_or_default();
    rest.find(&format!("@{name}")).map_or(piece.start, |at| piece.start + at)
}

pub(super) fn mark(error: &dyn Diagnostic, piece: &Piece<'_>) -> Mark {
    let offset = error.labels().and_then(|mut labels| labels.next()).map_or(piece.start, |label| piece.within(label.offset()));
    let message = error.to_string();
    // Cedar names the policy first; the fault already says where it stands
    let message = match message.strip_prefix("for policy `").and_then(|rest| rest.split_once("`, ")) {
        Some((_, message)) => message.to_owned(),
        None => message,
    };
    Mark::new(offset, message, error.help().map(|help| help.to_string()))
}
