//! Key sets on disk: what lets a restart serve while an issuer is down.
//!
//! A stored set counts as what it is: keys of this issuer from this place, as old as their fetch. Whoever can write the folder can add a key and sign
//! with it, as whoever can write the configuration can.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use serde_json::json;

use super::{keyring::Published, keys::KeySet, shown};
use crate::json::{self, Value};

/// Whose keys a file holds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Label<'l> {
    /// The issuer's identifier.
    pub issuer: &'l str,
    /// Where they were fetched from.
    pub source: &'l str,
}

/// What a file begins with; another is another version of this.
const FORMAT: &str = "lakegate key set 1";
/// More than the longest answer that is read, escaped.
const LONGEST: u64 = 4 << 20;

/// The keys in `file`, where there is one; at the time `now_ms`, and no older than `max_age_ms`.
///
/// # Errors
/// Why the file is of no use, in words.
pub(super) fn load(file: &Path, label: Label<'_>, now_ms: i64, max_age_ms: i64) -> Result<Option<Published>, String> {
    let mut text = Vec::new();
    match File::open(file).and_then(|file| file.take(LONGEST).read_to_end(&mut text)) {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(format!("it cannot be read: {error}")),
    }
    let value = json::read(&text).map_err(|error| format!("it cannot be read: {}", shown(&error.to_string())))?;
    let member = |name: &str| value.as_object().and_then(|members| members.get(name));
    let says = |name: &str| member(name).and_then(Value::as_text);
    if says("format") != Some(FORMAT) {
        return Err("it is not of a format that is known".to_owned());
    }
    if says("issuer") != Some(label.issuer) || says("source") != Some(label.source) {
        return Err("its keys are of another issuer, or from another place".to_owned());
    }
    let fetched_ms = member("fetched_ms").and_then(Value::as_int).and_then(|at| i64::try_from(at).ok());
    let fetched_ms = fetched_ms.filter(|at| *at <= now_ms).ok_or("its keys were fetched at no time that has been")?;
    if now_ms.saturating_sub(fetched_ms) > max_age_ms {
        return Err("its keys are too old".to_owned());
    }
    let keys = KeySet::read(says("key_set").unwrap_or_default().as_bytes()).map_err(|error| error.to_string())?;
    Ok(Some(Published { keys, fetched_ms }))
}

/// Writes `key_set`, the text of a good key set, whole or not at all.
pub(super) fn save(file: &Path, label: Label<'_>, key_set: &[u8], fetched_ms: i64) -> io::Result<()> {
    let text = json!({
        "format": FORMAT, "issuer": label.issuer, "source": label.source, "fetched_ms": fetched_ms, "key_set": String::from_utf8_lossy(key_set),
    });
    let new = file.with_extension("new");
    // One that a crash left behind may have been made with other rights.
    if let Err(error) = fs::remove_file(&new)
        && error.kind() != io::ErrorKind::NotFound
    {
        return Err(error);
    }
    let mut written = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
    written.write_all(text.to_string().as_bytes())?;
    written.sync_all()?;
    fs::rename(&new, file)?;
    file.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}
