//! Revocations on disk: one JSON object a line, appended and forced to disk before anybody is told that it holds.
//!
//! The first line says what the file is and in which form. A last line without its end was never acknowledged and is dropped; whatever else cannot be
//! read makes the whole file unreadable, since a revocation may stand there.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, BufWriter, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    thread::sleep,
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};

use super::{Lifted, Revocation};

/// One change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Line {
    Revoke(Box<Revocation>),
    Lift { id: String, lifted: Lifted },
}

/// The file, open to be appended to by this process alone.
#[derive(Debug)]
pub(super) struct Journal {
    file: File,
    dir: PathBuf,
    /// Bytes that are known to be whole lines.
    length: u64,
    lines: usize,
    /// Set where a write failed, so that what stands behind `length` is not known.
    pub broken: Option<Broken>,
    _lock: File,
}

/// Why lines are missing in the file.
#[derive(Clone, Debug)]
pub(super) struct Broken {
    pub error: String,
    /// Seconds since the epoch.
    pub since: i64,
}

/// What a file holds.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Contents {
    pub lines: Vec<Line>,
    /// Where the last whole line ends.
    length: u64,
    /// Whether an unfinished line follows.
    torn: bool,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    lakegate: String,
    version: u32,
}

const NAME: &str = "revocations.jsonl";
const NEW: &str = "revocations.jsonl.new";
const LOCK: &str = "revocations.lock";

const VERSION: u32 = 1;

/// How long another process with the same folder is waited for: as long as one may take to drain.
const PATIENCE: Duration = Duration::from_secs(15);

/// The lines of the file in `dir`; none where there is no file.
///
/// # Errors
/// In words, with the number of the line.
pub(super) fn read(dir: &Path) -> Result<Contents, String> {
    let path = path(dir);
    match fs::read(&path) {
        Ok(bytes) => parse(&bytes).map_err(|error| format!("`{}` {error}", path.display())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Contents::default()),
        Err(error) => Err(format!("`{}` cannot be read: {error}", path.display())),
    }
}

pub(super) fn path(dir: &Path) -> PathBuf {
    dir.join(NAME)
}

pub(super) fn parse(bytes: &[u8]) -> Result<Contents, String> {
    let whole = bytes.iter().rposition(|&byte| byte == b'\n').map_or(0, |end| end + 1);
    let (good, rest) = bytes.split_at(whole);
    let mut lines = good.split_inclusive(|&byte| byte == b'\n');
    let foreign = || format!("is no file of revocations of version {VERSION}; move it away if none of its revocations counts any more");
    let header: Header = lines.next().and_then(|line| serde_json::from_slice(line).ok()).ok_or_else(foreign)?;
    if header.lakegate != "revocations" {
        return Err(foreign());
    }
    if header.version != VERSION {
        return Err(format!(
            "is of version {}, which a later lakegate wrote; run that one, since this one reads version {VERSION} alone",
            header.version
        ));
    }
    let read = |(index, line): (usize, &[u8])| {
        let number = index + 2;
        let mend = "restore the file from a copy, or remove the line and revoke anew what it said";
        serde_json::from_slice(line).map_err(|error| format!("cannot be read in line {number}, so that a revocation may be lost: {error}; {mend}"))
    };
    Ok(Contents { lines: lines.enumerate().map(read).collect::<Result<_, _>>()?, length: whole as u64, torn: !rest.is_empty() })
}

// === impl Journal ===

impl Journal {
    /// Opens the file in `dir`, making it where it is absent, and cuts off an unfinished line.
    ///
    /// # Errors
    /// In words: another process has it, it cannot be read, or the system's.
    pub(super) fn open(dir: &Path) -> Result<(Self, Vec<Line>), String> {
        let said = |error: io::Error| {
            let mend = match error.kind() {
                io::ErrorKind::PermissionDenied => "; let the user that lakegate runs as write there",
                io::ErrorKind::ReadOnlyFilesystem => "; mount a volume there that can be written to",
                _ => "",
            };
            format!("`{}`: {error}{mend}", dir.display())
        };
        let lock = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(dir.join(LOCK)).map_err(said)?;
        locked(&lock, PATIENCE).map_err(said)?;
        let Contents { lines, length, torn } = read(dir)?;
        if length == 0 {
            let mut journal = Self { file: lock.try_clone().map_err(said)?, dir: dir.to_owned(), length: 0, lines: 0, broken: None, _lock: lock };
            journal.rewrite(std::iter::empty()).map_err(said)?;
            return Ok((journal, Vec::new()));
        }
        let file = OpenOptions::new().append(true).open(path(dir)).map_err(said)?;
        if torn {
            tracing::warn!(file = %path(dir).display(), "an unfinished revocation, which nobody was told of as done, is cut off");
            file.set_len(length).and_then(|()| file.sync_all()).map_err(said)?;
        }
        Ok((Self { file, dir: dir.to_owned(), length, lines: lines.len(), broken: None, _lock: lock }, lines))
    }

    pub(super) fn lines(&self) -> usize {
        self.lines
    }

    /// Appends `line` and returns once it is on disk.
    ///
    /// # Errors
    /// The system's; the file is broken then, until it was [`rewritten`](Self::rewrite).
    pub(super) fn append(&mut self, line: &Line, now: i64) -> io::Result<()> {
        if let Some(broken) = &self.broken {
            return Err(io::Error::other(broken.error.clone()));
        }
        let text = text(line)?;
        let written = self.file.write_all(&text).and_then(|()| self.file.sync_data());
        match written {
            Ok(()) => {
                self.length = self.length.saturating_add(text.len() as u64);
                self.lines = self.lines.saturating_add(1);
            }
            Err(ref error) => {
                // What is there of the line must not be taken for one that counts, nor be joined with the next.
                let _ = self.file.set_len(self.length);
                self.fail(error, now);
            }
        }
        written
    }

    /// Replaces the file by one with these lines alone, at once or not at all.
    ///
    /// # Errors
    /// The system's; the file is as it was.
    pub(super) fn rewrite(&mut self, lines: impl Iterator<Item = Line>) -> io::Result<()> {
        let new = self.dir.join(NEW);
        let mut file = BufWriter::new(OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&new)?);
        let header = text(&Header { lakegate: "revocations".to_owned(), version: VERSION })?;
        file.write_all(&header)?;
        let (mut length, mut count) = (header.len() as u64, 0_usize);
        for line in lines {
            let text = text(&line)?;
            file.write_all(&text)?;
            length = length.saturating_add(text.len() as u64);
            count = count.saturating_add(1);
        }
        file.into_inner()?.sync_all()?;
        fs::rename(&new, path(&self.dir))?;
        File::open(&self.dir)?.sync_all()?;
        self.file = OpenOptions::new().append(true).open(path(&self.dir))?;
        (self.length, self.lines, self.broken) = (length, count, None);
        Ok(())
    }

    pub(super) fn fail(&mut self, error: &io::Error, now: i64) {
        let since = self.broken.as_ref().map_or(now, |broken| broken.since);
        self.broken = Some(Broken { error: error.to_string(), since });
    }
}

fn text(line: &impl Serialize) -> io::Result<Vec<u8>> {
    let mut text = serde_json::to_vec(line).map_err(io::Error::other)?;
    text.push(b'\n');
    Ok(text)
}

fn locked(file: &File, patience: Duration) -> io::Result<()> {
    let begun = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::WouldBlock) if begun.elapsed() < patience => sleep(Duration::from_millis(50)),
            Err(TryLockError::WouldBlock) => return Err(io::Error::other("another lakegate uses this `state_dir`; each needs one of its own")),
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authn::revoked::tests::revocation;

    fn lines(count: usize) -> Vec<Line> {
        (0..count).map(|number| Line::Revoke(Box::new(revocation(&format!("id-{number}"), 1000)))).collect()
    }

    #[test]
    fn what_is_appended_is_there_when_opened_again() {
        let dir = tempfile::tempdir().unwrap();
        let (mut journal, none) = Journal::open(dir.path()).unwrap();
        assert!(none.is_empty());
        for line in lines(3) {
            journal.append(&line, 0).unwrap();
        }
        drop(journal);
        let (mut journal, found) = Journal::open(dir.path()).unwrap();
        assert_eq!(found, lines(3));
        journal.rewrite(lines(2).into_iter()).unwrap();
        journal.append(&lines(3).pop().unwrap(), 0).unwrap();
        drop(journal);
        assert_eq!(Journal::open(dir.path()).unwrap().1, lines(3));
        let mode = std::os::unix::fs::MetadataExt::mode(&fs::metadata(path(dir.path())).unwrap());
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn cut_at_every_byte_it_holds_what_was_acknowledged() {
        let dir = tempfile::tempdir().unwrap();
        let (mut journal, _) = Journal::open(dir.path()).unwrap();
        let mut acknowledged = vec![journal.length];
        for line in lines(4) {
            journal.append(&line, 0).unwrap();
            acknowledged.push(journal.length);
        }
        drop(journal);
        let whole = fs::read(path(dir.path())).unwrap();
        for cut in usize::try_from(acknowledged[0]).unwrap()..=whole.len() {
            fs::write(path(dir.path()), &whole[..cut]).unwrap();
            let count = acknowledged.iter().filter(|&&end| end <= cut as u64).count() - 1;
            let (mut journal, found) = Journal::open(dir.path()).unwrap_or_else(|error| panic!("cut at {cut}: {error}"));
            assert_eq!(found, lines(count), "cut at {cut}");
            // What comes next does not run into what was left
            journal.append(&lines(9).pop().unwrap(), 0).unwrap();
            drop(journal);
            assert_eq!(Journal::open(dir.path()).unwrap().1.len(), count + 1, "cut at {cut}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_said() {
        let good = "{\"lakegate\":\"revocations\",\"version\":1}\n";
        for (text, said) in [
            (String::new(), "is no file of revocations"),
            ("{\"lakegate\":\"revocations\",\"version\":1}".to_owned(), "is no file of revocations"),
            ("{\"lakegate\":\"revocations\",\"version\":2}\n".to_owned(), "is of version 2"),
            ("{\"lakegate\":\"keys\",\"version\":1}\n".to_owned(), "is no file of revocations"),
            (format!("{good}\n"), "line 2"),
            (format!("{good}{{\"revoke\":{{}}}}\n"), "line 2"),
            (format!("{good}{{\"revive\":{{}}}}\n{{"), "line 2"),
            (format!("{good}\0\0\0\0\n"), "line 2"),
        ] {
            let error = parse(text.as_bytes()).unwrap_err();
            assert!(error.contains(said), "{text:?}: {error}");
        }
        assert_eq!(parse(format!("{good}\0\0\0").as_bytes()).unwrap().lines, []);
    }

    #[test]
    fn one_process_has_it_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let (held, _) = Journal::open(dir.path()).unwrap();
        let other = OpenOptions::new().write(true).open(dir.path().join(LOCK)).unwrap();
        assert!(locked(&other, Duration::ZERO).unwrap_err().to_string().contains("another lakegate"));
        drop(held);
        locked(&other, Duration::ZERO).unwrap();
    }

    #[test]
    fn a_write_that_fails_breaks_it_until_it_is_rewritten() {
        let dir = tempfile::tempdir().unwrap();
        let (mut journal, _) = Journal::open(dir.path()).unwrap();
        let all = lines(2);
        journal.append(&all[0], 0).unwrap();
        // A descriptor that cannot be written to stands for a disk that cannot
        journal.file = File::open(path(dir.path())).unwrap();
        journal.append(&all[1], 7).unwrap_err();
        assert_eq!(journal.broken.as_ref().map(|broken| broken.since), Some(7));
        journal.append(&all[1], 9).unwrap_err();
        assert_eq!(read(dir.path()).unwrap().lines, all[..1]);
        journal.rewrite(all.clone().into_iter()).unwrap();
        assert!(journal.broken.is_none());
        assert_eq!(read(dir.path()).unwrap().lines, all);
    }
}
