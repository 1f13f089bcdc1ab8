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
    for extra in &config.catalog.extra {
        files.push(read(extra, CatalogFile::WORKSPACE)?);
    }
    for entry in &config.targets {
        let Api::Own(path) = &entry.api else { continue };
        if files.iter().all(|file| file.path != *path) {
            files.push(read(path, &compose::api(config, &entry.api))?);
        }
    }
    Ok(files)
}

/// Every file of the catalog below `dir`.
///
/// # Errors
/// A [`Fault`] where one cannot be read, or there is none.
pub fn folder(dir: &Path) -> Result<Vec<CatalogFile>, Fault> {
    let listing = listing::read_stable(dir, Meant::Catalog)?;
    if listing.files.is_empty() {
        let help = Some("name a folder with the `*.yaml` files of a catalog".to_owned());
        return Err(Fault { file: dir.to_owned(), line: None, column: None, message: "there is no catalog file in it".to_owned(), help });
    }
    Ok(listing.files.into_iter().map(|(path, text)| CatalogFile::new(path, text, CatalogFile::WORKSPACE)).collect())
}

fn read(path: &Path, api: &str) -> Result<CatalogFile, Fault> {
    Ok(CatalogFile::new(path.to_owned(), listing::read_stable_file(path)?, api))
}
