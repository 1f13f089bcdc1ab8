//! What the cases of a file may name: its own callers and requests and those of the files it uses, each checked once.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{
    caller::{Who, Wrong},
    files::Source,
    raw::{self, RequestText},
    request,
};
use crate::{
    authn::Authenticator,
    config::{Config, Document, KeyPath},
    inquiry::Request,
    model::Fault,
    text::{nearest, quoted},
};

/// What is there beside the files: who can call, what can be called, and the policies that decide.
pub(super) struct Ground<'g> {
    pub(super) config: &'g Config,
    pub(super) authenticator: &'g Authenticator,
    /// The ids of all policies.
    pub(super) policies: BTreeSet<String>,
    pub(super) now_ms: i64,
}

/// The fixtures of one file. What has a fault, which has been noted, is `None`.
pub(super) struct Names<'g> {
    ground: &'g Ground<'g>,
    callers: BTreeMap<String, (raw::Caller, Option<Arc<Who>>)>,
    requests: BTreeMap<String, Option<Arc<Request>>>,
}

// === impl Names ===

impl<'g> Names<'g> {
    pub(super) fn new(source: &Source, ground: &'g Ground<'g>, faults: &mut Vec<Fault>) -> Self {
        let mut names = Self { ground, callers: BTreeMap::new(), requests: BTreeMap::new() };
        let mut written = BTreeMap::new();
        // The file itself comes last, so that it is told what it has in common with those it uses.
        for document in source.documents.iter().rev() {
            for (name, caller) in document.content.callers.iter().flatten() {
                let at = KeyPath::default().key("callers").key(name);
                if let Some((first, _, _)) = written.insert(name.clone(), (Arc::clone(document), at.clone(), caller.clone())) {
                    faults.push(twice(document, &at, name, &first));
                }
            }
        }
        for (name, (document, at, caller)) in &written {
            let whole = whole(caller.clone(), Some(name), |name| written.get(name).map(|(_, _, caller)| caller));
            let who = match whole.and_then(|whole| Who::new(&whole, ground.authenticator).map(|who| (whole, who))) {
                Ok((whole, who)) => (whole, Some(Arc::new(who))),
                Err(wrong) => {
                    faults.push(misfit(document, at, wrong));
                    (caller.clone(), None)
                }
            };
            names.callers.insert(name.clone(), who);
        }
        let mut written = BTreeMap::new();
        for document in source.documents.iter().rev() {
            for (name, request) in document.content.requests.iter().flatten() {
                let at = KeyPath::default().key("requests").key(name);
                let request = request::read(request, ground.config).map(Arc::new).map_err(|wrong| faults.push(misfit(document, &at, wrong))).ok();
                names.requests.insert(name.clone(), request);
                if let Some(first) = written.insert(name.clone(), document) {
                    faults.push(twice(document, &at, name, first));
                }
            }
        }
        names
    }

    /// # Errors
    /// What is wrong with the caller; an empty message where that has been noted.
    pub(super) fn caller(&self, raw: &raw::CallerText) -> Result<Arc<Who>, Wrong> {
        match raw {
            raw::CallerText::Named(name) => match self.callers.get(name) {
                Some((_, Some(who))) => Ok(Arc::clone(who)),
                Some((_, None)) => Err(noted()),
                None => Err(unknown_caller("", name, self.callers.keys().map(String::as_str))),
            },
            raw::CallerText::Full(caller) => {
                if let Some((_, None)) = caller.like.as_ref().and_then(|name| self.callers.get(name)) {
                    return Err(noted());
                }
                let whole = whole((**caller).clone(), None, |name| self.callers.get(name).map(|(caller, _)| caller))?;
                Who::new(&whole, self.ground.authenticator).map(Arc::new)
            }
        }
    }

    /// # Errors
    /// As for [`caller`](Self::caller).
    pub(super) fn request(&self, raw: &RequestText) -> Result<Arc<Request>, Wrong> {
        match raw {
            RequestText::Text(text) if !text.contains(char::is_whitespace) => match self.requests.get(text) {
                Some(Some(request)) => Ok(Arc::clone(request)),
                Some(None) => Err(noted()),
                None => {
                    let near = nearest(text, self.requests.keys().map(String::as_str)).map(|word| format!("did you mean `{word}`?"));
                    let help = near.unwrap_or_else(|| "name one of `requests`, or write `<method> <url>`".to_owned());
                    Err(Wrong { key: "", message: format!("no request is called {}", quoted(text)), help: Some(help) })
                }
            },
            _ => request::read(raw, self.ground.config).map(Arc::new),
        }
    }
}

/// What stands for a fault that has been noted where its cause stands.
fn noted() -> Wrong {
    Wrong { key: "", message: String::new(), help: None }
}

/// `caller`, called `own` if it has a name, with what it takes from others by `like`.
fn whole<'c>(caller: raw::Caller, own: Option<&str>, find: impl Fn(&str) -> Option<&'c raw::Caller>) -> Result<raw::Caller, Wrong> {
    let mut seen: BTreeSet<String> = own.map(str::to_owned).into_iter().collect();
    let mut whole = caller;
    while let Some(name) = whole.like.take() {
        let Some(other) = find(&name) else { return Err(unknown_caller("like", &name, [])) };
        let next = other.like.clone();
        whole = raw::Caller { like: next, ..whole.over(other.clone()) };
        if !seen.insert(name) {
            return Err(Wrong {
                key: "like",
                message: "the caller is like itself".to_owned(),
                help: Some("name another, or write it out".to_owned()),
            });
        }
    }
    Ok(whole)
}

fn unknown_caller<'n>(key: &'static str, name: &str, known: impl IntoIterator<Item = &'n str>) -> Wrong {
    let near = nearest(name, known).map(|word| format!("did you mean `{word}`?"));
    let help =
        near.unwrap_or_else(|| "name one of `callers`, or say who calls: `{ User: <issuer>/<subject>, groups: […], peer: spiffe://… }`".to_owned());
    Wrong { key, message: format!("no caller is called {}", quoted(name)), help: Some(help) }
}

fn twice(document: &Document<raw::File>, at: &KeyPath, name: &str, first: &Document<raw::File>) -> Fault {
    let help = format!("{} has it too; each name stands for one thing in a file and those it uses", first.file().display());
    document.fault(at, format!("{} is there already", quoted(name)), Some(help))
}

/// The fault of what stands at `at`, or of a key of it.
pub(super) fn misfit(document: &Document<raw::File>, at: &KeyPath, wrong: Wrong) -> Fault {
    let at = if wrong.key.is_empty() { at.clone() } else { at.key(wrong.key) };
    document.fault(&at, wrong.message, wrong.help)
}
