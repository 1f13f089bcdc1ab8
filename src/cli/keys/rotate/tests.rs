use std::os::unix::fs::PermissionsExt as _;

use super::*;
use crate::signer::SigningKey;

const NOW: i64 = 1_800_000_000;
const WAIT: Duration = Duration::from_mins(5);

/// Three key files of a folder, each made a day ago.
struct Keys {
    _folder: tempfile::TempDir,
    named: Named,
}

// === impl Keys ===

impl Keys {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let files = ["current.pem", "next.pem", "previous.pem"].map(|name| folder.path().join(name)).to_vec();
        for file in &files {
            fs::write(file, &*Stored::make(Algorithm::Es256, NOW - 86_400).unwrap().text).unwrap();
            fs::set_permissions(file, fs::Permissions::from_mode(0o640)).unwrap();
        }
        Self { _folder: folder, named: Named { files, wait: WAIT, exchanged: None } }
    }

    fn ids(&self) -> [String; 3] {
        [0, 1, 2].map(|at| SigningKey::read(&self.named.files[at]).unwrap().id().to_owned())
    }

    fn copy(&self, from: usize, to: usize) {
        fs::copy(&self.named.files[from], &self.named.files[to]).unwrap();
    }

    fn rotate(&self, now: i64) -> Result<(), Stopped> {
        rotate(&args(false), &self.named, now)
    }

    /// Only the three, with the rights that they had.
    fn tidy(&self) {
        let names = fs::read_dir(self.named.files[0].parent().unwrap()).unwrap().count();
        assert_eq!(names, 3, "nothing is left beside the keys");
        for file in &self.named.files {
            assert_eq!(fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o640);
        }
    }
}

fn args(force: bool) -> Args {
    Args { which: Which { config: None, files: Vec::new() }, algorithm: None, force }
}

fn told(stopped: Result<(), Stopped>) -> String {
    match stopped.unwrap_err() {
        Stopped::Refused(why) => why,
        Stopped::Faults(faults) => faults.iter().map(ToString::to_string).collect(),
    }
}

#[test]
fn each_key_moves_on_by_one_place() {
    let keys = Keys::new();
    let [current, next, previous] = keys.ids();
    keys.rotate(NOW).unwrap();
    let [now, new, before] = keys.ids();
    assert_eq!((&now, &before), (&next, &current));
    assert!(![current, next, previous].contains(&new));
    keys.tidy();
    let made = Stored::read(&keys.named.files[1]).unwrap().made_at;
    assert_eq!((made, Stored::read(&keys.named.files[0]).unwrap().made_at), (NOW, NOW - 86_400), "its age goes with a key");
}

/// Whatever a kill leaves behind is a state in which all keys that sign or have signed are there, and which the next rotation ends.
#[test]
fn a_rotation_that_was_cut_short_is_ended_by_the_next() {
    for steps in [&[(0, 2)][..], &[(0, 2), (1, 0)]] {
        let keys = Keys::new();
        let [current, next, _] = keys.ids();
        for (from, to) in steps {
            keys.copy(*from, *to);
        }
        // what the kill left unused
        fs::write(beside(&keys.named.files[1]), "half a key").unwrap();
        let held = keys.ids();
        assert!(held.contains(&current) && held.contains(&next));
        keys.rotate(NOW).unwrap();
        let [now, new, before] = keys.ids();
        assert_eq!((&now, &before), (&next, &current), "after {steps:?}");
        assert!(new != current && new != next);
        keys.tidy();
    }
}

fn beside(file: &Path) -> PathBuf {
    super::super::file::beside(file).unwrap()
}

#[test]
fn a_key_signs_only_once_everybody_can_know_it() {
    let keys = Keys::new();
    keys.rotate(NOW).unwrap();
    let before = keys.ids();
    let why = told(keys.rotate(NOW + 299));
    assert!(why.contains("--force") && why.contains(&before[1]), "{why}");
    assert_eq!(keys.ids(), before, "nothing was changed");
    // rounded, so that whoever waits as long has waited long enough
    for (made_ago, says) in [(1, "made 1s ago, and for 5m some"), (1, ": wait 5m,"), (170, "made 2m ago"), (170, ": wait 3m,"), (299, ": wait 1s,")] {
        let why = told(keys.rotate(NOW + made_ago));
        assert!(why.contains(says), "{says}: {why}");
    }
    // a clock that was set back
    assert!(keys.rotate(NOW - 10_000).is_err());
    keys.rotate(NOW + 300).unwrap();
    assert_eq!(keys.ids()[0], before[1]);
    rotate(&args(true), &keys.named, NOW + 301).unwrap();
    assert_eq!(keys.ids()[2], before[1]);
}

#[test]
fn what_cannot_be_rotated_is_left_as_it_is() {
    let keys = Keys::new();
    let files = keys.named.files.clone();
    let before = keys.ids();
    let named = |files: Vec<PathBuf>| Named { files, wait: WAIT, exchanged: None };
    let refused = |files: Vec<PathBuf>| told(rotate(&args(true), &named(files), NOW));
    assert!(refused(files[..1].to_vec()).contains("one is named here"));
    assert!(refused(files[..2].to_vec()).contains("lakegate keys new FILE"));
    assert!(refused(vec![files[0].clone(), files[1].clone(), files[0].clone()]).contains("named twice"));
    let broken = files[0].with_file_name("broken.pem");
    fs::write(&broken, "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n").unwrap();
    let why = refused(vec![files[0].clone(), files[1].clone(), broken.clone()]);
    assert!(why.contains("broken.pem") && !why.contains("c2VjcmV0"), "{why}");
    fs::remove_file(broken).unwrap();
    let held = hold(&files[1]).unwrap();
    assert!(refused(files.clone()).contains("at work"));
    drop(held);
    assert_eq!(keys.ids(), before);
    keys.tidy();
}

/// As Kubernetes mounts a Secret.
#[test]
fn a_mounted_secret_is_rotated_elsewhere() {
    let keys = Keys::new();
    let root = keys.named.files[0].parent().unwrap();
    let mount = root.join("..2026_11_23");
    fs::create_dir(&mount).unwrap();
    std::os::unix::fs::symlink("..2026_11_23", root.join("..data")).unwrap();
    for file in &keys.named.files {
        fs::rename(file, mount.join(file.file_name().unwrap())).unwrap();
        std::os::unix::fs::symlink(Path::new("..data").join(file.file_name().unwrap()), file).unwrap();
    }
    let before = keys.ids();
    let why = told(keys.rotate(NOW));
    assert!(why.contains("kubectl create secret generic") && why.contains("Nothing was changed"), "{why}");
    assert_eq!(keys.ids(), before);
}

/// A link of one's own is followed, and stays one.
#[test]
fn links_stay_links() {
    let keys = Keys::new();
    let links: Vec<PathBuf> = keys.named.files.iter().map(|file| file.with_extension("link")).collect();
    for (file, link) in keys.named.files.iter().zip(&links) {
        std::os::unix::fs::symlink(file, link).unwrap();
    }
    let next = keys.ids()[1].clone();
    rotate(&args(false), &Named { files: links.clone(), wait: WAIT, exchanged: None }, NOW).unwrap();
    assert_eq!(keys.ids()[0], next);
    assert!(links.iter().all(|link| link.is_symlink()));
}

/// Databricks takes ES256 alone of what signs here.
#[test]
fn no_key_comes_to_sign_that_databricks_does_not_take() {
    let eddsa = |force| Args { algorithm: Some(Chosen::Eddsa), ..args(force) };
    let mut keys = Keys::new();
    keys.named.exchanged = Some("prod".to_owned());
    let before = keys.ids();
    for force in [false, true] {
        let said = told(rotate(&eddsa(force), &keys.named, NOW));
        assert!(said.contains("the new key would sign with EdDSA, and `prod`"), "{said}");
    }
    fs::write(&keys.named.files[1], &*Stored::make(Algorithm::EdDsa, NOW - 86_400).unwrap().text).unwrap();
    let [_, next, _] = keys.ids();
    for chosen in [None, Some(Chosen::Es256), Some(Chosen::Eddsa)] {
        let said = told(rotate(&Args { algorithm: chosen, ..args(true) }, &keys.named, NOW));
        assert!(said.contains(&format!("the next key, {next}, signs with EdDSA, and `prod`")), "{chosen:?}: {said}");
    }
    assert_eq!(keys.ids(), [before[0].clone(), next, before[2].clone()], "nothing was changed");
    // One that was cut short once it signed: the last step puts another kind behind it.
    keys.copy(1, 0);
    assert!(told(rotate(&args(true), &keys.named, NOW)).contains("`--algorithm es256`"));
    rotate(&Args { algorithm: Some(Chosen::Es256), ..args(true) }, &keys.named, NOW).unwrap();
    rotate(&args(true), &keys.named, NOW).unwrap();
    assert_eq!(SigningKey::read(&keys.named.files[0]).unwrap().algorithm(), Algorithm::Es256);
    // Where nothing is exchanged, either kind will do.
    keys.named.exchanged = None;
    rotate(&eddsa(true), &keys.named, NOW).unwrap();
    rotate(&args(true), &keys.named, NOW).unwrap();
    assert_eq!(SigningKey::read(&keys.named.files[0]).unwrap().algorithm(), Algorithm::EdDsa);
}
