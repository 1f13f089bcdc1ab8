use std::{
    collections::{BTreeSet, HashSet},
    ffi::{OsStr, OsString},
    fs,
    path::{Path, PathBuf, absolute},
};

use notify::Event;

/// What a notice must be about to matter: of the folders that are watched for the sake of a file in them, most other files do not.
///
/// It errs towards yes. What it misses all the same (a link in the middle of a path that leads elsewhere) the look each second finds.
#[derive(Debug, Default)]
pub(super) struct Scope {
    /// The names of what is watched and of what their links lead to, in whatever folder.
    names: HashSet<OsString>,
    /// Folders whose own coming and going matters.
    folders: HashSet<PathBuf>,
    /// Policy folders: whatever is below them matters.
    trees: Vec<PathBuf>,
}

/// How many links a name may lead through, as for the system itself.
const LINKS_MAX: usize = 40;

// === impl Scope ===

impl Scope {
    /// For `paths`, for which the system gives notices of `folders`.
    pub(super) fn new(paths: &[PathBuf], folders: &BTreeSet<PathBuf>) -> Self {
        let mut scope = Self { folders: folders.iter().flat_map(|folder| spellings(folder)).collect(), ..Self::default() };
        for path in paths {
            scope.names.extend(links(path).iter().filter_map(|link| link.file_name()).map(OsStr::to_owned));
            scope.names.extend(fs::canonicalize(path).ok().as_deref().and_then(Path::file_name).map(OsStr::to_owned));
            if path.is_dir() {
                scope.trees.extend(spellings(path));
            }
        }
        scope
    }

    /// Whether `event` may be about a change of what is watched.
    pub(super) fn covers(&self, event: &Event) -> bool {
        if event.kind.is_access() {
            return false;
        }
        // A notice without a path stands for many that were lost.
        event.need_rescan() || event.paths.is_empty() || event.paths.iter().any(|path| self.covers_path(path))
    }

    fn covers_path(&self, path: &Path) -> bool {
        let name = path.file_name().unwrap_or_default();
        // Kubernetes swaps `..data` and the folders behind it, in the folder of what they are the contents of.
        name.as_encoded_bytes().starts_with(b"..")
            || self.names.contains(name)
            || self.folders.contains(path)
            || self.trees.iter().any(|tree| path.starts_with(tree))
    }
}

/// How the system may write `path` in a notice.
fn spellings(path: &Path) -> impl Iterator<Item = PathBuf> {
    [absolute(path).ok(), fs::canonicalize(path).ok()].into_iter().flatten()
}

/// `path` and every link that its last name leads through.
fn links(path: &Path) -> Vec<PathBuf> {
    let mut links = vec![path.to_owned()];
    let mut last = path.to_owned();
    while links.len() <= LINKS_MAX
        && let Ok(to) = fs::read_link(&last)
    {
        last = last.parent().unwrap_or(Path::new("")).join(to);
        links.push(last.clone());
    }
    links
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use notify::{
        EventKind,
        event::{AccessKind, Flag, ModifyKind},
    };

    use super::*;

    #[test]
    fn a_notice_matters_where_what_is_watched_may_have_changed() {
        let temp = tempfile::tempdir().unwrap();
        let root = fs::canonicalize(temp.path()).unwrap();
        for folder in ["etc/policies/sub", "far"] {
            fs::create_dir_all(root.join(folder)).unwrap();
        }
        fs::write(root.join("far/v1.yaml"), "").unwrap();
        symlink("../far/v1.yaml", root.join("etc/stable.yaml")).unwrap();
        symlink("stable.yaml", root.join("etc/lakegate.yaml")).unwrap();
        let paths = ["etc/lakegate.yaml", "etc/policies", "etc/absent.json"].map(|path| root.join(path));
        let folders = ["etc", "far", "etc/policies", "etc/policies/sub"].map(|path| root.join(path)).into();
        let scope = Scope::new(&paths, &folders);
        let cases = [
            ("etc/lakegate.yaml", true),
            ("etc/stable.yaml", true),
            ("far/v1.yaml", true),
            ("etc/absent.json", true),
            ("etc/policies", true),
            ("etc/policies/a.cedar", true),
            ("etc/policies/sub/deeper", true),
            ("etc/..data", true),
            ("etc/..data_tmp", true),
            ("etc/..2026_01_01", true),
            ("etc", true),
            ("far", true),
            ("etc/audit.jsonl", false),
            ("etc/audit.jsonl.1", false),
            ("etc/lakegate.yaml.swp", false),
            ("etc/policies-old", false),
            ("far/v2.yaml", false),
        ];
        let changed = EventKind::Modify(ModifyKind::Any);
        for (path, expected) in cases {
            assert_eq!(scope.covers(&Event::new(changed).add_path(root.join(path))), expected, "{path}");
            assert!(!scope.covers(&Event::new(EventKind::Access(AccessKind::Any)).add_path(root.join(path))), "only read: {path}");
        }
        let both = Event::new(changed).add_path(root.join("etc/new")).add_path(root.join("etc/lakegate.yaml"));
        assert!(scope.covers(&both), "moved onto what is watched");
        assert!(scope.covers(&Event::new(changed)), "about nothing in particular");
        assert!(scope.covers(&Event::new(EventKind::Other).add_path(root.join("etc/audit.jsonl")).set_flag(Flag::Rescan)), "notices were lost");
    }
}
