use std::os::unix::fs::symlink;

use super::*;

fn names(listing: &Listing, dir: &Path) -> Vec<(String, String)> {
    listing.files.iter().map(|(path, text)| (path.strip_prefix(dir).unwrap().display().to_string(), text.clone())).collect()
}

fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
    list.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
}

/// Makes files (and the folders they are in) below a new folder.
fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    folder
}

fn refusal(dir: &Path) -> String {
    read_stable(dir, Meant::Policies).expect_err("it should be refused").to_string()
}

#[test]
fn every_policy_file_below_is_read_in_order() {
    let folder = folder(&[
        ("b.cedar", "B"),
        ("a/z.cedar", "Z"),
        ("a/a.cedar", ""),
        ("c/d/e.cedar", "E"),
        ("notes.md", "N"),
        (".draft.cedar", "D"),
        (".git/x.cedar", "G"),
    ]);
    let read = read_stable(folder.path(), Meant::Policies).unwrap();
    assert_eq!(names(&read, folder.path()), pairs(&[("a/a.cedar", ""), ("a/z.cedar", "Z"), ("b.cedar", "B"), ("c/d/e.cedar", "E")]));
    let empty = folder.path().join("empty");
    fs::create_dir(&empty).unwrap();
    assert_eq!(read_stable(&empty, Meant::Policies).unwrap(), Listing::default());
}

#[test]
fn files_that_are_left_out_are_told_unless_they_are_notes_or_cases() {
    let all = ["a.cedar", "a.cedar.bak", "b.json", "c", "d.md", "e.yaml", "f.yml", "g.txt", ".h.cedar", "i/j.CEDAR", "k.cedarschema"];
    let folder = folder(&all.map(|name| (name, "")));
    let left = |meant| {
        let (first, count) = left_out(folder.path(), meant);
        (first.iter().map(|path| path.strip_prefix(folder.path()).unwrap().display().to_string()).collect::<Vec<_>>(), count)
    };
    let first = |names: [&str; 3]| names.map(str::to_owned).to_vec();
    assert_eq!(left(Meant::Policies), (first(["a.cedar.bak", "b.json", "c"]), 4));
    assert_eq!(left(Meant::Yaml), (first(["a.cedar", "a.cedar.bak", "b.json"]), 6));
    assert_eq!(left(Meant::Both).1, 0);
    assert!(!is_empty(folder.path(), Meant::Policies) && is_empty(&folder.path().join("i"), Meant::Policies));
}

#[test]
fn a_mounted_config_map_is_read_once() {
    let folder = folder(&[("..2026_01/a.cedar", "A1"), ("..2026_01/b.cedar", "B1"), ("..2026_02/a.cedar", "A2")]);
    let dir = folder.path();
    symlink("..2026_01", dir.join("..data")).unwrap();
    symlink("..data/a.cedar", dir.join("a.cedar")).unwrap();
    symlink("..data/b.cedar", dir.join("b.cedar")).unwrap();
    assert_eq!(names(&read_stable(dir, Meant::Policies).unwrap(), dir), pairs(&[("a.cedar", "A1"), ("b.cedar", "B1")]));
    symlink("..2026_02", dir.join("..data_tmp")).unwrap();
    fs::rename(dir.join("..data_tmp"), dir.join("..data")).unwrap();
    assert!(refusal(dir).contains("b.cedar: it cannot be read"), "a name that leads nowhere must not drop its policies");
    fs::remove_file(dir.join("b.cedar")).unwrap();
    assert_eq!(names(&read_stable(dir, Meant::Policies).unwrap(), dir), pairs(&[("a.cedar", "A2")]));
}

#[test]
fn links_in_circles_end_and_no_file_is_read_twice() {
    let folder = folder(&[("a.cedar", "A"), ("sub/b.cedar", "B")]);
    let dir = folder.path();
    symlink("..", dir.join("sub/up")).unwrap();
    symlink("sub", dir.join("again")).unwrap();
    symlink("a.cedar", dir.join("z.cedar")).unwrap();
    assert_eq!(names(&read_stable(dir, Meant::Policies).unwrap(), dir), pairs(&[("a.cedar", "A"), ("again/b.cedar", "B")]));
    for name in ["self.cedar", "self"] {
        symlink(name, dir.join(name)).unwrap();
        assert!(refusal(dir).contains(&format!("{name}: it cannot be read")), "a link into nothing may have led to policies");
        fs::remove_file(dir.join(name)).unwrap();
    }
}

#[test]
fn what_cannot_be_policies_is_refused() {
    let none = folder(&[]);
    assert!(refusal(&none.path().join("none")).contains("none: it cannot be read: entity not found"));
    let binary = folder(&[("a.cedar", "permit")]);
    fs::write(binary.path().join("b.cedar"), b"\xff").unwrap();
    assert!(refusal(binary.path()).contains("b.cedar: it is not UTF-8"));
    let socket = folder(&[]);
    let _listener = std::os::unix::net::UnixListener::bind(socket.path().join("s.cedar")).unwrap();
    assert!(refusal(socket.path()).contains("s.cedar: it is not a regular file"));
    let deep = folder(&[(&format!("{}/a.cedar", "d/".repeat(DEPTH_MAX + 1)), "A")]);
    assert!(refusal(deep.path()).contains("deeper than 16 folders"));
}

#[test]
fn there_are_caps() {
    let folder = folder(&[("a.cedar", "AAAA"), ("b.cedar", "BBBB")]);
    let refused = |caps: Caps| match attempt(|| stamps(folder.path(), caps), || ()) {
        Err(Trouble::Fault(fault)) => fault.message,
        _ => panic!("it should be refused"),
    };
    let room = Caps { meant: Meant::Policies, files: 2, file_bytes: 4, total_bytes: 8 };
    assert!(attempt(|| stamps(folder.path(), room), || ()).is_ok());
    assert!(refused(Caps { meant: Meant::Policies, files: 1, ..room }).contains("more than 1 files"));
    assert!(refused(Caps { file_bytes: 3, ..room }).contains("longer than"));
    assert!(refused(Caps { total_bytes: 7, ..room }).contains("together"));
}

/// A listing counts only if nothing moved between its two looks; the next attempt at what is there then is good.
fn unsettles(what: &str, change: impl FnOnce(&Path)) {
    let parent = folder(&[("p/a.cedar", "A"), ("p/b.cedar", "B")]);
    let dir = parent.path().join("p");
    assert!(matches!(attempt(|| stamps(&dir, CAPS), || change(&dir)), Err(Trouble::Unstable)), "{what}");
    assert!(attempt(|| stamps(&dir, CAPS), || ()).is_ok(), "{what}");
}

#[test]
fn a_change_under_the_reading_is_noticed() {
    unsettles("another file", |dir| fs::write(dir.join("c.cedar"), "C").unwrap());
    unsettles("a file less", |dir| fs::remove_file(dir.join("b.cedar")).unwrap());
    unsettles("an emptied file", |dir| fs::write(dir.join("b.cedar"), "").unwrap());
    unsettles("a file renamed", |dir| fs::rename(dir.join("b.cedar"), dir.join("c.cedar")).unwrap());
    unsettles("a file replaced by one of the same size", |dir| {
        fs::write(dir.join("new"), "X").unwrap();
        fs::rename(dir.join("new"), dir.join("b.cedar")).unwrap();
    });
    unsettles("the folder replaced", |dir| {
        fs::rename(dir, dir.with_extension("old")).unwrap();
        fs::create_dir(dir).unwrap();
    });
}

#[test]
fn one_file_is_read_in_the_same_way() {
    let folder = folder(&[("entities.json", "[]"), ("sub/x", "")]);
    let path = folder.path().join("entities.json");
    assert_eq!(read_stable_file(&path).unwrap(), "[]");
    let link = folder.path().join("link.json");
    symlink("entities.json", &link).unwrap();
    assert_eq!(read_stable_file(&link).unwrap(), "[]");
    let unstable = attempt(|| single(&path, CAPS), || fs::write(&path, "[1]").unwrap());
    assert!(matches!(unstable, Err(Trouble::Unstable)));
    let refused = |name: &str| read_stable_file(&folder.path().join(name)).expect_err("it should be refused").to_string();
    assert!(refused("none").contains("none: it cannot be read: entity not found"));
    assert!(refused("sub").contains("sub: it is not a regular file"));
    fs::write(&path, b"\xff").unwrap();
    assert!(refused("entities.json").contains("it is not UTF-8"));
}

#[test]
fn a_folder_that_never_holds_still_is_refused() {
    let folder = folder(&[("a.cedar", "A")]);
    // Longer each time: two writes within one tick of file times differ in nothing else.
    let (mut text, mut readings) = ("A".to_owned(), 0);
    let read = insist(folder.path(), || {
        readings += 1;
        let write = || {
            text.push('x');
            fs::write(folder.path().join("a.cedar"), &text).unwrap();
        };
        attempt(|| stamps(folder.path(), CAPS), write)
    });
    assert!(read.expect_err("it should be refused").message.contains("does not hold still"));
    assert_eq!(readings, ATTEMPTS);
}

/// Two folders of which a link swaps both at once: what was read of one state is never put together with what was read of the other.
#[test]
fn what_changes_while_it_is_read_together_is_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let (one, other) = (folder.path().join("one.yaml"), folder.path().join("other.yaml"));
    let write = |text: &str| [&one, &other].into_iter().for_each(|file| fs::write(file, text).unwrap());
    write("first");
    let mut reads = 0;
    let read = read_together(&[&one, &other], || {
        reads += 1;
        let before = read_stable_file(&one).unwrap();
        if reads == 1 {
            write("second!");
        }
        Ok((before, read_stable_file(&other).unwrap()))
    });
    assert_eq!((read.unwrap(), reads), (("second!".to_owned(), "second!".to_owned()), 2));
    let mut size = 0;
    let restless = read_together(&[&one], || {
        size += 1;
        fs::write(&one, "x".repeat(size)).unwrap();
        Ok(())
    });
    assert!(restless.unwrap_err()[0].to_string().contains("do not hold still"));
    // What is in the way of one of them is told, not tried again.
    let gone = folder.path().join("gone");
    assert_eq!(read_together(&[&gone], || Err::<(), _>(vec![refused(&gone)])).unwrap_err(), [refused(&gone)]);
}

fn refused(path: &Path) -> Fault {
    fault(path, "it is gone".to_owned(), "restore it")
}
