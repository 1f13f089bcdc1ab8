//! Resource types: the canonical form of their ids, and what they are in.

use std::collections::HashMap;

use crate::model::{EntityRef, FormError, IdForm, Resource, Target, TargetKind, TypeName, TypeSpec};

/// More parts than a dotted name can have: a chain of types this long is a cycle.
const DEEPEST: usize = 8;

/// Every resource type of the catalog.
#[derive(Debug, Default)]
pub(super) struct Kinds {
    all: Vec<Kind>,
    by_name: HashMap<TypeName, usize>,
}

/// The index of a type in its [`Kinds`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct KindId(usize);

/// One resource type.
#[derive(Clone, Debug)]
pub(super) struct Kind {
    pub(super) spec: TypeSpec,
    pub(super) nesting: Nesting,
}

/// How an id says what the object is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Nesting {
    /// It does not: the object is in its target.
    Flat,
    /// By a dotted name: `main.ml.churn` is in the first parent type's `main.ml`.
    Dotted,
    /// By a path: `/Users/a/x` is in `/Users/a`, of the same type.
    Path,
    /// By a path below `/Volumes/<catalog>/<schema>/<volume>`; a shorter one is the volume, the schema or the catalog itself.
    Volume,
    /// By a resource name: `projects/p/branches/b` is in the first parent type's `projects/p`.
    #[serde(skip)]
    Name,
}

/// An id that cannot be read as one of its type, and why: one clause, user input left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum BadId {
    #[error("{0}")]
    Form(#[from] FormError),
    #[error("a name stands where Databricks takes an id")]
    Named,
    #[error("its type is not known")]
    Untyped,
}

// === impl Kinds ===

impl Kinds {
    /// Adds `kind`; `false` where its name is taken.
    pub(super) fn add(&mut self, kind: Kind) -> bool {
        let fresh = self.by_name.insert(kind.spec.name.clone(), self.all.len()).is_none();
        self.all.push(kind);
        fresh
    }

    pub(super) fn named(&self, name: &str) -> Option<KindId> {
        self.by_name.get(&TypeName::new(name)).copied().map(KindId)
    }

    pub(super) fn get(&self, id: KindId) -> Option<&Kind> {
        self.all.get(id.0)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Kind> {
        self.all.iter()
    }

    /// The type that one is in by its id, where that is named in the same way: by dots or by a resource name.
    fn above(&self, kind: &Kind) -> Option<&Kind> {
        let parent = self.get(self.named(kind.spec.parents.first()?.as_str())?)?;
        (matches!(parent.nesting, Nesting::Dotted | Nesting::Name) && parent.nesting == kind.nesting).then_some(parent)
    }

    /// How many parts the dotted name of `kind` has.
    fn parts(&self, kind: &Kind) -> usize {
        std::iter::successors(Some(kind), |kind| self.above(kind)).take(DEEPEST).count()
    }

    /// Gives every type the form of its ids that its nesting asks for.
    pub(super) fn settle(&mut self) {
        let forms: Vec<IdForm> = self.all.iter().map(|kind| self.form(kind)).collect();
        for (kind, form) in self.all.iter_mut().zip(forms) {
            kind.spec.form = form;
        }
    }

    fn form(&self, kind: &Kind) -> IdForm {
        match kind.nesting {
            Nesting::Flat | Nesting::Name => kind.spec.form.clone(),
            Nesting::Dotted => IdForm::Dotted { parts: self.parts(kind), or_id: false },
            Nesting::Path if kind.spec.form == IdForm::Url => IdForm::Url,
            Nesting::Path => IdForm::Path,
            Nesting::Volume => IdForm::VolumePath,
        }
    }

    /// Some call names objects of this type by an id of Databricks' own.
    pub(super) fn has_orphans(&mut self, id: KindId) {
        if let Some(IdForm::Dotted { or_id, .. } | IdForm::Pattern { or_id, .. }) = self.all.get_mut(id.0).map(|kind| &mut kind.spec.form) {
            *or_id = true;
        }
    }

    /// Whether the types that dotted names are in lead back to where they began.
    pub(super) fn is_endless(&self, id: KindId) -> bool {
        self.get(id).is_some_and(|kind| self.parts(kind) == DEEPEST)
    }

    /// The types of all entities that [`resource`](Self::resource) can make of an id of type `id`.
    pub(super) fn reach(&self, id: KindId, parent: bool) -> Vec<TypeName> {
        let Some(kind) = self.get(id) else { return Vec::new() };
        let named = |names: &[&str]| names.iter().map(|name| TypeName::new(name)).collect();
        match (kind.nesting, parent) {
            (Nesting::Volume, _) => named(&["Catalog", "File", "Schema", "Volume"]),
            (Nesting::Dotted | Nesting::Name, true) => self.above(kind).map(|above| above.spec.name.clone()).into_iter().collect(),
            (Nesting::Flat, true) => Vec::new(),
            _ => vec![kind.spec.name.clone()],
        }
    }

    /// Whether [`resource`](Self::resource) can fall back to the target itself.
    pub(super) fn reaches_target(&self, id: KindId, parent: bool) -> bool {
        self.get(id).is_some_and(|kind| match kind.nesting {
            Nesting::Volume => true,
            Nesting::Dotted | Nesting::Name => parent && self.above(kind).is_none(),
            Nesting::Flat | Nesting::Path => parent,
        })
    }

    /// The object of type `id` that `native` names in `target`, with all it is in; with `parent` what that object is directly in.
    ///
    /// # Errors
    /// [`BadId`] where `native` is no id of that type.
    pub(super) fn resource(&self, target: &Target, id: KindId, native: &str, parent: bool) -> Result<Resource, BadId> {
        let Some(kind) = self.get(id) else { return Err(BadId::Untyped) };
        let mut line = match kind.nesting {
            Nesting::Flat => vec![entity(target, &kind.spec.name, &kind.spec.form.canonical(native)?)],
            Nesting::Dotted => self.dotted(target, kind, native)?,
            Nesting::Name => self.named_line(target, kind, native)?,
            Nesting::Path if parent && !native.starts_with('/') && native.trim() == native => vec![EntityRef::new(&kind.spec.name, "")],
            Nesting::Path => ancestry(target, &kind.spec.name, &kind.spec.form.canonical(native)?, 0),
            Nesting::Volume => volume_line(target, &kind.spec.name, native)?,
        };
        if parent && !line.is_empty() {
            line.remove(0);
        }
        Ok(whole(target, line))
    }

    fn dotted(&self, target: &Target, kind: &Kind, native: &str) -> Result<Vec<EntityRef>, BadId> {
        let name = IdForm::Dotted { parts: self.parts(kind), or_id: false }.canonical(native)?;
        let prefixes = std::iter::successors(Some(&*name), |name| name.rsplit_once('.').map(|(head, _)| head));
        let kinds = std::iter::successors(Some(kind), |kind| self.above(kind));
        Ok(kinds.zip(prefixes).map(|(kind, name)| entity(target, &kind.spec.name, name)).collect())
    }

    /// The object with a resource name, and every object that a beginning of the name names.
    fn named_line(&self, target: &Target, kind: &Kind, native: &str) -> Result<Vec<EntityRef>, BadId> {
        let IdForm::Pattern { pattern, .. } = &kind.spec.form else { return Err(BadId::Untyped) };
        let name = IdForm::Pattern { pattern: pattern.clone(), or_id: false }.canonical(native)?;
        let kinds = std::iter::successors(Some(kind), |kind| self.above(kind)).take(DEEPEST);
        let beginning = |kind: &Kind| name.split('/').take(kind.segments()).collect::<Vec<_>>().join("/");
        Ok(kinds.map(|kind| entity(target, &kind.spec.name, &beginning(kind))).collect())
    }

    /// Whether an id of that type can be joined of several parts.
    pub(super) fn joins(&self, id: KindId) -> bool {
        self.get(id).is_some_and(|kind| matches!(kind.nesting, Nesting::Dotted | Nesting::Name))
    }

    /// Whether the pattern of `id` continues that of the type it is in, if that has one.
    pub(super) fn is_continued(&self, id: KindId) -> bool {
        let pattern = |kind: &Kind| if let IdForm::Pattern { pattern, .. } = &kind.spec.form { Some(pattern.clone()) } else { None };
        let Some((kind, own)) = self.get(id).and_then(|kind| Some((kind, pattern(kind)?))) else { return true };
        let above = kind.spec.parents.first().and_then(|parent| self.get(self.named(parent.as_str())?));
        match above.map(|above| (above.nesting, pattern(above))) {
            Some((_, Some(above))) => own.strip_prefix(&*above).is_some_and(|rest| rest.starts_with('/')),
            Some((nesting, None)) => nesting == Nesting::Flat,
            None => false,
        }
    }
}

/// The object of type `id` named by an id of Databricks' own that says nothing about what it is in.
pub(super) fn orphan(kinds: &Kinds, target: &Target, id: KindId, native: &str) -> Result<Resource, BadId> {
    let Some(kind) = kinds.get(id) else { return Err(BadId::Untyped) };
    let native = kind.spec.form.canonical(native)?;
    if kind.nesting != Nesting::Flat && native.contains(['.', '/']) {
        return Err(BadId::Named);
    }
    Ok(whole(target, vec![entity(target, &kind.spec.name, &native)]))
}

/// The target itself as a resource.
pub(super) fn target_resource(target: &Target) -> Resource {
    whole(target, Vec::new())
}

fn entity(target: &Target, kind: &TypeName, native: &str) -> EntityRef {
    EntityRef::new(kind, &format!("{}/{native}", target.name))
}

/// `line` (nearest first) completed by the target and its environment, as a resource.
fn whole(target: &Target, line: Vec<EntityRef>) -> Resource {
    let environment = target.environment.as_ref().map(|environment| EntityRef::new(&TypeName::new("Environment"), environment.0.as_str()));
    let mut line = line.into_iter().chain([target.entity()]).chain(environment);
    // The chain holds the target at least.
    let entity = line.next().unwrap_or_else(|| target.entity());
    Resource { entity, ancestors: line.collect() }
}

/// `path` and every directory it is in, down to `depth` segments (exclusive), nearest first.
fn ancestry(target: &Target, kind: &TypeName, path: &str, depth: usize) -> Vec<EntityRef> {
    let paths = std::iter::successors(Some(path), |path| path.rsplit_once('/').map(|(head, _)| head));
    paths.take_while(|path| path.matches('/').count() > depth).map(|path| entity(target, kind, path)).collect()
}

fn volume_line(target: &Target, file: &TypeName, native: &str) -> Result<Vec<EntityRef>, BadId> {
    let path = IdForm::volume_path(native)?;
    let mut line = ancestry(target, file, &path, 4);
    let names: Vec<&str> = path.split('/').skip(2).take(3).filter(|name| !name.is_empty()).collect();
    for (count, kind) in [(3, "Volume"), (2, "Schema"), (1, "Catalog")] {
        if let Some(names) = names.get(..count) {
            line.push(entity(target, &TypeName::new(kind), &names.join(".")));
        }
    }
    Ok(line)
}

// === impl Kind ===

impl Kind {
    /// How many segments its resource names have.
    fn segments(&self) -> usize {
        if let IdForm::Pattern { pattern, .. } = &self.spec.form { pattern.split('/').count() } else { 0 }
    }

    /// The types that stand for targets, and the environment: there without any catalog.
    pub(super) fn built_in() -> impl Iterator<Item = Self> {
        let environment = TypeName::new("Environment");
        let of = |name: &str, parents: Vec<TypeName>| Self {
            spec: TypeSpec { name: TypeName::new(name), parents, part_of: Vec::new(), seen_as: Vec::new(), form: IdForm::Exact },
            nesting: Nesting::Flat,
        };
        let targets = [TargetKind::Workspace, TargetKind::Service].map(|kind| of(kind.type_name(), vec![environment.clone()]));
        [of("Environment", Vec::new()), of(TargetKind::Account.type_name(), Vec::new())].into_iter().chain(targets)
    }
}
