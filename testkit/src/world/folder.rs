use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

/// Where a world's files are: removed with it, or kept where its maker said.
pub(super) enum Folder {
    Temporary(TempDir),
    Kept(PathBuf),
}

// === impl Folder ===

impl Folder {
    pub(super) fn open(kept: Option<PathBuf>) -> io::Result<Self> {
        match kept {
            None => Ok(Self::Temporary(tempfile::Builder::new().prefix("lakegate-world-").tempdir()?)),
            Some(path) => {
                fs::create_dir_all(&path)?;
                Ok(Self::Kept(fs::canonicalize(path)?))
            }
        }
    }

    pub(super) fn path(&self) -> &Path {
        match self {
            Self::Temporary(folder) => folder.path(),
            Self::Kept(path) => path,
        }
    }

    /// Leaves the files of a failed test where its reader can find them.
    #[expect(clippy::print_stderr, reason = "the reader of a failed test must learn where its files are")]
    pub(super) fn keep(&mut self) {
        if let Self::Temporary(folder) = self {
            folder.disable_cleanup(true);
            eprintln!("files of the failed world: {}", folder.path().display());
        }
    }
}
