//! The catalog that the configuration asks for: the shipped one, or files of the operator's, and whatever stands beside it.

use std::{path::Path, sync::Arc};

use super::{
    compose,
    listing::{self, Meant},
};
use crate::{
    classify::{Catalog, CatalogFile},
    config::{Api, Config},
    model::Fault,
};

/// Loads what `config` asks for, or takes `shipped` or `previous` where that is the same.
///
/// # Errors
/// Every fault of the files.
pub(super) fn load(config: &Config, shipped: &Arc<Catalog>, previous: Option<&Arc<Catalog>>) -> Result<Arc<Catalog>, Vec<Fault>> {
    let files = files(config).map_err(|fault| vec![fault])?;
    let known = [Some(shipped), previous].into_iter().flatten().find(|catalog| catalog.is_of(&files));
    known.map_or_else(|| Catalog::load(&files).map(Arc::new), |catalog| Ok(Arc::clone(catalog)))
}

fn files(config: &Config) -> Result<Vec<CatalogFile>, Fault> {
    let mut files = match &config.catalog.dir {
        None => Catalog::shipped(),
        Some(dir) => folder(dir)?,
    };
    beside(config, &mut files)?;
    Ok(files)
}

/// The catalog as it was with the files of `dir` in place of those that are shipped, and what `config` has beside them: files of one's own whose name is
/// in `dir` too are as they are there.
///
/// # Errors
/// Every fault of the files.
pub fn earlier(config: &Config, dir: &Path) -> Result<Catalog, Vec<Fault>> {
    let mut files = folder(dir).map_err(|fault| vec![fault])?;
    let mut own = Vec::new();
    beside(config, &mut own).map_err(|fault| vec![fault])?;
    for now in own {
        let before = files.iter().position(|file| file.path.file_name() == now.path.file_name());
        let file = before.map_or(now.clone(), |at| CatalogFile { api: now.api, ..files.remove(at) });
        files.push(file);
    }
    Catalog::load(&files)
}

/// Adds what stands beside the catalog: more calls, and the files of services.
fn beside(config: &Config, files: &mut Vec<CatalogFile>) -> Result<(), Fault> {
    for extra in &config.catalog.extra {
        files.push(read(extra, CatalogFile::WORKSPACE)?);
    }
    for entry in &config.targets {
        let Api::Own(path) = &entry.api else { continue };
        if files.iter().all(|file| file.path != *path) {
            files.push(read(path, &compose::api(config, &entry.api))?);
        }
    }
    Ok(())
}

/// Every file of the catalog below `dir`.
///
/// # Errors
/// A [`Fault`] where one cannot be read, or there is none.
fn folder(dir: &Path) -> Result<Vec<CatalogFile>, Fault> {
    let listing = listing::read_stable(dir, Meant::Yaml)?;
    if listing.files.is_empty() {
        let help = Some("name a folder with the `*.yaml` files of a catalog".to_owned());
        return Err(Fault { file: dir.to_owned(), line: None, column: None, message: "there is no catalog file in it".to_owned(), help });
    }
    Ok(listing.files.into_iter().map(|(path, text)| CatalogFile::new(path, text, CatalogFile::WORKSPACE)).collect())
}

fn read(path: &Path, api: &str) -> Result<CatalogFile, Fault> {
    Ok(CatalogFile::new(path.to_owned(), listing::read_stable_file(path)?, api))
}
