//! The one canonical form of each kind of id, for requests, policies and the inventory alike: Cedar compares ids byte for byte, so that an id which
//! one of them wrote otherwise would name nothing, and a `forbid` on it would guard nothing. What Databricks folds is folded; the rest is refused.

use std::{borrow::Cow, fmt, sync::Arc};

/// The one canonical form of an id. Its `Display` says how such an id is written, as `number without leading zeros`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum IdForm {
    /// As Databricks has it, case-sensitive, not empty, without control characters.
    Exact,
    /// Unicode lower case, since Unity Catalog folds names.
    Lower,
    /// At most 20 decimal digits without leading zeros.
    Decimal,
    /// An absolute path: `/`-separated, no empty, `.` or `..` segment, no trailing slash, without a `/Workspace` prefix.
    Path,
    /// An absolute path of a URL: as a workspace path, without a prefix that means the same.
    Url,
    /// A Unity Catalog name of so many parts, in lower case and not quoted.
    Dotted {
        parts: usize,
        /// Some calls name such an object by an id of Databricks' own instead, which has no dot.
        or_id: bool,
    },
    /// An absolute path below `/Volumes/<catalog>/<schema>/<volume>`, those three in lower case.
    VolumePath,
    /// A resource name of this pattern, `projects/*/branches/*`: literal segments, and for each `*` one id (<https://google.aip.dev/122>).
    Pattern {
        pattern: Arc<str>,
        /// Some calls name such an object by an id of Databricks' own instead, which has no slash.
        or_id: bool,
    },
}

/// Why a text is no id of an [`IdForm`]: one clause, without the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct FormError(&'static str);

/// In bytes. No id of Databricks is longer; workspace paths come nearest.
const LONGEST: usize = 4096;

/// Names between `/Volumes` and a file: catalog, schema and volume.
const VOLUME_NAMES: usize = 3;

// === impl IdForm ===

impl IdForm {
    /// The canonical form of `text`, an id that names nothing else.
    ///
    /// # Errors
    /// [`FormError`] where `text` is no such id, or could be taken for two.
    pub fn canonical<'t>(&self, text: &'t str) -> Result<Cow<'t, str>, FormError> {
        let text = self.fold(text);
        sound(&text)?;
        match self {
            Self::Exact | Self::Lower => Ok(text),
            Self::Decimal => decimal(&text).map(|()| text),
            Self::Dotted { parts, or_id } => dotted(&text, *parts, *or_id).map(|()| text),
            Self::Path => match text {
                Cow::Borrowed(text) => path(text).map(Cow::Borrowed),
                Cow::Owned(text) => path(&text).map(|path| Cow::Owned(path.to_owned())),
            },
            Self::Url => plain_path(&text).map(|()| text),
            Self::VolumePath => {
                let path = Self::volume_path(&text)?;
                if path.split('/').skip(2).count() <= VOLUME_NAMES {
                    return Err(FormError("the path is that of a volume or of what volumes are in"));
                }
                Ok(Cow::Owned(path))
            }
            Self::Pattern { pattern, or_id } => resource_name(pattern, *or_id, &text).map(|()| text),
        }
    }

    /// Whether an id of this form says what the object is in.
    #[must_use]
    pub fn is_nested(&self) -> bool {
        !matches!(self, Self::Exact | Self::Lower | Self::Decimal)
    }

    /// The form without ids of Databricks' own.
    #[must_use]
    pub fn named(&self) -> Self {
        match self {
            Self::Dotted { parts, .. } => Self::Dotted { parts: *parts, or_id: false },
            Self::Pattern { pattern, .. } => Self::Pattern { pattern: pattern.clone(), or_id: false },
            other => other.clone(),
        }
    }

    /// `text` as far as its form does not depend on the whole: two texts that differ here are two ids.
    ///
    /// Folded is character by character, since a name must fold alike alone and before a dot: `Σ` does not in Unicode's lower case of whole texts.
    #[must_use]
    pub fn fold<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let folds = matches!(self, Self::Lower | Self::Dotted { .. });
        if !folds || text.bytes().all(|byte| byte.is_ascii() && !byte.is_ascii_uppercase()) {
            return Cow::Borrowed(text);
        }
        Cow::Owned(text.chars().flat_map(char::to_lowercase).map(|c| if c == 'ς' { 'σ' } else { c }).collect())
    }

    /// The canonical id that whoever wrote `text` likely meant, where one can be told; for the help of a message, never for a decision.
    #[must_use]
    pub fn likely(&self, text: &str) -> Option<String> {
        let text = text.trim();
        let mended = match self {
            Self::Exact | Self::Lower | Self::Dotted { .. } => text.to_owned(),
            Self::Decimal => match text.trim_start_matches('0') {
                "" if !text.is_empty() => "0".to_owned(),
                rest => rest.to_owned(),
            },
            Self::Path | Self::Url | Self::VolumePath => {
                let segments = text.split('/').filter(|segment| !segment.is_empty());
                let joined: String = segments.flat_map(|segment| ["/", segment]).collect();
                if joined.is_empty() { "/".to_owned() } else { joined }
            }
            Self::Pattern { .. } => text.trim_matches('/').to_owned(),
        };
        self.canonical(&mended).ok().map(Cow::into_owned)
    }

    /// A path at or below `/Volumes`, its catalog, schema and volume in lower case as far as it has them; a short one is the path of no file.
    ///
    /// # Errors
    /// [`FormError`] where `text` is no such path, or could be taken for two.
    pub fn volume_path(text: &str) -> Result<String, FormError> {
        sound(text)?;
        plain_path(text)?;
        let mut segments = text.split('/').skip(1);
        if segments.next() != Some("Volumes") {
            return Err(FormError("the path is not below `/Volumes`"));
        }
        let name = Self::Dotted { parts: 1, or_id: false };
        let mut whole = String::from("/Volumes");
        for (index, segment) in segments.enumerate() {
            whole.push('/');
            whole.push_str(&if index < VOLUME_NAMES { name.canonical(segment)? } else { Cow::Borrowed(segment) });
        }
        sound(&whole)?;
        Ok(whole)
    }
}

impl fmt::Display for IdForm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let or_id =
            if let Self::Dotted { or_id: true, .. } | Self::Pattern { or_id: true, .. } = self { ", or an id of Databricks' own" } else { "" };
        match self {
            Self::Exact => f.write_str("name"),
            Self::Lower | Self::Dotted { parts: 0 | 1, .. } => f.write_str("name in lower case"),
            Self::Decimal => f.write_str("number without leading zeros"),
            Self::Url => f.write_str("absolute path without a dot segment or a trailing slash"),
            Self::Path => f.write_str("absolute path without a dot segment, a trailing slash or /Workspace"),
            Self::Dotted { parts, .. } => write!(f, "name of {parts} parts in lower case, joined by dots{or_id}"),
            Self::VolumePath => {
                f.write_str("path of what is in a volume, /Volumes and the names of catalog, schema and volume in lower case before it")
            }
            Self::Pattern { pattern, .. } => write!(f, "resource name {pattern}{or_id}"),
        }
    }
}

/// What holds for every id.
fn sound(text: &str) -> Result<(), FormError> {
    if text.is_empty() {
        return Err(FormError("it is empty"));
    }
    if text.len() > LONGEST {
        return Err(FormError("it is too long"));
    }
    if text.chars().any(char::is_control) {
        return Err(FormError("it has a control character"));
    }
    if text.trim() != text {
        return Err(FormError("it begins or ends with a space"));
    }
    Ok(())
}

/// `42`, never `042` or `+42`; within 63 bits, since a reader that wraps would see another id in anything larger.
fn decimal(text: &str) -> Result<(), FormError> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit()) && text.parse::<i64>().is_ok();
    if !digits || (text.len() > 1 && text.starts_with('0')) {
        return Err(FormError("it is not a decimal number below 2^63 without leading zeros"));
    }
    Ok(())
}

/// Quoting in backticks is not read: a dot inside of one could be taken for a separator.
fn dotted(text: &str, parts: usize, or_id: bool) -> Result<(), FormError> {
    if text.contains(['`', '/']) {
        return Err(FormError("it has a quoted part or a slash"));
    }
    if text.split('.').any(|part| part.is_empty() || part.trim() != part) {
        return Err(FormError("a part of the name is empty"));
    }
    let have = text.split('.').count();
    if have != parts && !(or_id && have == 1) {
        return Err(FormError("the name has too many or too few parts"));
    }
    Ok(())
}

/// An absolute workspace path; `/Workspace/Users/a` is the same place as `/Users/a`.
fn path(text: &str) -> Result<&str, FormError> {
    plain_path(text)?;
    let short = text.strip_prefix("/Workspace").filter(|rest| rest.starts_with('/')).unwrap_or(text);
    match short {
        "/Workspace" => Ok("/"),
        // A second prefix, or one in another case, could be the same place to Databricks or another.
        _ if short.split('/').nth(1).is_some_and(|first| first.eq_ignore_ascii_case("workspace")) => {
            Err(FormError("the path has a doubtful `/Workspace` prefix"))
        }
        _ => sound(short).map(|()| short),
    }
}

/// As many segments as `pattern` has: its literals as they are, and ids that neither a dot segment nor another parser's separator could be.
fn resource_name(pattern: &str, or_id: bool, text: &str) -> Result<(), FormError> {
    let mut segments = text.split('/');
    let fits = pattern.split('/').all(|wanted| segments.next().is_some_and(|have| if wanted == "*" { !have.is_empty() } else { wanted == have }));
    if !(fits && segments.next().is_none() || or_id && !text.contains('/')) {
        return Err(FormError("it is no resource name of that pattern"));
    }
    if text.split('/').any(|segment| matches!(segment, "." | "..") || segment.contains(['\\', '%', ':'])) {
        return Err(FormError("the resource name has a dot segment, a backslash, a percent sign or a colon"));
    }
    Ok(())
}

fn plain_path(text: &str) -> Result<(), FormError> {
    let Some(rest) = text.strip_prefix('/') else { return Err(FormError("the path is not absolute")) };
    if text != "/" && rest.split('/').any(|segment| matches!(segment, "" | "." | "..")) {
        return Err(FormError("the path has an empty or a dot segment"));
    }
    if text.contains(['\\', '%']) {
        return Err(FormError("the path has a backslash or a percent sign"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const THREE: IdForm = IdForm::Dotted { parts: 3, or_id: false };
    const THREE_OR_ID: IdForm = IdForm::Dotted { parts: 3, or_id: true };

    #[test]
    fn ids_have_one_form() {
        let branch = || IdForm::Pattern { pattern: "projects/*/branches/*".into(), or_id: false };
        for (form, text, want) in [
            (IdForm::Url, "/Workspace/x", Some("/Workspace/x")),
            (IdForm::Url, "/x/../y", None),
            (IdForm::Url, "/x/", None),
            (IdForm::Url, "/", Some("/")),
            (branch(), "projects/p/branches/B", Some("projects/p/branches/B")),
            (branch(), "projects/p/branches/", None),
            (branch(), "projects/p/branches", None),
            (branch(), "projects/p/branches/b/c", None),
            (branch(), "Projects/p/branches/b", None),
            (branch(), "projects/../branches/b", None),
            (branch(), "projects/p/branches/b:undelete", None),
            (branch(), "/projects/p/branches/b", None),
            (IdForm::Decimal, "42", Some("42")),
            (IdForm::Decimal, "0", Some("0")),
            (IdForm::Decimal, "9223372036854775807", Some("9223372036854775807")),
            (IdForm::Decimal, "9223372036854775808", None),
            (IdForm::Decimal, "18446744073709551659", None),
            (IdForm::Decimal, "042", None),
            (IdForm::Decimal, "+42", None),
            (IdForm::Decimal, "4 2", None),
            (IdForm::Decimal, "٤٢", None),
            (IdForm::Decimal, "", None),
            (IdForm::Decimal, "999999999999999999999", None),
            (IdForm::Exact, "Sales", Some("Sales")),
            (IdForm::Exact, " sales", None),
            (IdForm::Exact, "sa\u{7}les", None),
            (IdForm::Exact, "", None),
            (IdForm::Lower, "0123ABC", Some("0123abc")),
            (IdForm::Path, "/Workspace/Users/a@b.c/X", Some("/Users/a@b.c/X")),
            (IdForm::Path, "/Workspace", Some("/")),
            (IdForm::Path, "/workspace/x", None),
            (IdForm::Path, "/Workspace/Workspace/x", None),
            (IdForm::Path, "/Users/../x", None),
            (IdForm::Path, "/Users//x", None),
            (IdForm::Path, "/Users/", None),
            (IdForm::Path, "Users", None),
            (IdForm::Path, "/a\\b", None),
            (IdForm::Path, "/a%2fb", None),
            (IdForm::Path, "/", Some("/")),
            (THREE, "Main.ML.Churn", Some("main.ml.churn")),
            (THREE, "main.ml", None),
            (THREE, "main", None),
            (THREE, "a.b.c.d", None),
            (THREE, "a..c", None),
            (THREE, "`a.b`.c", None),
            (THREE, "a. b.c", None),
            (THREE, "a/b.c.d", None),
            (THREE_OR_ID, "0A-1B", Some("0a-1b")),
            (THREE_OR_ID, "main.ml", None),
            (IdForm::VolumePath, "/Volumes/Main/ML/Raw/Dir/F.csv", Some("/Volumes/main/ml/raw/Dir/F.csv")),
            (IdForm::VolumePath, "/Volumes/main/ml/raw", None),
            (IdForm::VolumePath, "/volumes/a/b/c/d", None),
            (IdForm::VolumePath, "/Users/a", None),
            (IdForm::VolumePath, "/Volumes/a.b/c/d/e", None),
            (IdForm::VolumePath, "/Volumes/a/b/c/../d", None),
        ] {
            assert_eq!(form.canonical(text).ok().as_deref(), want, "{form:?} {text:?}");
        }
        assert_eq!(IdForm::volume_path("/Volumes/Main").as_deref(), Ok("/Volumes/main"));
    }

    #[test]
    fn a_name_folds_alike_alone_and_before_a_dot() {
        let alone = IdForm::Dotted { parts: 1, or_id: false }.canonical("ΑΣ").unwrap().into_owned();
        assert!(THREE.canonical("ΑΣ.x.y").unwrap().starts_with(&format!("{alone}.")));
    }

    #[test]
    fn what_was_likely_meant_is_told() {
        for (form, text, want) in [
            (IdForm::Decimal, "042", Some("42")),
            (IdForm::Decimal, "000", Some("0")),
            (IdForm::Decimal, "x", None),
            (IdForm::Decimal, "", None),
            (IdForm::Exact, " sales ", Some("sales")),
            (IdForm::Path, "Shared//x/", Some("/Shared/x")),
            (IdForm::Path, "/Workspace/Shared/x", Some("/Shared/x")),
            (IdForm::Path, "/Shared/../x", None),
            (THREE, "MAIN.a.b ", Some("main.a.b")),
            (IdForm::VolumePath, "Volumes/A/b/c/D/", Some("/Volumes/a/b/c/D")),
        ] {
            assert_eq!(form.likely(text).as_deref(), want, "{form:?} {text:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_canonical_stays_as_it_is(text in "(/Volumes|/Workspace)?[/.`%a-cA-CÉΣİ0-9 ]{0,12}") {
            for form in [IdForm::Exact, IdForm::Lower, IdForm::Decimal, IdForm::Path, IdForm::Url, THREE, THREE_OR_ID, IdForm::VolumePath] {
                if let Ok(id) = form.canonical(&text) {
                    let again = form.canonical(&id);
                    prop_assert_eq!(again.as_deref(), Ok(&*id), "{:?}", form);
                }
            }
        }
    }

    #[test]
    fn what_grows_beyond_the_limit_in_lower_case_is_refused() {
        assert!(IdForm::Lower.canonical(&"İ".repeat(LONGEST / 2)).is_err());
    }
}
