//! The policy files of a folder, read so that what comes back once stood on disk as a whole.
//!
//! A set that was read while it was being written could lack a `forbid`. So a listing counts only where names, sizes and times were the same before
//! and after the reading; else it is read again, and after a few attempts refused.

use std::{
    collections::HashSet,
    fs::{self, File, Metadata},
    io::{self, Read as _},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use crate::model::Fault;

/// Every file below a folder that is meant, with its text, sorted by path; no file stands in it twice.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Listing {
    pub files: Vec<(PathBuf, String)>,
}

/// What tells one state of a file from another. The change time notices what a restored modification time hides.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Stamp {
    path: PathBuf,
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

/// Why a folder could not be read this time.
enum Trouble {
    /// It changed under the reading, so another attempt may go well.
    Unstable,
    Fault(Box<Fault>),
}

/// Which files of a folder are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meant {
    /// `*.cedar`
    Policies,
    /// `*.yaml` and `*.yml`
    Yaml,
    Both,
}

/// How much of a folder is read.
#[derive(Clone, Copy)]
struct Caps {
    meant: Meant,
    files: usize,
    file_bytes: u64,
    total_bytes: u64,
}

/// Reads every file below `dir` that is meant, from a listing that was the same before and after. It blocks, for 20 ms at least.
///
/// Hidden files and folders are left out: editors keep their drafts there, and Kubernetes the folder (`..data`) that the names of a mounted
/// `ConfigMap` point into. Symbolic links are followed; a file that several names lead to is read once, under the first.
///
/// # Errors
/// A [`Fault`] that names the file or folder: it cannot be read, is not UTF-8, there is too much of it, or it does not hold still.
pub(super) fn read_stable(dir: &Path, meant: Meant) -> Result<Listing, Fault> {
    insist(dir, || attempt(|| stamps(dir, Caps { meant, ..CAPS }), || thread::sleep(SETTLE)))
}

/// Reads one file, such as an inventory, in the same way.
///
/// # Errors
/// A [`Fault`] that names the file: it cannot be read, is not UTF-8, too long, or does not hold still.
pub(super) fn read_stable_file(path: &Path) -> Result<String, Fault> {
    let listing = insist(path, || attempt(|| single(path, CAPS), || thread::sleep(SETTLE)))?;
    Ok(listing.files.into_iter().map(|(_, text)| text).collect())
}

/// What `read` makes of several files and folders, all the same before and after: read one by one while a change of several goes on, a set could have one
/// part of it and lack another.
///
/// # Errors
/// Those of `read`, and a [`Fault`] that names the first path where they do not hold still.
pub(super) fn read_together<T>(paths: &[&Path], mut read: impl FnMut() -> Result<T, Vec<Fault>>) -> Result<T, Vec<Fault>> {
    let look = |path: &&Path| if path.is_dir() { stamps_now(path).ok() } else { single(path, CAPS).ok() };
    for _ in 0..ATTEMPTS {
        let before: Vec<_> = paths.iter().map(look).collect();
        let made = read();
        if paths.iter().map(look).collect::<Vec<_>>() == before {
            return made;
        }
        thread::sleep(PAUSE);
    }
    let first = paths.first().copied().unwrap_or(Path::new(""));
    Err(vec![fault(first, "it and what is read with it do not hold still".to_owned(), "write beside them and move what is complete in their place")])
}

fn insist(path: &Path, mut read: impl FnMut() -> Result<Listing, Trouble>) -> Result<Listing, Fault> {
    for _ in 0..ATTEMPTS {
        match read() {
            Ok(listing) => return Ok(listing),
            Err(Trouble::Fault(fault)) => return Err(*fault),
            Err(Trouble::Unstable) => thread::sleep(PAUSE),
        }
    }
    Err(fault(path, "it does not hold still while it is read".to_owned(), "write beside it and move what is complete in its place"))
}

/// One reading between two looks; `between` runs before the second.
fn attempt(look: impl Fn() -> Result<Vec<Stamp>, Trouble>, between: impl FnOnce()) -> Result<Listing, Trouble> {
    let before = look()?;
    let files = before.iter().map(|stamp| Ok((stamp.path.clone(), text(stamp)?))).collect::<Result<Vec<_>, Trouble>>()?;
    between();
    if look()? == before { Ok(Listing { files }) } else { Err(Trouble::Unstable) }
}

/// What is left out of a folder that someone may take for a part of it: the names of the first such files, and how many there are.
pub(super) fn left_out(dir: &Path, meant: Meant) -> (Vec<PathBuf>, usize) {
    let mut walk = Walk::new(Caps { meant, ..CAPS });
    // A fault has been told by who read the folder.
    drop(walk.folder(dir, 0));
    (walk.left_out, walk.left)
}

/// Whether no file below `dir` is meant.
pub(super) fn is_empty(dir: &Path, meant: Meant) -> bool {
    stamps(dir, Caps { meant, ..CAPS }).is_ok_and(|files| files.is_empty())
}

/// The stamps of the policy and catalog files below `dir` as they are now, or what is in the way (`None`: they are changing).
pub(super) fn stamps_now(dir: &Path) -> Result<Vec<Stamp>, Option<Fault>> {
    stamps(dir, Caps { meant: Meant::Both, ..CAPS }).map_err(|trouble| match trouble {
        Trouble::Unstable => None,
        Trouble::Fault(fault) => Some(*fault),
    })
}

/// `dir` and the folders below it that are looked into.
pub(super) fn folders(dir: &Path) -> Vec<PathBuf> {
    let mut walk = Walk::new(CAPS);
    // A fault ends the walk early; the folders seen by then are still worth watching.
    drop(walk.folder(dir, 0));
    walk.folders
}

fn stamps(dir: &Path, caps: Caps) -> Result<Vec<Stamp>, Trouble> {
    let mut walk = Walk::new(caps);
    walk.folder(dir, 0)?;
    if walk.files.iter().map(|stamp| stamp.size).fold(0, u64::saturating_add) > caps.total_bytes {
        return Err(refused(dir, format!("its files are longer than {}MiB together", caps.total_bytes >> 20), "keep other files elsewhere"));
    }
    Ok(walk.files)
}

fn single(path: &Path, caps: Caps) -> Result<Vec<Stamp>, Trouble> {
    let meta = fs::metadata(path).map_err(|error| trouble(path, &error, 0))?;
    if !meta.is_file() {
        return Err(refused(path, "it is not a regular file".to_owned(), "name a file"));
    }
    if meta.len() > caps.total_bytes {
        return Err(refused(path, format!("it is longer than {}MiB", caps.total_bytes >> 20), "shorten it"));
    }
    Ok(vec![Stamp::new(path, &meta)])
}

/// The way through a folder, in the order of names.
struct Walk {
    caps: Caps,
    files: Vec<Stamp>,
    folders: Vec<PathBuf>,
    /// The first files that are left out, and how many are.
    left_out: Vec<PathBuf>,
    left: usize,
    /// Device and inode of all files and folders seen, so that links in circles end.
    seen: HashSet<(u64, u64)>,
}

// === impl Meant ===

impl Meant {
    fn has(self, path: &Path) -> bool {
        let extension = path.extension().and_then(|extension| extension.to_str());
        match self {
            Self::Policies => extension == Some("cedar"),
            Self::Yaml => matches!(extension, Some("yaml" | "yml")),
            Self::Both => matches!(extension, Some("cedar" | "yaml" | "yml")),
        }
    }

    /// Whether a file that is not meant may have been put there for one. Notes stand beside all, and cases and schemas beside policies.
    fn might_have(self, path: &Path) -> bool {
        let extension = path.extension().and_then(|extension| extension.to_str());
        match self {
            Self::Policies => !matches!(extension, Some("md" | "txt" | "yaml" | "yml" | "cedarschema")),
            Self::Yaml => !matches!(extension, Some("md" | "txt")),
            Self::Both => false,
        }
    }

    /// What the names of files that are meant end in.
    pub(super) fn ending(self) -> &'static str {
        match self {
            Self::Policies => "`.cedar`",
            Self::Yaml => "`.yaml` or `.yml`",
            Self::Both => "`.cedar`, `.yaml` or `.yml`",
        }
    }
}

// === impl Stamp ===

impl Stamp {
    pub(super) fn new(path: &Path, meta: &Metadata) -> Self {
        Self {
            path: path.to_owned(),
            device: meta.dev(),
            inode: meta.ino(),
            size: meta.len(),
            modified: (meta.mtime(), meta.mtime_nsec()),
            changed: (meta.ctime(), meta.ctime_nsec()),
        }
    }
}

// === impl Walk ===

impl Walk {
    fn new(caps: Caps) -> Self {
        Self { caps, files: Vec::new(), folders: Vec::new(), left_out: Vec::new(), left: 0, seen: HashSet::new() }
    }

    fn folder(&mut self, dir: &Path, depth: usize) -> Result<(), Trouble> {
        let meta = fs::metadata(dir).map_err(|error| trouble(dir, &error, depth))?;
        if !self.seen.insert((meta.dev(), meta.ino())) {
            return Ok(());
        }
        if depth > DEPTH_MAX {
            return Err(refused(dir, format!("it stands deeper than {DEPTH_MAX} folders"), "keep files nearer to the top"));
        }
        self.folders.push(dir.to_owned());
        let mut names = Vec::new();
        for entry in fs::read_dir(dir).map_err(|error| trouble(dir, &error, depth))? {
            let name = entry.map_err(|error| trouble(dir, &error, depth))?.file_name();
            if !name.as_encoded_bytes().starts_with(b".") {
                names.push(name);
            }
        }
        names.sort();
        names.iter().try_for_each(|name| self.entry(&dir.join(name), depth))
    }

    fn leave(&mut self, path: &Path) {
        if self.caps.meant.might_have(path) {
            self.left += 1;
            if self.left_out.len() < NAMED {
                self.left_out.push(path.to_owned());
            }
        }
    }

    fn entry(&mut self, path: &Path, depth: usize) -> Result<(), Trouble> {
        // A name that leads nowhere may have led to policies, or to a folder of them.
        let meta = fs::metadata(path).map_err(|error| dangling(path, &error))?;
        if meta.is_dir() {
            return self.folder(path, depth + 1);
        }
        if !self.caps.meant.has(path) {
            self.leave(path);
            return Ok(());
        }
        if !meta.is_file() {
            return Err(refused(path, "it is not a regular file".to_owned(), "remove it, or give it another name"));
        }
        if !self.seen.insert((meta.dev(), meta.ino())) {
            return Ok(());
        }
        if meta.len() > self.caps.file_bytes {
            return Err(refused(path, format!("it is longer than {}MiB", self.caps.file_bytes >> 20), "split it"));
        }
        if self.files.len() >= self.caps.files {
            return Err(refused(path, format!("there are more than {} files", self.caps.files), "put more into each file"));
        }
        self.files.push(Stamp::new(path, &meta));
        Ok(())
    }
}

/// The text of a file, which must be as long as its stamp says.
fn text(stamp: &Stamp) -> Result<String, Trouble> {
    let mut bytes = Vec::new();
    let read = File::open(&stamp.path).and_then(|file| file.take(stamp.size.saturating_add(1)).read_to_end(&mut bytes));
    match read {
        Ok(length) if length as u64 == stamp.size => {}
        Ok(_) => return Err(Trouble::Unstable),
        Err(error) => return Err(trouble(&stamp.path, &error, 1)),
    }
    String::from_utf8(bytes).map_err(|_| refused(&stamp.path, "it is not UTF-8".to_owned(), "save it as UTF-8"))
}

/// What was there a moment ago and is gone has changed under the reading; only the folder itself (depth 0) must be there.
fn trouble(path: &Path, error: &io::Error, depth: usize) -> Trouble {
    if error.kind() == io::ErrorKind::NotFound && depth > 0 {
        return Trouble::Unstable;
    }
    refused(path, format!("it cannot be read: {}", error.kind()), "let the account that lakegate runs as read it")
}

/// A name is there and what it names is not: a link into nothing, or a file removed since it was listed.
fn dangling(path: &Path, error: &io::Error) -> Trouble {
    if error.kind() == io::ErrorKind::NotFound && fs::symlink_metadata(path).is_err() {
        return Trouble::Unstable;
    }
    refused(path, format!("it cannot be read: {}", error.kind()), "restore what the link leads to, or remove it")
}

fn refused(path: &Path, message: String, help: &str) -> Trouble {
    Trouble::Fault(Box::new(fault(path, message, help)))
}

fn fault(path: &Path, message: String, help: &str) -> Fault {
    Fault { file: path.to_owned(), line: None, column: None, message, help: Some(help.to_owned()) }
}

/// Files that are left out and told by name.
const NAMED: usize = 3;
const ATTEMPTS: usize = 5;
const PAUSE: Duration = Duration::from_millis(50);
/// How long a listing must hold still: longer than the grain of file times (a kernel tick, at most 10 ms).
pub(super) const SETTLE: Duration = Duration::from_millis(20);
const DEPTH_MAX: usize = 16;
const CAPS: Caps = Caps { meant: Meant::Policies, files: 20_000, file_bytes: 8 << 20, total_bytes: 128 << 20 };

#[cfg(test)]
mod tests;
