use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

/// A form of one text, `path`, whose pieces a test can replace.
fn form(disposition: &str, more: &str, text: &str) -> String {
    format!("--b\r\n{disposition}\r\n{more}\r\n{text}\r\n--b--\r\n")
}

fn named(name: &str) -> String {
    format!("Content-Disposition: form-data; name=\"{name}\"")
}

fn part_of(name: &str, text: &str) -> String {
    format!("--b\r\n{}\r\n\r\n{text}\r\n", named(name))
}

#[test]
fn what_clients_send_is_read() {
    use Content::{File, Text};
    let requests = "--0f3c\r\nContent-Disposition: form-data; name=\"path\"\r\n\r\n/Users/a/x.py\r\n--0f3c\r\nContent-Disposition: form-data; \
                    name=\"overwrite\"\r\n\r\ntrue\r\n--0f3c\r\nContent-Disposition: form-data; name=\"content\"; filename=\"content\"\r\n\r\nimport \
                    os\r\n\r\n--\r\n\r\n--0f3c--\r\n";
    let browser = "------WebKitFormBoundaryA\r\nContent-Disposition: form-data; name=\"content\"; filename=\"Größe 1 (2).py\"\r\nContent-Type: \
                   text/x-python\r\n\r\n\r\n------WebKitFormBoundaryA\r\nContent-Disposition: form-data; \
                   name=\"path\"\r\n\r\n/é\r\n------WebKitFormBoundaryA--\r\n";
    let aiohttp = "--b\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Disposition: form-data; name=\"path\"\r\n\r\n\r\n--b--";
    let part = |name, content| Part { name, content };
    let cases = [
        ("0f3c", requests, vec![part("path", Text("/Users/a/x.py")), part("overwrite", Text("true")), part("content", File)]),
        ("----WebKitFormBoundaryA", browser, vec![part("content", File), part("path", Text("/é"))]),
        ("b", aiohttp, vec![part("path", Text(""))]),
    ];
    for (boundary, body, want) in cases {
        assert_eq!(read(body.as_bytes(), boundary), Ok(want), "{body}");
    }
    assert_eq!(
        read(b"--b\r\nContent-Disposition: form-data; name=\"f\"; filename=\"f\"\r\n\r\n\xff\x00\r\n--b--\r\n", "b").unwrap()[0].content,
        File
    );
}

/// Holds that each of `cases` is refused.
fn refused<B: AsRef<[u8]>>(cases: &[(&str, B)]) {
    for (name, body) in cases {
        let body = body.as_ref();
        assert!(read(body, "b").is_err(), "accepted {name}: {:?}", String::from_utf8_lossy(body));
    }
}

/// A good form, which the cases below spoil.
fn good() -> String {
    let good = form(&named("path"), "", "/a");
    assert!(read(good.as_bytes(), "b").is_ok());
    assert!(read(good.as_bytes(), "B").is_err());
    good
}

/// A form of one file, called `name`.
fn file(name: &str) -> String {
    form(&format!("{}; filename=\"{name}\"", named("path")), "", "x")
}

#[test]
fn around_the_parts_stands_nothing() {
    let good = good();
    refused(&[
        ("no form", String::new()),
        ("no delimiter", "path=/a".to_owned()),
        ("no part", "--b--\r\n".to_owned()),
        ("no part, one line", "--b\r\n--b--\r\n".to_owned()),
        ("a preamble", format!("x\r\n{good}")),
        ("an empty line before", format!("\r\n{good}")),
        ("an epilogue", format!("{good}x")),
        ("a second form", format!("{good}{good}")),
        ("an empty line after", format!("{good}\r\n")),
        ("a line feed after", format!("{}\n", good.trim_end())),
        ("no end", part_of("path", "/a")),
        ("an end that is another", good.replace("--b--", "--b-")),
        ("cut in the end", good.replace("\r\n--b--\r\n", "")),
        ("a part after the end", good.replace("--b--", &format!("--b--\r\n{}--b--", part_of("format", "x")))),
    ]);
}

#[test]
fn a_delimiter_is_a_whole_line_and_stands_nowhere_else() {
    let good = good();
    let path = named("path");
    refused(&[
        ("line feeds", good.replace('\r', "")),
        ("carriage returns", good.replace('\n', "")),
        ("a space after the delimiter", good.replacen("--b\r\n", "--b \r\n", 1)),
        ("a delimiter and more", good.replacen("--b\r\n", "--bc\r\n", 1)),
        ("an end with a space", good.replace("--b--", "--b-- ")),
        ("the delimiter within a line of a file", form(&format!("{path}; filename=\"f\""), "", "x--b")),
        ("the delimiter after a line feed in a file", form(&format!("{path}; filename=\"f\""), "", &format!("\n--b\n{}\n\n/b", named("format")))),
        ("the delimiter with more in a file", form(&format!("{path}; filename=\"f\""), "", "\r\n--bc\r\n")),
        ("the end in a file", form(&format!("{path}; filename=\"f\""), "", "\r\n--b-- \r\n")),
        ("a dash before the delimiter", good.replacen("--b\r\n", "---b\r\n", 1)),
    ]);
}

#[test]
fn a_part_has_the_headers_of_one_way_to_write_it() {
    let path = named("path");
    refused(&[
        ("no headers", "--b\r\n\r\n/a\r\n--b--\r\n".to_owned()),
        ("no empty line", format!("--b\r\n{path}\r\n--b--\r\n")),
        ("no disposition", form("Content-Type: text/plain", "", "/a")),
        ("two dispositions", form(&path, &format!("{}\r\n", named("format")), "/a")),
        ("two content types", form(&path, "Content-Type: text/plain\r\nContent-Type: text/plain\r\n", "/a")),
        ("a folded header", form("Content-Disposition: form-data;\r\n name=\"path\"", "", "/a")),
        ("a header folded by a tab", form("Content-Disposition: form-data;\r\n\tname=\"path\"", "", "/a")),
        ("a line feed in a header", form(&format!("{path}\nX: y"), "", "/a")),
        ("a carriage return in a header", form(&format!("{path}\rX: y"), "", "/a")),
        ("a space before the colon", form("Content-Disposition : form-data; name=\"path\"", "", "/a")),
        ("a space before the header", form(&format!(" {path}"), "", "/a")),
        ("no colon", form("Content-Disposition form-data", "", "/a")),
        ("an encoding of the part", form(&path, "Content-Transfer-Encoding: base64\r\n", "L2E=")),
        ("quoted-printable", form(&path, "Content-Transfer-Encoding: quoted-printable\r\n", "/=61")),
        ("a length", form(&path, "Content-Length: 2\r\n", "/a")),
        ("another header", form(&path, "X-Y: z\r\n", "/a")),
        ("long headers", file(&"x".repeat(MOST_HEAD))),
    ]);
}

#[test]
fn a_name_is_one_to_every_reader() {
    let good = good();
    let path = named("path");
    refused(&[
        ("no name", form("Content-Disposition: form-data", "", "/a")),
        ("an empty name", form(&named(""), "", "/a")),
        ("a name without quotes", form("Content-Disposition: form-data; name=path", "", "/a")),
        ("a name in single quotes", form("Content-Disposition: form-data; name='path'", "", "/a")),
        ("a quote not closed", form("Content-Disposition: form-data; name=\"path", "", "/a")),
        ("an attachment", form("Content-Disposition: attachment; name=\"path\"", "", "/a")),
        ("two names", form(&format!("{path}; name=\"format\""), "", "/a")),
        ("an extended name", form(&format!("{path}; name*=utf-8''format"), "", "/a")),
        ("an escaped quote", form(&named("pa\\\"th"), "", "/a")),
        ("an encoded quote", form(&named("pa%22th"), "", "/a")),
        ("an encoded word", form(&named("=?utf-8?q?path?="), "", "/a")),
        ("a name of a list", form(&named("path[]"), "", "/a")),
        ("a name with a dot", form(&named("a.path"), "", "/a")),
        ("a name with a space", form(&named("path "), "", "/a")),
        ("a name of other letters", form(&named("paſh"), "", "/a")),
        ("a name that says the charset", form(&named("_charset_"), "", "utf-16")),
        ("a name twice", format!("{}{good}", part_of("path", "/b"))),
        ("a name twice in another case", format!("{}{good}", part_of("PATH", "/b"))),
        ("no space after the semicolon", form("Content-Disposition: form-data;name=\"path\"", "", "/a")),
        ("something after the name", form(&format!("{path};"), "", "/a")),
    ]);
}

#[test]
fn a_file_has_a_name_without_structure() {
    let path = named("path");
    assert!(read(file("x (1).py").as_bytes(), "b").is_ok());
    refused(&[
        ("a file without a name", file("")),
        ("an extended file name", form(&format!("{path}; filename=\"f\"; filename*=utf-8''f"), "", "x")),
        ("only an extended file name", form(&format!("{path}; filename*=utf-8''f"), "", "x")),
        ("a file name first", form("Content-Disposition: form-data; filename=\"f\"; name=\"path\"", "", "x")),
        ("a parameter in a file name", file("f; name=format")),
        ("an escape in a file name", file("f\\")),
        ("an encoded file name", file("f%22")),
        ("a header in a file name", file("f\u{85}X: y")),
        ("a semicolon in a file name", file("f;x")),
        ("an equals sign in a file name", file("f=x")),
        ("a colon in a file name", file("f:x")),
        ("a quote in a file name", file("f\"x")),
        ("a line feed in a file name", file("f\nx")),
        ("a next line in a file name", file("f\u{85}x")),
        ("a line separator in a file name", file("f\u{2028}x")),
        ("a paragraph separator in a file name", file("f\u{2029}x")),
    ]);
}

#[test]
fn a_content_type_changes_nothing() {
    let path = named("path");
    refused(&[
        ("a text of another type", form(&path, "Content-Type: application/json\r\n", "\"/a\"")),
        ("a text of another charset", form(&path, "Content-Type: text/plain; charset=utf-7\r\n", "/a")),
        ("more parameters", form(&path, "Content-Type: text/plain; charset=utf-8; x=y\r\n", "/a")),
        ("a type with a line feed", form(&format!("{path}; filename=\"f\""), "Content-Type: a\nb/c\r\n", "x")),
        ("a subtype with a space", form(&format!("{path}; filename=\"f\""), "Content-Type: a/b c\r\n", "x")),
        ("no subtype", form(&format!("{path}; filename=\"f\""), "Content-Type: a/\r\n", "x")),
        ("no type", form(&path, "Content-Type: text\r\n", "/a")),
        ("parts in a part", form(&format!("{path}; filename=\"f\""), "Content-Type: multipart/mixed\r\n", "x")),
        ("a boundary in a part", form(&format!("{path}; filename=\"f\""), "Content-Type: multipart/mixed; boundary=c\r\n", "--c\r\n")),
        ("a message in a part", form(&format!("{path}; filename=\"f\""), "Content-Type: MESSAGE/rfc822\r\n", "x")),
    ]);
}

#[test]
fn a_text_is_the_same_to_every_reader() {
    let path = named("path");
    let many: String = (0..=MOST_PARTS).fold(String::new(), |text, i| text + &part_of(&format!("n{i}"), ""));
    refused(&[
        ("a line in a text", form(&path, "", "/a\r\n/b")),
        ("a line feed in a text", form(&path, "", "/a\n")),
        ("a null in a text", form(&path, "", "/a\0")),
        ("a byte-order mark", form(&path, "", "\u{feff}/a")),
        ("a space before a text", form(&path, "", " /a")),
        ("a space after a text", form(&path, "", "/a ")),
        ("many parts", format!("{many}--b--\r\n")),
    ]);
    refused(&[("a text that is not UTF-8", b"--b\r\nContent-Disposition: form-data; name=\"path\"\r\n\r\n/\xff\r\n--b--\r\n")]);
}

/// A tolerant reader, as they are found: any end of line, any text around, folded headers, the last of two parts or parameters.
fn tolerant(bytes: &[u8], boundary: &str) -> BTreeMap<String, Option<String>> {
    let mut found = BTreeMap::new();
    let text = String::from_utf8_lossy(bytes).replace("\r\n", "\n").replace('\r', "\n");
    let is_delimiter = |line: &&str| line.trim().strip_prefix("--").is_some_and(|line| line.starts_with(boundary));
    let mut lines = text.split('\n').skip_while(|line| !is_delimiter(line)).peekable();
    while let Some(delimiter) = lines.next() {
        if delimiter.trim().ends_with("--") && delimiter.trim().len() > boundary.len() + 2 {
            break;
        }
        let mut head = String::new();
        while let Some(line) = lines.next_if(|line| !line.trim().is_empty() && !is_delimiter(line)) {
            head.push_str(if line.starts_with([' ', '\t']) { " " } else { ";\n" });
            head.push_str(line.trim());
        }
        lines.next_if(|line| line.trim().is_empty());
        let mut content = Vec::new();
        while let Some(line) = lines.next_if(|line| !is_delimiter(line)) {
            content.push(line);
        }
        let parameter = |key: &str| {
            let of = |part: &str| part.trim().strip_prefix(key)?.strip_prefix('=').map(|value| value.trim_matches(['"', '\'']).to_owned());
            head.split(';').filter_map(of).next_back()
        };
        if let Some(name) = parameter("name") {
            found.insert(name, parameter("filename").is_none().then(|| content.join("\n")));
        }
    }
    found
}

/// What holds for all bytes: nothing panics, and what is accepted is what a tolerant reader makes of it too, part for part.
fn hold(bytes: &[u8], boundary: &str) {
    let Ok(parts) = read(bytes, boundary) else { return };
    let strict = parts.iter().map(|part| match part.content {
        Content::Text(text) => (part.name.to_owned(), Some(text.to_owned())),
        Content::File => (part.name.to_owned(), None),
    });
    assert_eq!(strict.collect::<BTreeMap<_, _>>(), tolerant(bytes, boundary), "{:?}", String::from_utf8_lossy(bytes));
}

#[test]
fn no_bytes_panic_or_are_read_in_two_ways() {
    bolero::check!().for_each(|bytes: &[u8]| {
        hold(bytes, "b");
        hold(&[b"--b\r\nContent-Disposition: form-data; name=\"a\"; filename=\"f\"\r\n\r\n", bytes, b"\r\n--b--\r\n"].concat(), "b");
        hold(&[b"--b\r\nContent-Disposition: form-data; name=\"a\"\r\n", bytes, b"\r\n\r\nx\r\n--b--\r\n"].concat(), "b");
    });
}

/// Forms, and what is nearly one: pieces of forms in any order.
fn nearly_a_form() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        6 => "--b\r\n(Content-Disposition: form-data; name=\"[abA]\"(; filename=\"[a-c;\"]{1,2}\")?\r\n){1,2}\r\n[a/\n ]{0,2}\r\n",
        1 => "--b(--)?[ \r\n]{0,2}|\r\n|\n|; ?(file)?name\\*?=\"?a\"?|Content-(Type|Length): (text/plain|2)\r\n",
    ];
    (proptest::collection::vec(piece, 1..5), "--b--(\r\n)?|").prop_map(|(pieces, end)| pieces.concat() + &end)
}

proptest! {
    #[test]
    fn no_near_form_is_read_in_two_ways(text in nearly_a_form()) {
        hold(text.as_bytes(), "b");
    }

    #[test]
    fn every_text_arrives_as_it_was_sent(texts in proptest::collection::btree_map("[a-z_]{1,8}x", "[!-~é€]{0,20}", 1..8), last in any::<bool>()) {
        let part = |(name, text): (&String, &String)| format!("--=-0b'?\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{text}\r\n");
        let body = texts.iter().map(part).collect::<Vec<_>>().concat();
        let body = format!("{body}--=-0b'?--{}", if last { "\r\n" } else { "" });
        let want: Vec<_> = texts.iter().map(|(name, text)| Part { name, content: Content::Text(text) }).collect();
        prop_assert_eq!(read(body.as_bytes(), "=-0b'?"), Ok(want));
    }
}
