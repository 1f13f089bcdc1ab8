use proptest::prelude::*;

use super::*;

/// What is read of `values`: writers, URIs and hashes of the last element.
fn read(values: &[&str]) -> Result<Option<[String; 3]>, Unreadable> {
    let text = |values: &[Cow<'_, [u8]>]| values.iter().map(|value| String::from_utf8_lossy(value).into_owned()).collect::<Vec<_>>().join(" ");
    let found = last(values.iter().map(|value| value.as_bytes()))?;
    Ok(found.map(|element| [text(&element.by), text(&element.uris), text(&element.hashes)]))
}

fn parts(by: &str, uri: &str, hash: &str) -> [String; 3] {
    [by, uri, hash].map(str::to_owned)
}

#[test]
fn the_last_element_counts() {
    let cases: [(&[&str], Option<[String; 3]>); 20] = [
        (&[], None),
        (&[""], None),
        (&["  ", "\t"], None),
        (&["URI=a"], Some(parts("", "a", ""))),
        (&["By=p;Hash=00;Subject=\"\";URI=a"], Some(parts("p", "a", "00"))),
        (&["By=p;Hash=00;Cert=\"-----BEGIN%20X-----%0A\";Subject=\"CN=x,O=y\";URI=a;DNS=d;DNS=e"], Some(parts("p", "a", "00"))),
        (&["URI=forged,By=p;URI=a"], Some(parts("p", "a", ""))),
        (&["URI=forged, By=p;URI=a"], Some(parts("p", "a", ""))),
        (&["URI=forged", "By=p;URI=a"], Some(parts("p", "a", ""))),
        (&["By=p;URI=a", ""], Some(parts("p", "a", ""))),
        (&["By=p;URI=forged;Hash=11,By=p;URI=a"], Some(parts("p", "a", ""))),
        (&["uri=a;BY=p;hash=1"], Some(parts("p", "a", "1"))),
        (&["URI=a;URI=b"], Some(parts("", "a b", ""))),
        (&["By=p;By=q;URI=a"], Some(parts("p q", "a", ""))),
        (&["URI="], Some(parts("", "", ""))),
        (&["URI=\"a,b;c=d\""], Some(parts("", "a,b;c=d", ""))),
        (&["URI=a;Subject=\"CN=\\\",URI=forged\""], Some(parts("", "a", ""))),
        // a backslash at the end of a subject is written twice (RFC 2253), and the quote behind it ends the value
        (&["Subject=\"CN=x\\\\\";URI=a"], Some(parts("", "a", ""))),
        (&["Subject=\"CN=x\\,O=y\";URI=a"], Some(parts("", "a", ""))),
        (&["URI=\"a\\\"b\""], Some(parts("", "a\"b", ""))),
    ];
    for (values, expected) in cases {
        assert_eq!(read(values), Ok(expected), "{values:?}");
    }
}

#[test]
fn what_is_not_of_the_form_makes_all_of_it_unreadable() {
    let long = format!("URI={}", "a".repeat(LONGEST));
    let cases: [&[&str]; 24] = [
        &["x"],
        &["="],
        &["=a"],
        &["URI"],
        &["URI a"],
        &["URI=a;"],
        &["URI=a,"],
        &[",URI=a"],
        &["URI=a,,URI=b"],
        &[";URI=a"],
        &["URI=a;;Hash=1"],
        &["URI=a=b"],
        &["URI=a b"],
        &["URI=a\"b\""],
        &["URI=\"a"],
        &["URI=\"a\"b"],
        &["URI=\"a\\"],
        &["URI=a\\,By=p;URI=b"],
        &["URI=\"a\u{7}\""],
        &["URI=ä"],
        &["U,RI=a"],
        // a quote left open by the caller, and what a proxy appends to it
        &["URI=victim;Subject=\",By=p;Hash=00;Subject=\"\";URI=a"],
        &["URI=victim;Subject=\",By=p;Hash=00;Subject=\"CN=x\";URI=a"],
        &["Subject=\"", "By=p;URI=a"],
    ];
    for values in cases {
        assert_eq!(read(values), Err(Unreadable::Malformed), "{values:?}");
    }
    assert_eq!(read(&[long.as_str()]), Err(Unreadable::TooLong));
    assert_eq!(read(&["URI=a", long.as_str()]), Err(Unreadable::TooLong));
}

/// What a proxy writes about a caller, as Envoy does.
fn element(by: &str, subject: &str, uri: &str) -> String {
    format!("By={by};Hash=00;Subject=\"{}\";URI={uri}", subject.replace('\\', "\\\\").replace('"', "\\\""))
}

proptest! {
    #[test]
    fn nothing_panics(values in proptest::collection::vec(any::<Vec<u8>>(), 0..4)) {
        drop(last(values.iter().map(Vec::as_slice)));
    }

    /// Whatever the caller sent before: what comes of it is the proxy's own element, or nothing.
    #[test]
    fn a_caller_cannot_put_another_element_behind_the_proxys(
        sent in "[ -~]{0,60}|([A-Za-z]{1,4}=(\"[ -~]{0,8}\"|[a-z:/\"\\\\]{0,8})[,;]?){0,4}",
        subject in "(CN=[ -~]{0,12})?",
        apart in any::<bool>(),
    ) {
        let own = element("spiffe://td/proxy", &subject, "spiffe://td/a");
        let joined = format!("{sent},{own}");
        let read = if apart { read(&[sent.as_str(), own.as_str()]) } else if sent.is_empty() { read(&[own.as_str()]) } else { read(&[joined.as_str()]) };
        if let Ok(found) = read {
            prop_assert_eq!(found, Some(parts("spiffe://td/proxy", "spiffe://td/a", "00")));
        }
    }

    /// Several headers of the name say what their values joined by commas say.
    #[test]
    fn apart_is_joined(values in proptest::collection::vec("([A-Za-z]{1,4}=(\"[ -~]{0,6}\"|[a-z]{0,4})[,;]?){1,3}", 1..4)) {
        let values: Vec<&str> = values.iter().map(String::as_str).collect();
        if let Ok(apart) = read(&values) {
            prop_assert_eq!(Ok(apart), read(&[values.join(",").as_str()]));
        }
    }

    #[test]
    fn what_is_quoted_is_read_as_it_was(value in "[ -~]{0,40}") {
        let written = format!("URI=\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""));
        prop_assert_eq!(read(&[written.as_str()]), Ok(Some(parts("", &value, ""))));
    }
}
