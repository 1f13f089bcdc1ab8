//! Which catalog says what calls are.

use std::path::{Path, PathBuf};

use super::{files, path::KeyPath, raw, report::Report};
use crate::text::quoted;

/// Which calls a target takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Api {
    Workspace,
    Account,
    /// A service of a kind that the shipped catalog knows.
    Shipped(&'static str),
    /// A service whose calls a file of the operator's describes.
    Own(PathBuf),
}

/// The files that say what the calls of Databricks are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CatalogFiles {
    /// In place of the shipped ones.
    pub dir: Option<PathBuf>,
    pub extra: Vec<PathBuf>,
}

/// The kinds of services that the shipped catalog knows.
const SHIPPED: [&str; 3] = ["mlflow", "openai", "generic"];

pub(super) fn files(raw: &raw::CatalogFiles, path: &KeyPath, report: &mut Report<'_>) -> Option<CatalogFiles> {
    let dir = raw.dir.as_deref().map(|written| files::folder(written, &path.key("dir"), report));
    let extra = raw.extra.iter().flatten().enumerate();
    let extra: Option<Vec<PathBuf>> = extra.map(|(index, written)| files::file(written, &path.key("extra").item(index), report)).collect();
    Some(CatalogFiles { dir: dir.map_or(Some(None), |dir| dir.map(Some))?, extra: extra? })
}

pub(super) fn of_service(text: &str, path: &KeyPath, report: &mut Report<'_>) -> Option<Api> {
    if let Some(name) = SHIPPED.into_iter().find(|name| *name == text) {
        return Some(Api::Shipped(name));
    }
    let file = Path::new(text);
    if file.extension().is_none_or(|extension| extension != "yaml") {
        let help = format!("write one of {}, or the path of a catalog file that ends in `.yaml`", SHIPPED.map(|name| format!("`{name}`")).join(", "));
        report.fault(path, format!("{} is no catalog", quoted(text)), help);
        return None;
    }
    files::file(file, path, report).map(Api::Own)
}
