//! The room by itself: many revocations, those on disk held to those in memory, a process that is killed.

use std::{collections::BTreeMap, fs, sync::mpsc};

use proptest::prelude::*;

use super::*;
use crate::model::{Name, PrincipalKind, Token};

const ISSUER: &str = "https://idp.example";
const OPERATOR: By = By::Operator { uid: 0, pid: Some(1) };
const NOW: i64 = 1_000_000;

/// Of all tokens with the `jti` that is like its id.
pub(super) fn revocation(id: &str, until: i64) -> Revocation {
    Revocation {
        id: id.to_owned(),
        issuer: ISSUER.to_owned(),
        whose: Whose::TokenId(format!("jti of {id}")),
        before: None,
        until,
        made_at: 100,
        by: OPERATOR,
        note: Some("lost \"laptop\"\n".to_owned()),
        logout: None,
    }
}

fn token() -> Token {
    Token {
        issuer: Name::parse("corp").unwrap(),
        kind: PrincipalKind::User,
        subject: "alice".to_owned(),
        groups: vec![],
        roles: vec![],
        scopes: vec![],
        client: None,
        expires_at: NOW + 600,
        issued_at: Some(NOW - 5),
        auth_time: None,
        acr: None,
        id: Some("j1".to_owned()),
        session: Some("s1".to_owned()),
        actors: vec![],
        claims: vec![],
        purpose: None,
        email: None,
        groups_elsewhere: false,
        digest: [0; 32],
    }
}

fn refuses(revocations: &Revocations, token: &Token, now: i64) -> bool {
    revocations.check(&Marks::of(ISSUER, token, Some(&token.subject)), token.issued_at, now).is_err()
}

fn in_memory() -> Revocations {
    Revocations::read(None, NOW).unwrap()
}

fn kept(dir: &Path) -> Revocations {
    let revocations = Revocations::read(Some(dir), NOW).unwrap();
    revocations.keep(NOW).unwrap();
    revocations
}

#[test]
fn which_tokens_are_refused() {
    use Whose::{Everyone, Session, Subject, TokenId};
    let of = |change: fn(&mut Token)| {
        let mut token = token();
        change(&mut token);
        token
    };
    let session = |subject: Option<&str>| Session { id: "s1".to_owned(), subject: subject.map(str::to_owned) };
    let (alice, everyone) = (Subject("alice".to_owned()), Everyone);
    let cases: Vec<(Whose, Option<i64>, Token, bool)> = vec![
        (TokenId("j1".to_owned()), None, token(), true),
        (TokenId("j2".to_owned()), None, token(), false),
        (TokenId("s1".to_owned()), None, token(), false),
        (TokenId("j1".to_owned()), None, of(|t| t.id = None), false),
        (session(None), None, token(), true),
        (session(None), None, of(|t| t.session = None), false),
        (session(Some("alice")), Some(NOW), of(|t| t.session = None), true),
        (session(Some("alice")), Some(NOW), of(|t| (t.session, t.issued_at) = (None, Some(NOW))), false),
        (session(Some("alice")), Some(NOW), of(|t| t.session = Some("s2".to_owned())), false),
        (session(Some("alice")), Some(0), token(), true),
        (session(Some("bob")), Some(NOW), of(|t| t.session = None), false),
        (alice.clone(), Some(NOW), token(), true),
        (alice.clone(), Some(NOW), of(|t| t.issued_at = None), true),
        (alice.clone(), Some(NOW - 5), token(), false),
        (alice.clone(), Some(NOW - 4), token(), true),
        (alice.clone(), None, of(|t| t.issued_at = Some(NOW + 30)), true),
        (alice.clone(), None, of(|t| t.subject = "Alice".to_owned()), false),
        // Whoever acts, or acted before
        (alice.clone(), None, of(|t| (t.subject, t.actors) = ("bob".to_owned(), vec!["alice".to_owned()])), true),
        (alice, Some(NOW), of(|t| (t.subject, t.actors) = ("bob".to_owned(), vec!["agent".to_owned(), "alice".to_owned()])), true),
        (everyone.clone(), Some(NOW), token(), true),
        (everyone.clone(), Some(NOW), of(|t| t.issued_at = None), true),
        (everyone, Some(NOW - 5), token(), false),
    ];
    for (whose, before, token, refused) in cases {
        let revocations = in_memory();
        let what = format!("{whose:?} before {before:?}: {token:?}");
        revocations.add(Revocation { whose, before, ..revocation("a", NOW + 10) }, NOW).unwrap();
        assert_eq!(refuses(&revocations, &token, NOW), refused, "{what}");
        assert!(!refuses(&revocations, &token, NOW + 10), "it has ended: {what}");
        // Another issuer's tokens are another matter
        assert!(revocations.check(&Marks::of("https://other", &token, None), None, NOW).is_ok(), "{what}");
        revocations.lift("a", OPERATOR, NOW).unwrap();
        assert!(!refuses(&revocations, &token, NOW), "it was lifted: {what}");
    }
}

#[test]
fn a_subject_is_known_by_its_sub_too() {
    let revocations = in_memory();
    revocations.add(Revocation { whose: Whose::Subject("f3a1".to_owned()), ..revocation("a", NOW + 10) }, NOW).unwrap();
    let token = Token { subject: "alice@example.com".to_owned(), ..token() };
    revocations.check(&Marks::of(ISSUER, &token, Some("f3a1")), None, NOW).unwrap_err();
    revocations.check(&Marks::of(ISSUER, &token, None), None, NOW).unwrap();
}

#[test]
fn two_that_refuse_the_same_are_two() {
    let revocations = in_memory();
    for id in ["a", "b"] {
        revocations.add(Revocation { whose: Whose::TokenId("j1".to_owned()), ..revocation(id, NOW + 10) }, NOW).unwrap();
    }
    revocations.lift("a", OPERATOR, NOW).unwrap();
    assert!(refuses(&revocations, &token(), NOW));
    assert_eq!(revocations.lift("a", OPERATOR, NOW), Err(RevokeError::Unknown("a".to_owned())));
    revocations.lift("b", OPERATOR, NOW).unwrap();
    assert!(!refuses(&revocations, &token(), NOW));
    assert_eq!(revocations.status(NOW).tokens, 0);
}

#[test]
fn a_hundred_thousand_are_all_held_over_a_restart_and_expire() {
    let dir = tempfile::tempdir().unwrap();
    let of = |number: usize| Token { id: Some(format!("jti of {number:06}")), ..token() };
    {
        // Written at once, since to force each to the disk is not what is tested
        let mut book = Book::default();
        let index = Index::new();
        book.journal = Some(Journal::open(dir.path()).unwrap().0);
        let lines = (0..100_000).map(|number| Line::Revoke(Box::new(revocation(&format!("{number:06}"), NOW + 10 + number % 2 * 100))));
        book.journal.as_mut().unwrap().rewrite(lines).unwrap();
        drop((book, index));
    }
    let revocations = kept(dir.path());
    assert_eq!(revocations.status(NOW).tokens, 100_000);
    for number in 0..100_000 {
        assert!(refuses(&revocations, &of(number), NOW), "{number}");
    }
    assert!(!refuses(&revocations, &of(100_000), NOW));
    let mut listed = 0;
    let mut after: Option<String> = None;
    loop {
        let (page, more) = revocations.page(after.as_deref(), 10_000, false, NOW);
        listed += page.len();
        after = page.last().map(|entry| entry.revocation.id.clone());
        if !more {
            break;
        }
    }
    assert_eq!(listed, 100_000);
    revocations.tend(NOW + 10);
    assert_eq!(revocations.status(NOW).tokens, 50_000);
    assert!(!refuses(&revocations, &of(0), NOW + 10) && refuses(&revocations, &of(1), NOW + 10));
    drop(revocations);
    assert_eq!(journal::read(dir.path()).unwrap().lines.len(), 100_000, "as many as count may count no more");
}

#[test]
fn logout_tokens_leave_room_for_operators() {
    let dir = tempfile::tempdir().unwrap();
    let revocations = kept(dir.path());
    revocations.book().places = Places { all: 4, logouts: 2 };
    let made = |by: By, id: &str| revocations.add(Revocation { by, ..revocation(id, NOW + 10) }, NOW).map(drop);
    assert_eq!(["a", "b", "c"].map(|id| made(By::Issuer, id)), [Ok(()), Ok(()), Err(RevokeError::Full)]);
    assert_eq!(["c", "d", "e"].map(|id| made(OPERATOR, id)), [Ok(()), Ok(()), Err(RevokeError::Full)]);
    let refused = |id: &str, now: i64| refuses(&revocations, &Token { id: Some(format!("jti of {id}")), ..token() }, now);
    assert_eq!(["a", "b", "c", "d", "e"].map(|id| refused(id, NOW)), [true, true, true, true, false], "none is dropped for another");
    revocations.lift("d", OPERATOR, NOW).unwrap();
    let status = revocations.status(NOW);
    assert_eq!((status.tokens, status.held, status.limit, status.limit_logouts), (3, 4, 4, 2));
    made(OPERATOR, "e").expect("what was lifted makes room");
    assert_eq!(made(OPERATOR, "f"), Err(RevokeError::Full));
    assert_eq!(revocations.lift("d", OPERATOR, NOW), Err(RevokeError::Unknown("d".to_owned())));
    // What has ended makes room, whether it was tended or not.
    let late = |by: By, id: &str| revocations.add(Revocation { by, ..revocation(id, NOW + 99) }, NOW + 10).map(drop);
    assert_eq!(["f", "g", "h"].map(|id| late(By::Issuer, id)), [Ok(()), Ok(()), Err(RevokeError::Full)]);
    drop(revocations);
    assert_eq!(kept(dir.path()).status(NOW + 10).held, 7, "what a file holds is held, however much it is");
}

#[test]
fn its_state_is_told_while_the_disk_is_waited_for() {
    let revocations = Arc::new(in_memory());
    revocations.add(revocation("a", NOW + 10), NOW).unwrap();
    let _held = revocations.book();
    let (sender, told) = mpsc::channel();
    let asked = Arc::clone(&revocations);
    std::thread::spawn(move || sender.send(asked.status(NOW)));
    let status = told.recv_timeout(std::time::Duration::from_mins(1)).expect("it waits for nobody");
    assert_eq!((status.tokens, status.last_made_s), (1, Some(NOW - 100)));
}

#[test]
fn the_file_stays_short() {
    let dir = tempfile::tempdir().unwrap();
    let revocations = kept(dir.path());
    for number in 0..120_i64 {
        revocations.add(revocation(&format!("{number}"), NOW + number + 1), NOW + number).unwrap();
    }
    revocations.add(revocation("stays", NOW + 5000), NOW).unwrap();
    revocations.lift("stays", OPERATOR, NOW).unwrap();
    revocations.tend(NOW + 2000);
    let lines = journal::read(dir.path()).unwrap().lines;
    assert_eq!(lines.len(), 2, "what was lifted is told as long as it would have lasted");
    drop(revocations);
    let revocations = kept(dir.path());
    assert_eq!(revocations.page(None, 10, true, NOW).0.len(), 1);
    assert_eq!(revocations.page(None, 10, false, NOW).0.len(), 0);
}

#[test]
fn a_disk_that_fails_loses_nothing_that_counts() {
    let dir = tempfile::tempdir().unwrap();
    let revocations = kept(dir.path());
    revocations.add(revocation("a", NOW + 100), NOW).unwrap();
    revocations.book().journal.as_mut().unwrap().fail(&std::io::Error::other("disk full"), NOW);
    // Where the folder cannot be written, the file cannot be made anew
    let hidden = dir.path().join("revocations.jsonl.new");
    fs::create_dir(&hidden).unwrap();
    let error = revocations.add(Revocation { whose: Whose::TokenId("j1".to_owned()), ..revocation("b", NOW + 100) }, NOW).unwrap_err();
    assert!(matches!(error, RevokeError::NotKept(_)), "{error}");
    assert!(refuses(&revocations, &token(), NOW), "it counts all the same");
    let status = revocations.status(NOW);
    assert!(status.degraded && status.last_error.is_some() && status.failing_since == Some(NOW), "{status:?}");
    // A lift that is not written would come back with a restart, so it does not count either
    assert!(matches!(revocations.lift("a", OPERATOR, NOW), Err(RevokeError::NotLifted(_))));
    revocations.tend(NOW + 1);
    assert!(revocations.status(NOW).degraded);
    fs::remove_dir(&hidden).unwrap();
    revocations.tend(NOW + 2);
    assert!(!revocations.status(NOW).degraded);
    drop(revocations);
    assert!(refuses(&kept(dir.path()), &token(), NOW), "written once it could be");
}

#[test]
fn a_logout_token_counts_once_over_a_restart_and_again_where_it_failed() {
    let dir = tempfile::tempdir().unwrap();
    let seen = |id: &str| Revocation { logout: Some(Seen { jti: "l1".to_owned(), until: NOW + 300 }), ..revocation(id, NOW + 1000) };
    let revocations = kept(dir.path());
    revocations.add(seen("a"), NOW).unwrap();
    assert_eq!(revocations.add(seen("b"), NOW), Err(RevokeError::Replayed));
    drop(revocations);
    let revocations = kept(dir.path());
    assert_eq!(revocations.add(seen("b"), NOW + 299), Err(RevokeError::Replayed));
    revocations.lift("a", OPERATOR, NOW).unwrap();
    assert_eq!(revocations.add(seen("b"), NOW + 299), Err(RevokeError::Replayed), "lifting does not let it come back");
    revocations.add(seen("b"), NOW + 300).unwrap();
    let other = Revocation { issuer: "https://other".to_owned(), ..seen("c") };
    revocations.add(other, NOW + 300).unwrap();

    let hidden = dir.path().join("revocations.jsonl.new");
    fs::create_dir(&hidden).unwrap();
    revocations.book().journal.as_mut().unwrap().fail(&std::io::Error::other("disk full"), NOW);
    let mut late = seen("d");
    late.logout = Some(Seen { jti: "l2".to_owned(), until: NOW + 600 });
    assert!(matches!(revocations.add(late.clone(), NOW + 300), Err(RevokeError::NotKept(_))));
    fs::remove_dir(&hidden).unwrap();
    revocations.add(late, NOW + 300).unwrap();
}

#[test]
fn what_cannot_be_read_does_not_start() {
    let dir = tempfile::tempdir().unwrap();
    drop(kept(dir.path()));
    let file = journal::path(dir.path());
    let good = fs::read_to_string(&file).unwrap();
    for bad in ["{\"lift\":{\"id\":\"x\",\"lifted\":{\"at\":1,\"by\":\"issuer\"}}}\n", "x\n", "{\"revoke\":{\"id\":\"a\"}}\n"] {
        fs::write(&file, format!("{good}{bad}")).unwrap();
        Revocations::read(Some(dir.path()), NOW).unwrap_err();
    }
    fs::write(&file, format!("{good}{{\"revoke\":{{\"id\"")).unwrap();
    Revocations::read(Some(dir.path()), NOW).unwrap();
}

/// What happens to a set of revocations.
#[derive(Clone, Debug)]
enum Step {
    Revoke(u8, i64),
    Lift(u8),
    Pass(i64),
    Tend,
    Restart,
    Rewrite,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (any::<u8>(), 1..200_i64).prop_map(|(name, life)| Step::Revoke(name % 16, life)),
        2 => any::<u8>().prop_map(|name| Step::Lift(name % 16)),
        1 => (0..60_i64).prop_map(Step::Pass),
        1 => Just(Step::Tend),
        1 => Just(Step::Restart),
        1 => Just(Step::Rewrite),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Whatever happens, those that are refused are those that were revoked, not lifted and not ended: in memory, and as read from the file.
    #[test]
    fn what_is_held_is_what_was_made(steps in proptest::collection::vec(step(), 1..40)) {
        let dir = tempfile::tempdir().unwrap();
        let mut revocations = kept(dir.path());
        let mut model: BTreeMap<String, (u8, i64)> = BTreeMap::new();
        let mut now = NOW;
        for (number, step) in steps.into_iter().enumerate() {
            match step {
                Step::Revoke(name, life) => {
                    let id = format!("{number:03}");
                    revocations.add(Revocation { whose: Whose::TokenId(format!("j{name}")), ..revocation(&id, now + life) }, now).unwrap();
                    model.insert(id, (name, now + life));
                }
                Step::Lift(name) => {
                    let wanted = model.iter().find(|(_, (of, until))| *of == name && now < *until).map(|(id, _)| id.clone());
                    if let Some(id) = wanted {
                        revocations.lift(&id, OPERATOR, now).unwrap();
                        model.remove(&id);
                    }
                }
                Step::Pass(seconds) => now += seconds,
                Step::Tend => revocations.tend(now),
                Step::Restart => {
                    drop(revocations);
                    revocations = kept(dir.path());
                }
                Step::Rewrite => revocations.book().rewrite(now).unwrap(),
            }
            let read = Revocations::read(Some(dir.path()), now).unwrap();
            for name in 0..16_u8 {
                let token = Token { id: Some(format!("j{name}")), ..token() };
                let wanted = model.values().any(|(of, until)| *of == name && now < *until);
                prop_assert_eq!(refuses(&revocations, &token, now), wanted);
                prop_assert_eq!(refuses(&read, &token, now), wanted);
            }
            let counted = model.values().filter(|(_, until)| now < *until).count();
            prop_assert_eq!(revocations.page(None, 1000, false, now).0.len(), counted);
            revocations.tend(now);
            prop_assert_eq!(revocations.status(now).tokens, counted);
        }
    }
}
