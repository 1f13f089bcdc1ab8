//! The Databricks API as data: every call lakegate knows, from `catalog/*.yaml`.

mod compare;
mod compile;
mod embedded;
mod raw;
mod reference;

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

pub use compare::{Change, ChangeKind};

use super::{
    entry::Entry,
    kinds::Kinds,
    matcher::{Matcher, Missed},
    refuse,
    template::Param,
};
use crate::{
    digest::Fields,
    model::{Call, Fault, Reason, Refusal, Vocabulary},
    text::shown,
};

/// Every call that is known: what it does, how far it reaches, where it names what it acts on.
#[derive(Debug)]
pub struct Catalog {
    version: Arc<str>,
    /// The digest of the files it was read from.
    digest: [u8; 32],
    entries: Vec<Entry>,
    apis: Vec<Api>,
    kinds: Kinds,
    vocabulary: Vocabulary,
}

/// One file of a catalog.
#[derive(Clone, Debug)]
pub struct CatalogFile {
    pub path: PathBuf,
    pub text: String,
    /// The API that its calls belong to where it does not say so itself.
    pub api: Arc<str>,
}

/// The calls of one kind of target.
#[derive(Debug)]
struct Api {
    name: Box<str>,
    matcher: Matcher,
}

/// The index of an API in its [`Catalog`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ApiId(usize);

// === impl CatalogFile ===

impl CatalogFile {
    /// The API of Databricks workspaces.
    pub const WORKSPACE: &str = "workspace";
    /// The API of Databricks accounts.
    pub const ACCOUNT: &str = "account";

    #[must_use]
    pub fn new(path: PathBuf, text: String, api: &str) -> Self {
        Self { path, text, api: api.into() }
    }

    fn digest(files: &[Self]) -> [u8; 32] {
        let mut fields = Fields::new();
        fields.count(files.len());
        for file in files {
            fields.bytes(file.path.as_os_str().as_encoded_bytes()).text(&file.text).text(&file.api);
        }
        fields.finish()
    }
}

// === impl Catalog ===

impl Catalog {
    /// The catalog that is shipped.
    ///
    /// # Errors
    /// None where the tests pass; the same as [`load`](Self::load).
    pub fn embedded() -> Result<Self, Vec<Fault>> {
        Self::load(&Self::shipped())
    }

    /// The files of the catalog that is shipped.
    #[must_use]
    pub fn shipped() -> Vec<CatalogFile> {
        embedded::FILES.iter().map(|(path, text)| CatalogFile::new(PathBuf::from(path), (*text).to_owned(), CatalogFile::WORKSPACE)).collect()
    }

    /// Reads `files` as one catalog.
    ///
    /// # Errors
    /// Every fault in every file: YAML that cannot be read, unknown types, templates that cannot be told apart, …
    pub fn load(files: &[CatalogFile]) -> Result<Self, Vec<Fault>> {
        compile::compile(files)
    }

    /// Whether it was read from `files` as they are here.
    #[must_use]
    pub fn is_of(&self, files: &[CatalogFile]) -> bool {
        self.digest == CatalogFile::digest(files)
    }

    /// What it calls itself, `2026.11`; `unversioned` where no file says so.
    #[must_use]
    pub fn version(&self) -> &Arc<str> {
        &self.version
    }

    /// The words that policies may use.
    #[must_use]
    pub fn vocabulary(&self) -> &Vocabulary {
        &self.vocabulary
    }

    /// The whole catalog as Markdown, for docs/catalog.md.
    #[must_use]
    pub fn reference(&self) -> String {
        reference::markdown(self)
    }

    pub(super) fn kinds(&self) -> &Kinds {
        &self.kinds
    }

    pub(super) fn api(&self, name: &str) -> Option<ApiId> {
        self.apis.iter().position(|api| *api.name == *name).map(ApiId)
    }

    pub(super) fn known_path(&self, api: ApiId, call: &Call<'_>) -> String {
        self.apis.get(api.0).map(|api| api.matcher.known(&call.path)).unwrap_or_default()
    }

    /// The entry for `call` in `api`, with where its parameters stand.
    ///
    /// # Errors
    /// `UpgradeRefused`, `CallUnknown`, or `PathAmbiguous` where only an encoded slash stands in the way.
    pub(super) fn find(&self, api: ApiId, call: &Call<'_>) -> Result<(&Entry, &[Param]), Refusal> {
        let unknown = || refuse(Reason::CallUnknown, "the catalog is not whole");
        let matcher = &self.apis.get(api.0).ok_or_else(unknown)?.matcher;
        let protocol = call.upgrade.as_ref().map(|upgrade| upgrade.0.to_ascii_lowercase());
        // A WebSocket is asked for by GET, or over HTTP/2 by extended CONNECT (RFC 8441).
        let fits = protocol.is_none() || matches!(call.method, "GET" | "CONNECT");
        match (matcher.find(protocol.as_deref().unwrap_or(call.method), &call.path), protocol) {
            (Ok(found), _) if fits => self.entries.get(found.entry).map(|entry| (entry, found.params)).ok_or_else(unknown),
            (_, Some(protocol)) => {
                let detail = format!("the call asks to switch to `{}`, after which nothing more could be decided", shown(&protocol));
                Err(refuse(Reason::UpgradeRefused, detail))
            }
            (Err(missed), None) => Err(self.elsewhere(api, call).unwrap_or_else(|| self.missed(matcher, call, &missed))),
            (Ok(_), None) => Err(unknown()),
        }
    }

    /// Where another API has the call: a common slip, since accounts and workspaces share the beginnings of their paths.
    fn elsewhere(&self, api: ApiId, call: &Call<'_>) -> Option<Refusal> {
        let databricks = |other: &&Api| matches!(&*other.name, CatalogFile::WORKSPACE | CatalogFile::ACCOUNT);
        let here = self.apis.get(api.0).filter(databricks)?;
        let other = self.apis.iter().filter(databricks).find(|other| other.name != here.name)?;
        let entry = self.entries.get(other.matcher.find(call.method, &call.path).ok()?.entry)?;
        let detail = format!("`{}` is a call to a Databricks {}, and this host is that of a Databricks {}", entry.action.name, other.name, here.name);
        Some(refuse(Reason::CallUnknown, detail))
    }

    fn missed(&self, matcher: &Matcher, call: &Call<'_>, missed: &Missed) -> Refusal {
        if call.path.segments.iter().any(|segment| segment.slashed) {
            return refuse(Reason::PathAmbiguous, "the path has an encoded slash where the call takes a single name");
        }
        let (method, path) = (shown(call.method), shown(call.path.raw));
        let others = missed.others.iter().filter_map(|index| self.entries.get(*index)).filter(|entry| entry.upgrade.is_none());
        let others: BTreeMap<&str, &Entry> = others.map(|entry| (&*entry.method, entry)).collect();
        let detail = match others.values().next() {
            None => format!("the catalog knows no call `{method} {path}`, only the path as far as `{}`", matcher.known(&call.path)),
            Some(first) => {
                let methods: Vec<&str> = others.keys().copied().collect();
                format!("the catalog knows `{}` only with {}, not with `{method}`", first.path, methods.join(", "))
            }
        };
        refuse(Reason::CallUnknown, detail)
    }
}
