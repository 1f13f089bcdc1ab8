use std::{borrow::Cow, fmt::Write as _};

use proptest::prelude::*;

use super::{super::headers::DECIDING, builder::Check, read};
use crate::model::{Body, BodyFault, HeaderForm, Reason, Segment};

/// A segment that stands for itself: no character that some reader would take for another, and never dots alone.
fn name() -> impl Strategy<Value = String> {
    "[a-zA-Z0-9 ._~!$&'()*+,:@=|^{}\"<>é模-]{1,12}".prop_filter("a dot segment is no name", |text| !matches!(text.as_str(), "." | ".."))
}

/// Segments as they stand decoded; some hold slashes of their own.
fn segments() -> impl Strategy<Value = Vec<String>> {
    let slashed = proptest::collection::vec(name(), 2..4).prop_map(|parts| parts.join("/"));
    proptest::collection::vec(prop_oneof![4 => name(), 1 => slashed], 1..6)
}

/// The one canonical spelling: everything but unreserved characters encoded (RFC 3986, section 2.3).
fn spell(segments: &[Cow<'_, str>]) -> String {
    let mut path = String::new();
    for segment in segments {
        path.push('/');
        for byte in segment.bytes() {
            encode(&mut path, byte, !(byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)), false);
        }
    }
    path
}

fn encode(path: &mut String, byte: u8, escaped: bool, lower: bool) {
    match (escaped, lower) {
        (false, _) => path.push(char::from(byte)),
        (true, false) => write!(path, "%{byte:02X}").unwrap(),
        (true, true) => write!(path, "%{byte:02x}").unwrap(),
    }
}

fn texts<'s>(segments: &'s [Segment<'_>]) -> Vec<Cow<'s, str>> {
    segments.iter().map(|segment| Cow::Borrowed(segment.text.as_ref())).collect()
}

proptest! {
    /// However the bytes of a path are percent-encoded, it is the same path; nothing that decodes alike is read differently.
    #[test]
    fn every_spelling_of_a_path_is_that_path(segments in segments(), choices in proptest::collection::vec(0_u8..3, 256)) {
        let mut choices = choices.into_iter().cycle();
        let mut path = String::new();
        for segment in &segments {
            path.push('/');
            for byte in segment.bytes() {
                let choice = choices.next().unwrap_or_default();
                let needed = !byte.is_ascii_graphic() || byte == b'/';
                encode(&mut path, byte, needed || choice > 0, choice == 1);
            }
        }
        let check = Check::path(&path);
        let raw = check.raw();
        let call = read(&raw).unwrap();
        prop_assert_eq!(texts(&call.path.segments), segments.iter().map(Cow::from).collect::<Vec<_>>());
        for (segment, text) in call.path.segments.iter().zip(&segments) {
            prop_assert_eq!(segment.slashed, text.contains('/'));
        }
    }

    /// Whatever is accepted is accepted again in its canonical spelling, as the same path.
    #[test]
    fn reading_is_idempotent(path in "/[a-c./%0-9A-Fa-f+;é ]{0,24}") {
        let check = Check::path(&path);
        let raw = check.raw();
        if let Ok(call) = read(&raw) {
            let again = Check::path(spell(&texts(&call.path.segments)));
            let raw = again.raw();
            let again = read(&raw).unwrap();
            prop_assert_eq!(texts(&again.path.segments), texts(&call.path.segments));
        }
    }

    /// A reader that decodes once more, folds backslashes or resolves dots finds nothing to do in what was accepted.
    #[test]
    fn nothing_is_left_for_a_second_reader(path in r"/[a-b./\\%2-5eEfFcC;?#]{0,24}") {
        let check = Check::path(&path);
        let raw = check.raw();
        if let Ok(call) = read(&raw) {
            let (last, inner) = call.path.segments.split_last().unwrap();
            prop_assert!(inner.iter().all(|segment| !segment.text.is_empty()));
            for segment in inner.iter().chain([last]) {
                prop_assert!(segment.text.split('/').all(|part| !matches!(part, "." | "..")));
                prop_assert!(!segment.text.contains(['\\', ';', '#', '?', '\0']) && !segment.text.contains("//"));
                let twice: Vec<_> = segment.text.match_indices('%').filter(|(at, _)| {
                    segment.text.as_bytes().get(at + 1..at + 3).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
                }).collect();
                prop_assert!(twice.is_empty());
            }
        }
    }

    /// A pair of the query means the same however it is spelled, and pairs stay apart.
    #[test]
    fn every_spelling_of_a_query_is_that_query(
        pairs in proptest::collection::vec(("[a-z_ .é]{1,8}", "[a-zA-Z0-9 /%&=+#?模-]{0,8}"), 0..5),
        choices in proptest::collection::vec(any::<bool>(), 64),
    ) {
        let mut choices = choices.into_iter().cycle();
        let mut query = String::from("/?");
        for (key, value) in &pairs {
            for (text, end) in [(key, '='), (value, '&')] {
                for byte in text.bytes() {
                    let choice = choices.next().unwrap_or_default();
                    match byte {
                        b' ' if choice => query.push('+'),
                        _ => encode(&mut query, byte, choice || !byte.is_ascii_alphanumeric(), choice),
                    }
                }
                query.push(end);
            }
        }
        let check = Check::path(&query);
        let raw = check.raw();
        let call = read(&raw).unwrap();
        let found: Vec<_> = call.query.pairs.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect();
        prop_assert_eq!(found, pairs);
    }

    /// All spellings of a host are one host.
    #[test]
    fn every_spelling_of_a_host_is_that_host(host in "[a-z0-9-]{1,8}(\\.[a-z0-9-]{1,8}){0,4}", upper in any::<u32>(), dot in any::<bool>(), port in 0_usize..3) {
        let cased: String = host.char_indices().map(|(at, c)| if upper >> (at % 32) & 1 == 1 { c.to_ascii_uppercase() } else { c }).collect();
        let spelled = format!("{cased}{}{}", if dot { "." } else { "" }, ["", ":443", ":80"][port]);
        let check = Check::host(&spelled);
        let raw = check.raw();
        let call = read(&raw).unwrap();
        prop_assert_eq!(call.host.as_str(), &host);
    }

    /// An accepted host is canonical: reading it again changes nothing, and no second reader finds another in it.
    #[test]
    fn an_accepted_host_is_canonical(host in "[a-zA-Z0-9.:,@\\[\\]!/ _-]{0,24}") {
        let check = Check::host(&host);
        let raw = check.raw();
        if let Ok(call) = read(&raw) {
            let canonical = call.host.as_str();
            prop_assert!(canonical.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-')));
            prop_assert!(canonical.split('.').all(|label| !label.is_empty()));
            let again = Check::host(canonical);
            let raw = again.raw();
            let again = read(&raw).unwrap();
            prop_assert_eq!(again.host.as_str(), canonical);
        }
    }

    /// A header that decides is never read from two values, in whichever form they arrive.
    #[test]
    fn two_values_of_a_deciding_header_are_refused(at in 0_usize..5, first in "[a-z0-9]{1,8}", second in "[a-z0-9]{1,8}") {
        let name = ["authorization", "x-databricks-workspace-id", "x-databricks-org-id", "content-type", "content-length"][at];
        let joined = Check::default().header(name, format!("{first},{second}"));
        let apart = Check::default().header(name, &first).header("accept", "*/*").header(name, &second);
        for check in [joined, apart] {
            let raw = check.raw();
            prop_assert_eq!(read(&raw).unwrap_err().reason, Reason::HeaderAmbiguous);
        }
    }

    /// Which of Envoy's two forms the headers came in changes nothing, as long as no value was joined or replaced.
    #[test]
    fn both_forms_are_read_alike(values in proptest::collection::vec("[ -~&&[^!,]]{0,12}", 12)) {
        let names = ["accept", "authorization", "connection", "content-encoding", "content-length", "content-type", "host", "traceparent",
            "upgrade", "user-agent", "x-databricks-org-id", "x-request-id"];
        for kept in 0..names.len() {
            let headers = names.iter().zip(&values).skip(kept).step_by(3).map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec()));
            let joined = Check { headers: headers.collect(), form: HeaderForm::Joined, ..Check::default() };
            let apart = Check { form: HeaderForm::Raw, ..joined.clone() };
            let (joined, apart) = (joined.raw(), apart.raw());
            prop_assert_eq!(format!("{:?}", read(&joined)), format!("{:?}", read(&apart)));
        }
    }

    /// What Envoy cuts off at its limit is never taken for the whole, however the body was framed and whether or not the flag is there.
    #[test]
    fn no_beginning_of_a_body_passes_for_the_body(length in 1_usize..64, limit in 0_usize..64, framing in 0_u8..3, flagged in any::<bool>()) {
        let shown = length.min(limit);
        let cut = shown < length;
        let mut check = Check { method: b"POST".into(), size: i64::try_from(length).unwrap(), ..Check::default() };
        check.body = (shown > 0).then(|| vec![b'1'; shown]);
        match framing {
            0 => check = check.header("content-length", length.to_string()),
            1 => check = check.header("transfer-encoding", "chunked"),
            _ => check.protocol = b"HTTP/2".into(),
        }
        if flagged {
            check = check.header("x-envoy-auth-partial-body", if cut { "true" } else { "false" });
        }
        let raw = check.raw();
        let body = read(&raw).unwrap().body;
        if cut {
            prop_assert_eq!(body, Body::Unusable(BodyFault::Cut));
        } else {
            let whole = matches!(body, Body::Whole { bytes, .. } if bytes.len() == length);
            prop_assert!(whole);
        }
    }

    /// A deciding header under a name that only some readers take for it is refused; so is its removal under any spelling.
    #[test]
    fn every_other_spelling_of_a_deciding_name_is_refused(at in 0..DECIDING.len(), choices in proptest::collection::vec(0_usize..3, 4)) {
        let mut choices = choices.into_iter().cycle();
        let spelled: String = DECIDING[at].chars().map(|c| if c == '-' { ['-', '_', '.'][choices.next().unwrap_or_default()] } else { c }).collect();
        let removal = Check::default().header("connection", format!("close, {}", spelled.to_uppercase()));
        let raw = removal.raw();
        let nominates_upgrade = spelled == "upgrade";
        prop_assert_eq!(read(&raw).is_err(), !nominates_upgrade);
        if spelled != DECIDING[at] {
            let alias = Check::default().header(spelled, "1");
            let raw = alias.raw();
            prop_assert_eq!(read(&raw).unwrap_err().reason, Reason::HeaderAmbiguous);
        }
    }
}
