use std::os::unix::fs::symlink;

use tokio::time::timeout;

use super::*;

/// Long enough for any machine; a test that passes never waits for it.
const PATIENCE: Duration = Duration::from_mins(1);

fn run(test: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(test);
}

/// Each step changes something that is watched, and each must be reported.
async fn reports(mut watcher: Watcher, steps: &[(&str, &dyn Fn())]) {
    for (what, step) in steps {
        step();
        timeout(PATIENCE, watcher.changed()).await.unwrap_or_else(|_| panic!("not reported: {what}"));
    }
}

#[test]
fn every_way_in_which_a_file_changes_is_reported() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("lakegate.yaml");
    fs::write(&file, "1").unwrap();
    run(async {
        let steps: [(&str, &dyn Fn()); 5] = [
            ("written in place", &|| fs::write(&file, "22").unwrap()),
            ("replaced", &|| {
                fs::write(folder.path().join("new"), "33").unwrap();
                fs::rename(folder.path().join("new"), &file).unwrap();
            }),
            ("removed", &|| fs::remove_file(&file).unwrap()),
            ("there again", &|| fs::write(&file, "4").unwrap()),
            ("written again", &|| fs::write(&file, "55").unwrap()),
        ];
        reports(Watcher::new(vec![file.clone()]), &steps).await;
    });
}

#[test]
fn every_way_in_which_a_policy_folder_changes_is_reported() {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("policies");
    run(async {
        let steps: [(&str, &dyn Fn()); 7] = [
            ("made", &|| fs::create_dir(&dir).unwrap()),
            ("a file", &|| fs::write(dir.join("a.cedar"), "A").unwrap()),
            ("a folder with a file", &|| {
                fs::create_dir(dir.join("sub")).unwrap();
                fs::write(dir.join("sub/b.cedar"), "B").unwrap();
            }),
            ("a file in that folder", &|| fs::write(dir.join("sub/b.cedar"), "BB").unwrap()),
            ("a file gone", &|| fs::remove_file(dir.join("a.cedar")).unwrap()),
            ("replaced as a whole", &|| {
                fs::rename(&dir, parent.path().join("old")).unwrap();
                fs::create_dir(&dir).unwrap();
            }),
            ("a file in the new one", &|| fs::write(dir.join("c.cedar"), "C").unwrap()),
        ];
        reports(Watcher::new(vec![dir.clone()]), &steps).await;
    });
}

#[test]
fn the_swap_of_a_mounted_config_map_is_reported() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    for (version, text) in [("..1", "A"), ("..2", "B"), ("..3", "C")] {
        fs::create_dir(dir.join(version)).unwrap();
        fs::write(dir.join(version).join("a.cedar"), text).unwrap();
    }
    symlink("..1", dir.join("..data")).unwrap();
    symlink("..data/a.cedar", dir.join("a.cedar")).unwrap();
    let swap = |to: &str| {
        symlink(to, dir.join("..data_tmp")).unwrap();
        fs::rename(dir.join("..data_tmp"), dir.join("..data")).unwrap();
    };
    for watched in [dir.to_owned(), dir.join("a.cedar")] {
        run(async {
            let steps: [(&str, &dyn Fn()); 3] = [("first", &|| swap("..2")), ("second", &|| swap("..3")), ("back", &|| swap("..1"))];
            reports(Watcher::new(vec![watched]), &steps).await;
        });
    }
}

#[test]
fn without_notices_of_the_system_a_change_is_still_found() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a");
    run(async {
        let mut watcher = Watcher::new(vec![file.clone()]);
        watcher.system = None;
        reports(watcher, &[("made", &|| fs::write(&file, "1").unwrap()), ("changed", &|| fs::write(&file, "22").unwrap())]).await;
    });
}

/// A neighbour that is written all the time (an audit log beside the configuration) must not reload anything.
#[test]
fn what_is_not_watched_is_not_reported() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("lakegate.yaml");
    fs::write(&file, "1").unwrap();
    run(async {
        let mut watcher = Watcher::new(vec![file.clone(), folder.path().to_owned()]);
        for line in 0..3 {
            fs::write(folder.path().join("audit.jsonl"), "x".repeat(line + 1)).unwrap();
            drop(fs::read(&file).unwrap());
            assert!(timeout(Duration::from_millis(500), watcher.changed()).await.is_err());
        }
        fs::write(&file, "22").unwrap();
        timeout(PATIENCE, watcher.changed()).await.expect("a change after silence is reported");
    });
}

/// Without the look each second, so that only notices cause looks. The change in the end says that all notices before it have arrived.
#[test]
fn a_neighbour_that_is_written_all_the_time_costs_no_looks() {
    let folder = tempfile::tempdir().unwrap();
    let [file, policies, log] = ["lakegate.yaml", "policies", "audit.jsonl"].map(|name| folder.path().join(name));
    fs::write(&file, "1").unwrap();
    fs::create_dir(&policies).unwrap();
    run(async {
        let mut watcher = Watcher::new(vec![file.clone(), policies.clone()]);
        watcher.poll = interval(Duration::from_hours(1));
        if watcher.system.is_none() {
            return;
        }
        for length in 0..1000 {
            fs::write(&log, "x".repeat(length)).unwrap();
            assert!(timeout(Duration::from_millis(1), watcher.changed()).await.is_err(), "nothing has changed");
        }
        assert!(watcher.looks <= 3, "{} looks", watcher.looks);
        fs::write(&file, "22").unwrap();
        timeout(PATIENCE, watcher.changed()).await.expect("a notice that matters is not ignored");
    });
}

/// What is written below a policy folder may matter, and is looked at, but not for each notice.
#[test]
fn a_flood_of_notices_causes_one_look_in_a_hundred_milliseconds() {
    let folder = tempfile::tempdir().unwrap();
    run(async {
        let mut watcher = Watcher::new(vec![folder.path().to_owned()]);
        watcher.poll = interval(Duration::from_hours(1));
        let began = Instant::now();
        for length in 0..1000 {
            fs::write(folder.path().join("audit.jsonl"), "x".repeat(length)).unwrap();
            assert!(timeout(Duration::from_millis(1), watcher.changed()).await.is_err(), "nothing has changed");
        }
        let most = began.elapsed().as_millis() / DEBOUNCE.as_millis() + 1;
        assert!(u128::try_from(watcher.looks).unwrap() <= most, "{} looks, not {most}", watcher.looks);
    });
}

#[test]
fn a_path_that_joins_later_counts_as_changed_once() {
    let folder = tempfile::tempdir().unwrap();
    let [old, new] = ["old", "new"].map(|name| folder.path().join(name));
    fs::write(&old, "1").unwrap();
    fs::write(&new, "1").unwrap();
    run(async {
        let mut watcher = Watcher::new(vec![old.clone()]);
        watcher.retarget(vec![old.clone()]);
        assert!(timeout(Duration::from_millis(500), watcher.changed()).await.is_err(), "nothing is new");
        watcher.retarget(vec![new.clone()]);
        timeout(PATIENCE, watcher.changed()).await.expect("it may have been read before it was watched");
        fs::write(&old, "22").unwrap();
        assert!(timeout(Duration::from_millis(500), watcher.changed()).await.is_err(), "it is no longer watched");
        fs::write(&new, "22").unwrap();
        timeout(PATIENCE, watcher.changed()).await.expect("it is watched");
    });
}

#[test]
fn another_hindrance_is_a_change() {
    let folder = tempfile::tempdir().unwrap();
    let link = |name: &str| symlink("none", folder.path().join(name)).unwrap();
    run(async {
        let steps: [(&str, &dyn Fn()); 3] = [
            ("a link into nothing", &|| link("b.cedar")),
            ("one before it", &|| link("a.cedar")),
            ("both gone", &|| ["a.cedar", "b.cedar"].iter().for_each(|name| fs::remove_file(folder.path().join(name)).unwrap())),
        ];
        reports(Watcher::new(vec![folder.path().to_owned()]), &steps).await;
    });
}

/// What is dropped in the middle is reported by the next call.
#[test]
fn a_dropped_wait_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a");
    run(async {
        let mut watcher = Watcher::new(vec![file.clone()]);
        fs::write(&file, "1").unwrap();
        for wait in [0, 1, 20, 60] {
            if timeout(Duration::from_millis(wait), watcher.changed()).await.is_ok() {
                return;
            }
        }
        timeout(PATIENCE, watcher.changed()).await.expect("it is still reported");
    });
}

/// One report for a burst, and only after it: what is read then is what the last write left.
#[test]
fn a_burst_is_reported_once_it_is_over() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.cedar");
    run(async {
        let mut watcher = Watcher::new(vec![folder.path().to_owned()]);
        let writer = tokio::spawn({
            let file = file.clone();
            async move {
                for length in 1..=10_usize {
                    fs::write(&file, "x".repeat(length)).unwrap();
                    sleep(Duration::from_millis(20)).await;
                }
            }
        });
        while fs::read(&file).map_or(0, |bytes| bytes.len()) < 10 {
            timeout(PATIENCE, watcher.changed()).await.expect("the burst is reported");
        }
        writer.await.unwrap();
    });
}

#[test]
fn what_was_looked_at_on_request_is_not_reported_again() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("lakegate.yaml");
    fs::write(&file, "1").unwrap();
    run(async {
        let mut watcher = Watcher::new(vec![file.clone()]);
        assert!(!watcher.catch_up().await);
        fs::write(&file, "22").unwrap();
        assert!(watcher.catch_up().await);
        assert!(!watcher.catch_up().await);
        let twice = DEBOUNCE * 2 + POLL;
        assert!(timeout(twice, watcher.changed()).await.is_err());
        fs::write(&file, "333").unwrap();
        timeout(PATIENCE, watcher.changed()).await.unwrap();
        assert!(!watcher.catch_up().await);
    });
}
