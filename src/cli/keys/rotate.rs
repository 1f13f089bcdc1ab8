//! How one key follows another without anybody having to be told: the one that is next has been in the key set for as long as anybody keeps that, and the one
//! before stays in it for as long as anything that it signed is believed.

use std::{
    fs::{self, File, Metadata, TryLockError},
    io,
    os::unix::fs::MetadataExt as _,
    path::{Component, Path, PathBuf},
    time::Duration,
};

use super::{
    Chosen, Named, Which, age, fault, faults,
    file::{Beside, Stored, clear},
    list,
};
use crate::{
    cli::{Exit, output::Output},
    clock::Clock,
    model::Fault,
    signer::{Algorithm, KeySet},
};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    which: Which,
    /// How the new key signs; as the key before it unless given
    #[arg(long, value_enum)]
    algorithm: Option<Chosen>,
    /// Also where not everybody may know the next key yet
    #[arg(long)]
    force: bool,
}

/// Why nothing, or not all, was done.
#[derive(Debug)]
enum Stopped {
    /// The files are not such that they could be rotated.
    Faults(Vec<Fault>),
    /// They are, and not now, or not here.
    Refused(String),
}

/// The three files as they really are, with their keys. No other rotation of them is under way while it lives.
struct Ring {
    files: [PathBuf; 3],
    keys: [Stored; 3],
    _lock: File,
}

pub(super) fn run(args: &Args, output: &mut Output) -> Exit {
    let rotated = args.which.named().map_err(Stopped::Faults).and_then(|named| rotate(args, &named, Clock::default().now()).map(|()| named));
    match rotated.and_then(|named| list::list(&named.files).map_err(|found| Stopped::Faults(faults(found)))) {
        Ok(list) => {
            let told = "a running lakegate takes it up by itself; where the keys were handed over (`jwks_json`), hand them over again, before the next rotation";
            output.result(&list, || format!("{}\n{told}", list.text()));
            Exit::Yes
        }
        Err(Stopped::Faults(faults)) => output.faults(&faults),
        Err(Stopped::Refused(why)) => Output::error(Exit::Failure, why),
    }
}

/// At every moment each file holds a whole key, and together they hold those that sign and that have signed. The order of the steps is what holds that: first
/// the signing key is stored a second time, then the next one is, and then a new one takes its place.
fn rotate(args: &Args, named: &Named, now: i64) -> Result<(), Stopped> {
    let ring = Ring::open(&named.files)?;
    let [current, next, previous] = &ring.files;
    let [signing, following, _] = &ring.keys;
    // The last step alone is left of one that was cut short: another would lose the key that signed until then.
    let half_done = signing.key.id() == following.key.id();
    if !half_done && !args.force {
        known_long_enough(following, named.wait, now)?;
    }
    let algorithm = args.algorithm.map_or_else(|| following.key.algorithm(), Chosen::algorithm);
    if let Some(target) = &named.exchanged {
        // Where it signs already, nothing becomes worse.
        if !half_done && following.key.algorithm() != Algorithm::Es256 {
            return Err(Stopped::Refused(of_no_use_next(&named.files, following, target)));
        }
        if algorithm != Algorithm::Es256 {
            return Err(Stopped::Refused(of_no_use_then(algorithm, target)));
        }
    }
    let new = Stored::make(algorithm, now).map_err(Stopped::Refused)?;
    let mut steps = vec![(next, &new)];
    if !half_done {
        steps.splice(0..0, [(previous, signing), (current, following)]);
    }
    // All is on disk, with its rights, before the first step.
    let steps = steps.into_iter().map(|(file, key)| prepare(file, key).map_err(|error| cannot_write(file, &error))).collect::<Result<Vec<_>, _>>()?;
    for step in steps {
        let unfinished =
            |error| Stopped::Refused(format!("the rotation was cut short: {error}; each file holds a whole key, and the next `rotate` ends it"));
        step.replace().map_err(unfinished)?;
    }
    Ok(())
}

/// Databricks takes no token that is not signed with ES256 or RS256 (Databricks: *token federation*), so that the configuration would not load.
fn of_no_use_next(named: &[PathBuf], next: &Stored, target: &str) -> String {
    let file = named.get(1).map(|file| file.display().to_string()).unwrap_or_default();
    format!(
        "the next key, {}, signs with {}, and `{target}` has what is signed exchanged by Databricks, which takes ES256: remove {file}, make it anew with `lakegate keys new {file}`, \
         and rotate once everybody can know it",
        next.key.id(),
        next.key.algorithm().as_str()
    )
}

fn of_no_use_then(algorithm: Algorithm, target: &str) -> String {
    format!(
        "the new key would sign with {}, and `{target}` has what is signed exchanged by Databricks, which takes ES256: say `--algorithm es256`",
        algorithm.as_str()
    )
}

fn prepare(file: &Path, key: &Stored) -> io::Result<Beside> {
    clear(file)?;
    Beside::write(file, &key.text, Some(&fs::metadata(file)?))
}

/// Whoever keeps the key set for as long as they may knows a key of this age; and the key that is given up last signed when this one was made.
fn known_long_enough(next: &Stored, wait: Duration, now: i64) -> Result<(), Stopped> {
    let (have, wait) = (now.saturating_sub(next.made_at).max(0), i64::try_from(wait.as_secs()).unwrap_or(i64::MAX));
    if have >= wait {
        return Ok(());
    }
    let id = next.key.id();
    Err(Stopped::Refused(format!(
        "the next key, {id}, was made {} ago, and for {} some may not know it, or still need the one that goes: wait {}, or say `--force`",
        age(have),
        super::wait(wait),
        super::wait(wait.saturating_sub(have)),
    )))
}

// === impl Ring ===

impl Ring {
    fn open(named: &[PathBuf]) -> Result<Self, Stopped> {
        let [_, next, _] = named else { return Err(not_three(named)) };
        KeySet::read(named).map_err(|found| Stopped::Faults(faults(found)))?;
        let lock = hold(&real(next)?)?;
        let files = named.iter().map(|file| real(file)).collect::<Result<Vec<_>, _>>()?;
        let read = |file: &PathBuf| Stored::read(file).map_err(|error| Stopped::Faults(faults(vec![(file.clone(), error)])));
        let keys = files.iter().map(read).collect::<Result<Vec<_>, _>>()?;
        if let Some(twice) = files.iter().enumerate().find_map(|(place, file)| files.iter().take(place).any(|other| other == file).then_some(file)) {
            let help = "name three files of their own, each made with `lakegate keys new FILE`";
            return Err(Stopped::Faults(vec![fault(twice, "it is named twice".to_owned(), help)]));
        }
        match (files.try_into(), keys.try_into()) {
            (Ok(files), Ok(keys)) => Ok(Self { files, keys, _lock: lock }),
            _ => Err(not_three(named)),
        }
    }
}

fn not_three(named: &[PathBuf]) -> Stopped {
    let of = named.first().map_or(Path::new(""), PathBuf::as_path);
    let message = format!("a rotation needs three key files, the current, the next and the previous key, and {} named here", count(named.len()));
    let help = "make each that is missing with `lakegate keys new FILE`, and name all three in `trust.assertion.keys`, the one that signs first";
    Stopped::Faults(vec![fault(of, message, help)])
}

fn count(files: usize) -> String {
    if files == 1 { "one is".to_owned() } else { format!("{files} are") }
}

/// Keeps every other rotation out: the file of the next key is the last that one replaces.
fn hold(next: &Path) -> Result<File, Stopped> {
    let another = || Stopped::Refused("another `lakegate keys rotate` of these files is at work".to_owned());
    let refused = |error: &io::Error| Stopped::Refused(format!("{} cannot be held: {error}", next.display()));
    let file = File::open(next).map_err(|error| refused(&error))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(another()),
        Err(TryLockError::Error(error)) => return Err(refused(&error)),
    }
    let same = |one: &Metadata, other: &Metadata| (one.dev(), one.ino()) == (other.dev(), other.ino());
    let still = file.metadata().and_then(|held| Ok(same(&held, &fs::metadata(next)?))).map_err(|error| refused(&error))?;
    if still { Ok(file) } else { Err(another()) }
}

/// Where links lead, so that what is replaced is the file and not a link to it.
fn real(file: &Path) -> Result<PathBuf, Stopped> {
    let real = fs::canonicalize(file).map_err(|error| Stopped::Refused(format!("{} cannot be read: {error}", file.display())))?;
    // Kubernetes has the files of a mounted Secret in a folder of such a name, and replaces it as a whole.
    let mounted = |part: Component<'_>| matches!(part, Component::Normal(name) if name.as_encoded_bytes().starts_with(b".."));
    if real.components().any(mounted) { Err(read_only(file)) } else { Ok(real) }
}

fn cannot_write(file: &Path, error: &io::Error) -> Stopped {
    match error.kind() {
        io::ErrorKind::ReadOnlyFilesystem => read_only(file),
        io::ErrorKind::PermissionDenied => Stopped::Refused(format!(
            "{} cannot be replaced: {error}; run this as the user whose file it is, or as root. Nothing was changed",
            file.display()
        )),
        _ => Stopped::Refused(format!("{} cannot be replaced: {error}. Nothing was changed", file.display())),
    }
}

fn read_only(file: &Path) -> Stopped {
    Stopped::Refused(format!(
        "{} cannot be written here; if it is of a Kubernetes Secret, have the three files in a folder, `lakegate keys rotate current.pem next.pem previous.pem` there, and \
         `kubectl create secret generic NAME --from-file=current.pem --from-file=next.pem --from-file=previous.pem --dry-run=client -o yaml | kubectl apply -f -`. \
         Nothing was changed",
        file.display()
    ))
}

#[cfg(test)]
mod tests;
