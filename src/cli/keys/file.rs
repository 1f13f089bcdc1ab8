//! Key files: what stands in one, and how one is written so that nobody ever sees half of a key.

use std::{
    fs::{self, File, Metadata, OpenOptions, Permissions},
    io::{self, Read as _, Write as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, fchown},
    path::{Path, PathBuf},
};

use zeroize::Zeroizing;

use crate::signer::{self, Algorithm, SigningKey};

/// A key with the text that it was read from.
pub(super) struct Stored {
    pub key: SigningKey,
    /// A secret.
    pub text: Zeroizing<Vec<u8>>,
    /// As its text says, or else when its file was written; in seconds since the epoch.
    pub made_at: i64,
}

/// A key file beside the place where it is to stand, whole and on disk; gone again unless it is put there.
pub(super) struct Beside {
    new: PathBuf,
    file: PathBuf,
}

/// What the text of a key begins with, before the time: outside of the markers of PEM, where text may stand (RFC 7468, section 5.2).
const MADE: &str = "# made by lakegate at ";
/// Far longer than any key.
const LONGEST: u64 = 64 << 10;

// === impl Stored ===

impl Stored {
    /// A new key.
    pub(super) fn make(algorithm: Algorithm, now: i64) -> Result<Self, String> {
        let pem = Zeroizing::new(signer::generate(algorithm).ok_or("no key can be made: the system gives no randomness")?);
        let time = jiff::Timestamp::from_second(now).map_err(|error| error.to_string())?;
        let mut text = Zeroizing::new(format!("{MADE}{time}\n").into_bytes());
        text.extend_from_slice(pem.as_bytes());
        Ok(Self { key: SigningKey::parse(&text)?, text, made_at: now })
    }

    /// # Errors
    /// In words; never a part of what is in the file.
    pub(super) fn read(file: &Path) -> Result<Self, String> {
        let unreadable = |error: io::Error| format!("the file cannot be read: {error}");
        let mut text = Zeroizing::new(Vec::with_capacity(1024));
        let opened = File::open(file).map_err(unreadable)?;
        let written = opened.metadata().map_err(unreadable)?.mtime();
        opened.take(LONGEST).read_to_end(&mut text).map_err(unreadable)?;
        Ok(Self { key: SigningKey::parse(&text)?, made_at: made_at(&text).unwrap_or(written), text })
    }
}

fn made_at(text: &[u8]) -> Option<i64> {
    let line = text.split(|byte| *byte == b'\n').next()?;
    let time: jiff::Timestamp = str::from_utf8(line).ok()?.strip_prefix(MADE)?.trim_end().parse().ok()?;
    Some(time.as_second())
}

// === impl Beside ===

impl Beside {
    /// Writes `text` beside `file`, with the owner and the rights of the file whose place it is to take, `like`, or for this user alone.
    ///
    /// # Errors
    /// Those of the system; `AlreadyExists` where one is there already.
    pub(super) fn write(file: &Path, text: &[u8], like: Option<&Metadata>) -> io::Result<Self> {
        let new = beside(file)?;
        let mut written = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
        let beside = Self { new, file: file.to_owned() };
        if let Some(like) = like {
            let have = written.metadata()?;
            if (have.uid(), have.gid()) != (like.uid(), like.gid()) {
                fchown(&written, Some(like.uid()), Some(like.gid()))?;
            }
            written.set_permissions(Permissions::from_mode(like.mode() & 0o777))?;
        }
        written.write_all(text)?;
        written.sync_all()?;
        Ok(beside)
    }

    /// Puts it where nothing is.
    ///
    /// # Errors
    /// Those of the system; `AlreadyExists` where something is.
    pub(super) fn put(self) -> io::Result<()> {
        fs::hard_link(&self.new, &self.file)?;
        fs::remove_file(&self.new)?;
        sync_folder(&self.file)
    }

    /// Puts it in the place of what is there.
    ///
    /// # Errors
    /// Those of the system.
    pub(super) fn replace(self) -> io::Result<()> {
        fs::rename(&self.new, &self.file)?;
        sync_folder(&self.file)
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        // It is gone already where it was put in its place.
        let _ = fs::remove_file(&self.new);
    }
}

/// Removes what a command left beside `file` that was killed. Only for whoever knows that no other is at work.
///
/// # Errors
/// Those of the system.
pub(super) fn clear(file: &Path) -> io::Result<()> {
    match fs::remove_file(beside(file)?) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Hidden, so that nothing takes it for a file that is meant.
pub(super) fn beside(file: &Path) -> io::Result<PathBuf> {
    let name = file.file_name().ok_or(io::ErrorKind::InvalidFilename)?;
    let mut hidden = std::ffi::OsString::from(".");
    hidden.push(name);
    hidden.push(".new");
    Ok(file.with_file_name(hidden))
}

fn sync_folder(file: &Path) -> io::Result<()> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}
