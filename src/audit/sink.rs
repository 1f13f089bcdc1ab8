//! Where lines go: a file that may be moved away under us, or standard output.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use super::Sink;

/// An open sink.
#[derive(Debug)]
pub(super) enum Output {
    File {
        path: PathBuf,
        file: File,
        /// Its last line has no end yet: whoever wrote it was broken off.
        torn: bool,
    },
    Stdout,
}

// === impl Output ===

impl Output {
    pub(super) fn open(sink: &Sink) -> io::Result<Self> {
        Ok(match sink {
            Sink::File(path) => Self::File { path: path.clone(), file: append(path)?, torn: is_torn(path) },
            Sink::Stdout => Self::Stdout,
        })
    }

    /// Writes some of `lines`, at least one byte, and says how much.
    pub(super) fn write(&mut self, lines: &[u8]) -> io::Result<usize> {
        let written = match self {
            Self::File { file, torn, .. } => {
                if *torn {
                    // Else the first record of this process would be a part of the last one of another, and neither could be read.
                    file.write_all(b"\n")?;
                    *torn = false;
                }
                file.write(lines)?
            }
            Self::Stdout => io::stdout().lock().write(lines)?,
        };
        if written == 0 { Err(io::ErrorKind::WriteZero.into()) } else { Ok(written) }
    }

    pub(super) fn flush(&mut self) -> io::Result<()> {
        if let Self::Stdout = self { io::stdout().lock().flush() } else { Ok(()) }
    }

    pub(super) fn sync(&mut self) -> io::Result<()> {
        if let Self::File { file, .. } = self { file.sync_data() } else { Ok(()) }
    }

    /// Opens the file anew where its path names another one by now, and says whether it did.
    pub(super) fn follow(&mut self) -> io::Result<bool> {
        if let Self::File { path, file, torn } = self {
            let same = match std::fs::metadata(&*path) {
                Ok(there) => {
                    let ours = file.metadata()?;
                    (there.dev(), there.ino()) == (ours.dev(), ours.ino())
                }
                Err(_) => false,
            };
            if !same {
                *file = append(path)?;
                *torn = is_torn(path);
                tracing::info!(file = %path.display(), "the audit file was moved and is opened anew");
            }
            return Ok(!same);
        }
        Ok(false)
    }
}

/// Readable by the owner and its group alone: records name people.
fn append(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).mode(0o640).open(path)
}

/// Whether there are bytes behind the last end of a line. What cannot be looked at is taken for whole.
fn is_torn(path: &Path) -> bool {
    let last = || -> io::Result<u8> {
        let file = File::open(path)?;
        let mut last = [b'\n'];
        if let Some(at) = file.metadata()?.len().checked_sub(1) {
            file.read_exact_at(&mut last, at)?;
        }
        Ok(last[0])
    };
    path.is_file() && last().is_ok_and(|last| last != b'\n')
}
