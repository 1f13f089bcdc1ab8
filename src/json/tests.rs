use std::fmt::Write as _;

use proptest::prelude::*;

use super::*;

#[test]
fn what_another_reader_could_see_differently_is_refused() {
    let deep = "[".repeat(33) + &"]".repeat(33);
    let cases: [&[u8]; 28] = [
        br#"{"a":1,"a":2}"#,
        br#"{"job_id":42,"job\u005fid":43}"#,
        br#"{"x":{"a":1,"a":2}}"#,
        br#"[{"a":1,"a":1}]"#,
        b"\xef\xbb\xbf{}",
        br#"{"a":"\ud800"}"#,
        br#"{"\udc00":1}"#,
        br"{}{}",
        br"{} x",
        br"{a:1}",
        br"{'a':1}",
        br#"{"a":1,}"#,
        br#"{"a":NaN}"#,
        br#"{"a":01}"#,
        br#"{"a":1.}"#,
        br#"{"a":-}"#,
        br#"{"a":1e}"#,
        br#"{"a":1e999}"#,
        br#"{"a":nul}"#,
        br#"{"a":[1,]}"#,
        br#"{"a":"b}"#,
        br#"{"a":"\q"}"#,
        br#"{"a":tru"#,
        b"{\"a\":\"\n\"}",
        b"{\"a\"",
        b"{\"a\":\"\xff\"}",
        b"",
        deep.as_bytes(),
    ];
    for text in cases {
        assert!(read(text).is_err(), "accepted {:?}", String::from_utf8_lossy(text));
        assert!(read_keeping(text, Keep::Members(Named(&[]))).is_err(), "accepted unkept {:?}", String::from_utf8_lossy(text));
    }
}

#[test]
fn duplicates_are_found_among_many_keys() {
    let mut text = String::from("{");
    for i in 0..100 {
        let _ = write!(text, "\"k{i}\":{i},");
    }
    assert!(read(format!("{text}\"k99\":1}}").as_bytes()).is_err());
    assert!(read(format!("{text}\"k3\":1}}").as_bytes()).is_err());
    assert!(read(format!("{text}\"k100\":1}}").as_bytes()).is_ok());
}

/// What is known of one object says nothing about the next.
#[test]
fn objects_that_are_alike_stand_beside_each_other() {
    let many = (0..13).map(|i| format!("\"k{i}\":0")).collect::<Vec<_>>().join(",");
    for object in [format!("{{{many}}}"), r#"{"\u0061":0}"#.to_owned(), r#"{"a":{"a":0}}"#.to_owned()] {
        let text = format!("{{\"x\":[{object},{object}],\"y\":{object}}}");
        assert!(read(text.as_bytes()).is_ok(), "{text}");
        assert!(read_keeping(text.as_bytes(), Keep::Members(Named(&[]))).is_ok(), "unkept {text}");
    }
}

#[test]
fn a_number_out_of_range_is_refused_whether_it_is_kept_or_not() {
    for number in ["9".repeat(400), "1e400".to_owned(), "-1E+400".to_owned()] {
        let text = format!("{{\"a\":{number}}}");
        assert!(read(text.as_bytes()).is_err(), "{number}");
        assert!(read_keeping(text.as_bytes(), Keep::Members(Named(&[]))).is_err(), "unkept {number}");
    }
}

#[test]
fn a_document_of_too_many_values_is_refused_whether_they_are_kept_or_not() {
    let list = |count: u32| format!("[{}0]", "0,".repeat(count as usize - 1));
    let object = |count: u32| format!("{{{}\"z\":0}}", (1..count).fold(String::new(), |text, i| format!("{text}\"{i}\":0,")));
    assert!(read(list(MAX_VALUES).as_bytes()).is_ok());
    assert!(read(object(4096).as_bytes()).is_ok());
    for text in [list(MAX_VALUES + 1), format!("{{\"a\":{}}}", list(MAX_VALUES))] {
        assert!(read(text.as_bytes()).is_err());
        assert!(read_keeping(text.as_bytes(), Keep::Members(Named(&[]))).is_err());
    }
}

#[test]
fn an_array_read_by_items_may_be_long_but_no_item_of_it() {
    let list = |count: u32| format!("[{}0]", "0,".repeat(count as usize - 1));
    let mut count = 0;
    read_items(&format!("[{0}, {0}, {0}]", list(MAX_VALUES - 1)), |_, _| count += 1).unwrap();
    assert_eq!(count, 3);
    assert!(read_items(&format!("[1, {}]", list(MAX_VALUES + 1)), |_, _| ()).is_err());
    for text in ["", "{}", "1", "[1", "[1] 2", "[1,]", "[[1]", &("[".repeat(33) + &"]".repeat(33))] {
        assert!(read_items(text, |_, _| ()).is_err(), "{text}");
    }
}

proptest! {
    #[test]
    fn items_are_those_of_the_array_at_their_places(text in r#"[ \n]?\[[ \n]?(("[a-z\[\],é\\]{0,4}"|[0-9]{1,3}|\{\}|\{"a": ?\[1, ?"\]"\]\}|null),[ \n]?){0,6}(true|\[\]|1\.5)? ?\][ \n]?"#) {
        let mut items = Vec::new();
        let read_so = read_items(&text, |at, item| items.push((at, item)));
        prop_assert_eq!(read_so.clone().err(), read(text.as_bytes()).err());
        if let (Ok(()), Ok(whole)) = (read_so, read(text.as_bytes())) {
            let found: Vec<_> = items.iter().map(|(_, item)| item.clone()).collect();
            prop_assert_eq!(whole.as_list().unwrap(), found.as_slice());
            for (at, item) in items {
                let rest = text.get(at..).unwrap();
                prop_assert!((1..=rest.len()).any(|end| rest.get(..end).and_then(|text| read(text.as_bytes()).ok()) == Some(item.clone())), "{} at {}", text, at);
            }
        }
    }
}

#[test]
fn only_what_was_asked_for_is_kept() {
    let value = read_keeping(br#"{"job_id":42,"pad":[1,2,{"x":"y"}],"n":1.5}"#, Keep::Members(Named(&["job_id"]))).unwrap();
    let object = value.as_object().unwrap();
    assert_eq!(object.iter().collect::<Vec<_>>(), [("job_id", &Value::Int(42))]);
}

#[test]
fn numbers_keep_their_kind() {
    let value = read(br"[1, -1, 18446744073709551615, 18446744073709551616, 1.0, 1e2]").unwrap();
    let kinds: Vec<bool> = value.as_list().unwrap().iter().map(|item| item.as_int().is_some()).collect();
    assert_eq!(kinds, [true, true, true, false, false, false]);
}

/// Picks keys of even length, at every depth.
#[derive(Clone, Copy)]
struct Even;

impl Pick for Even {
    fn member(self, key: &str) -> Option<Keep<Self>> {
        key.len().is_multiple_of(2).then_some(Keep::Members(self))
    }
}

fn even<'a>(value: &Value<'a>) -> Value<'a> {
    match value {
        Value::List(items) => Value::List(items.iter().map(even).collect()),
        Value::Object(object) => {
            let picked = object.members.iter().filter(|(key, _)| key.len().is_multiple_of(2)).map(|(key, value)| (key.clone(), even(value)));
            Value::Object(Object { members: picked.collect() })
        }
        other => other.clone(),
    }
}

/// What holds for every text: nothing panics, what is kept changes nothing about what is accepted, nothing is accepted here that the tolerant reader
/// refuses or reads as something else, and nothing is refused that it accepts but for the rules that are stricter.
fn hold(text: &[u8]) {
    let whole = read(text);
    let none = read_keeping(text, Keep::Members(Named(&[])));
    let some = read_keeping(text, Keep::Members(Even));
    assert!(whole.is_ok() == none.is_ok() && none.is_ok() == some.is_ok(), "acceptance depends on what is kept");
    let tolerant = serde_json::from_slice::<serde_json::Value>(text);
    if let (Err(JsonError(why)), Ok(tolerant)) = (&whole, &tolerant) {
        assert!(["twice", "deeper", "more than"].iter().any(|rule| why.contains(rule)), "{tolerant:?} is refused: {why}");
    }
    if let (Ok(value), Ok(some)) = (whole, some) {
        assert_eq!(some, even(&value), "what is kept is not what was picked");
        let tolerant = tolerant.expect("the tolerant reader refuses what the strict one accepts");
        assert!(agrees(&value, &tolerant), "{value:?} is not {tolerant:?}");
    }
}

fn agrees(strict: &Value<'_>, tolerant: &serde_json::Value) -> bool {
    match (strict, tolerant) {
        (Value::Null, serde_json::Value::Null) => true,
        (Value::Bool(strict), serde_json::Value::Bool(tolerant)) => strict == tolerant,
        (Value::Int(strict), serde_json::Value::Number(tolerant)) => tolerant.as_i128() == Some(*strict),
        (Value::Float(strict), serde_json::Value::Number(tolerant)) => tolerant.as_f64() == Some(*strict),
        (Value::Text(strict), serde_json::Value::String(tolerant)) => strict == tolerant,
        (Value::List(strict), serde_json::Value::Array(tolerant)) => {
            strict.len() == tolerant.len() && strict.iter().zip(tolerant).all(|(strict, tolerant)| agrees(strict, tolerant))
        }
        (Value::Object(strict), serde_json::Value::Object(tolerant)) => {
            strict.iter().count() == tolerant.len() && strict.iter().all(|(key, value)| tolerant.get(key).is_some_and(|other| agrees(value, other)))
        }
        _ => false,
    }
}

#[test]
fn no_text_panics_or_is_read_in_two_ways() {
    bolero::check!().for_each(|text: &[u8]| hold(text));
}

/// JSON, and what is nearly JSON: random bytes seldom get past the first one.
fn nearly_json() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        20 => "null|true|-?[1-9][0-9]{0,20}|-?[1-9](\\.[0-9]{1,3})?([eE][+-]?[0-9]{1,2})?|\"[ab]{0,2}(\\\\u00[46][12])?\"",
        1 => "\"\\\\ud83d(\\\\ude00)?\"|.{0,3}"
    ];
    leaf.prop_recursive(5, 32, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(|items| format!("[{}]", items.join(","))),
            proptest::collection::vec(("\"[a-d]{0,2}(\\\\u006[12])?\"", inner), 0..4).prop_map(|members| {
                let members: Vec<_> = members.into_iter().map(|(key, value)| format!("{key}: {value}")).collect();
                format!("{{{}}}", members.join(", "))
            }),
        ]
    })
}

/// The same with one byte put in the place of another, or taken out.
fn nearer_json() -> impl Strategy<Value = Vec<u8>> {
    let byte = proptest::sample::select(b" \t\n\r\"\\\x00\x1f\x7f\xff{}[]:,.-+0123eEutfn/".to_vec());
    (nearly_json(), any::<proptest::sample::Index>(), proptest::option::of(byte)).prop_map(|(text, at, byte)| {
        let mut bytes = text.into_bytes();
        if !bytes.is_empty() {
            let at = at.index(bytes.len());
            bytes.splice(at..=at, byte);
        }
        bytes
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn no_json_with_a_fault_panics_or_is_read_in_two_ways(text in nearer_json()) {
        hold(&text);
    }

    #[test]
    fn no_near_json_panics_or_is_read_in_two_ways(text in nearly_json()) {
        hold(text.as_bytes());
    }
}
