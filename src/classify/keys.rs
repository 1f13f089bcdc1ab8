//! The keys of one call as a tree, so that one walk of a body finds the values of all of them.

use std::collections::HashMap;

use smallvec::SmallVec;

use super::key::{self, Key, Spelling};
use crate::json::{Keep, Pick};

/// One place in the bodies of a call where a key that decides may stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct KeyId(usize);

/// Every place where a key of the call may stand; the first is the outermost object, which is no key.
#[derive(Debug)]
pub(super) struct Keys {
    places: Vec<Place>,
}

#[derive(Debug)]
struct Place {
    key: Key,
    /// As the catalog writes the way to it, without brackets: for messages.
    path: Box<str>,
    /// The value is an array, and every element counts.
    each: bool,
    /// It stands in elements of an array.
    listed: bool,
    /// The keys of the object that it holds, folded; none where a single value is wanted.
    inner: HashMap<Box<str>, KeyId>,
}

/// An object that stands at a place, as the reader of JSON sees it.
#[derive(Clone, Copy)]
pub(super) struct Members<'k> {
    keys: &'k Keys,
    at: KeyId,
}

// === impl KeyId ===

impl KeyId {
    /// The outermost object.
    pub(super) const OUTERMOST: Self = Self(0);

    pub(super) fn index(self) -> usize {
        self.0
    }
}

// === impl Keys ===

impl Keys {
    pub(super) fn new() -> Self {
        Self { places: vec![Place { key: Key::new(""), path: "".into(), each: false, listed: false, inner: HashMap::new() }] }
    }

    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    /// Adds the key `name` of the object at `within`, an array where `each`.
    ///
    /// # Errors
    /// A message, where the place is there in another shape or spelling.
    pub(super) fn add(&mut self, within: KeyId, name: &str, each: bool) -> Result<KeyId, String> {
        let key = Key::new(name);
        let next = KeyId(self.places.len());
        let Some(outer) = self.places.get_mut(within.0) else { return Err(format!("`{name}` stands nowhere")) };
        let path = if outer.path.is_empty() { name.into() } else { format!("{}.{name}", outer.path).into() };
        let id = *outer.inner.entry(key.folded().into()).or_insert(next);
        let listed = outer.listed || outer.each;
        if id == next {
            self.places.push(Place { key, path, each, listed, inner: HashMap::new() });
            return Ok(id);
        }
        match self.places.get(id.0) {
            Some(place) if place.each != each => Err(format!("`{path}` is a list, and it is not")),
            Some(place) if place.key.spelling(name) == Spelling::Good => Ok(id),
            _ => Err(format!("`{path}` and another key differ in nothing that every reader would see")),
        }
    }

    /// The path of a place that holds a single value for one source, and an object for another.
    pub(super) fn torn(&self, leaves: impl Iterator<Item = KeyId>) -> Option<&str> {
        let mut places = leaves.filter(|id| *id != KeyId::OUTERMOST).filter_map(|id| self.places.get(id.0));
        places.find(|place| !place.inner.is_empty()).map(|place| &*place.path)
    }

    /// The object, or each of the objects, at `at`.
    pub(super) fn members(&self, at: KeyId) -> Members<'_> {
        Members { keys: self, at }
    }

    pub(super) fn path(&self, id: KeyId) -> &str {
        self.places.get(id.0).map_or("", |place| &place.path)
    }

    /// Whether the value of `id` is an array, and every element counts.
    pub(super) fn is_each(&self, id: KeyId) -> bool {
        self.places.get(id.0).is_some_and(|place| place.each)
    }

    /// Whether `id` stands in elements of an array.
    pub(super) fn is_listed(&self, id: KeyId) -> bool {
        self.places.get(id.0).is_some_and(|place| place.listed)
    }

    /// Whether the value of `id` is an object, or each element of it is one.
    pub(super) fn is_holder(&self, id: KeyId) -> bool {
        self.places.get(id.0).is_some_and(|place| !place.inner.is_empty())
    }
}

// === impl Members ===

impl Members<'_> {
    pub(super) fn id(self) -> KeyId {
        self.at
    }

    /// The place of the member `name`, and how it is spelled; `None` for a member that decides nothing.
    pub(super) fn find(self, name: &str) -> Option<(KeyId, Spelling)> {
        let inner = &self.keys.places.get(self.at.0)?.inner;
        if inner.is_empty() {
            return None;
        }
        let mut folded = SmallVec::<[u8; 64]>::new();
        key::fold(name, &mut folded);
        let id = *inner.get(std::str::from_utf8(&folded).ok()?)?;
        let spelling = self.keys.places.get(id.0)?.key.spelling(name);
        Some((id, spelling))
    }
}

impl Pick for Members<'_> {
    fn member(self, key: &str) -> Option<Keep<Self>> {
        let (at, _) = self.find(key)?;
        let keys = self.keys;
        Some(if keys.is_holder(at) { Keep::Members(Self { keys, at }) } else { Keep::All })
    }
}
