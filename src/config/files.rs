//! Files and folders that the configuration names, looked at when it is read: a name with a slip in it must not wait for the first call to be noticed.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
};

use super::{path::KeyPath, report::Report};
use crate::text::quoted;

/// A file that is there and can be opened for reading. Symbolic links are followed (Kubernetes mounts secrets and `ConfigMaps` through them).
pub(super) fn file(written: &Path, path: &KeyPath, report: &mut Report<'_>) -> Option<PathBuf> {
    let resolved = report.resolve(written);
    let found = fs::metadata(&resolved).and_then(|meta| if meta.is_file() { File::open(&resolved).map(|_| true) } else { Ok(false) });
    settle(written, resolved, found, ("file", "folder"), path, report)
}

/// A folder that is there and can be listed.
pub(super) fn folder(written: &Path, path: &KeyPath, report: &mut Report<'_>) -> Option<PathBuf> {
    let resolved = report.resolve(written);
    let found = fs::metadata(&resolved).and_then(|meta| if meta.is_dir() { fs::read_dir(&resolved).map(|_| true) } else { Ok(false) });
    settle(written, resolved, found, ("folder", "file"), path, report)
}

/// A file that lakegate makes itself: the folder that is to hold it must be there.
pub(super) fn to_be_made(written: &Path, path: &KeyPath, report: &mut Report<'_>) -> Option<PathBuf> {
    let resolved = report.resolve(written);
    let folder = resolved.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if resolved.is_dir() || written.file_name().is_none() {
        report.fault(path, format!("{} is a folder, not a file", shown(written)), "name a file");
    } else if !folder.is_dir() {
        report.fault(path, format!("there is no folder {} to hold it", shown(folder)), "make the folder, or name another");
    } else {
        return Some(resolved);
    }
    None
}

/// Whether two folders are one, or one is in the other, as far as they are there.
pub(super) fn overlap(one: &Path, other: &Path) -> bool {
    let [one, other] = [one, other].map(|folder| fs::canonicalize(folder).unwrap_or_else(|_| folder.to_owned()));
    one.starts_with(&other) || other.starts_with(&one)
}

fn settle(
    written: &Path,
    resolved: PathBuf,
    found: std::io::Result<bool>,
    (wanted, other): (&str, &str),
    path: &KeyPath,
    report: &mut Report<'_>,
) -> Option<PathBuf> {
    match found {
        Ok(true) => return Some(resolved),
        Ok(false) => report.fault(path, format!("{} is not a {wanted}", shown(written)), format!("name a {wanted}, not a {other}")),
        Err(error) => {
            let help = format!("relative paths are relative to the configuration file; looked for {}", shown(&resolved));
            report.fault(path, format!("{} cannot be read: {}", shown(written), reason(&error)), help);
        }
    }
    None
}

fn shown(path: &Path) -> String {
    quoted(&path.display().to_string())
}

/// The error in words, without the operating system's number.
pub(super) fn reason(error: &std::io::Error) -> String {
    error.kind().to_string()
}
