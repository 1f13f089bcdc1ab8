//! The one canonical form of each kind of id. What Databricks folds is folded; what it does not is refused, never repaired.

use super::kinds::BadId;
use crate::model::IdForm;

/// No id of Databricks is longer; workspace paths come nearest.
const LONGEST: usize = 4096;

/// The canonical form of `text` as an id that names nothing else.
pub(super) fn id(form: IdForm, text: &str) -> Result<String, BadId> {
    sound(text)?;
    match form {
        IdForm::Exact => Ok(text.to_owned()),
        IdForm::Lower => Ok(text.to_lowercase()),
        IdForm::Decimal => decimal(text),
        IdForm::Path => path(text),
    }
}

/// A decimal id: `42`, never `042` or `+42`.
fn decimal(text: &str) -> Result<String, BadId> {
    let digits = text.len() <= 20 && text.bytes().all(|b| b.is_ascii_digit());
    if !digits || (text.len() > 1 && text.starts_with('0')) {
        return Err(BadId("it is not a decimal number without leading zeros"));
    }
    Ok(text.to_owned())
}

/// A Unity Catalog name of `parts` parts. Quoting in backticks is not read: a dot inside of one could be taken for a separator.
pub(super) fn dotted(text: &str, parts: usize) -> Result<String, BadId> {
    sound(text)?;
    if text.contains(['`', '/']) {
        return Err(BadId("it has a quoted part or a slash"));
    }
    if text.split('.').any(|part| part.is_empty() || part.trim() != part) {
        return Err(BadId("a part of the name is empty"));
    }
    if text.split('.').count() != parts {
        return Err(BadId("the name has too many or too few parts"));
    }
    Ok(text.to_lowercase())
}

/// An absolute workspace path; `/Workspace/Users/a` is the same place as `/Users/a`.
pub(super) fn path(text: &str) -> Result<String, BadId> {
    plain_path(text)?;
    let short = text.strip_prefix("/Workspace").filter(|rest| rest.starts_with('/')).unwrap_or(text);
    match short {
        "/Workspace" => Ok("/".to_owned()),
        // A second prefix, or one in another case, could be the same place to Databricks or another.
        _ if short.split('/').nth(1).is_some_and(|first| first.eq_ignore_ascii_case("workspace")) => {
            Err(BadId("the path has a doubtful `/Workspace` prefix"))
        }
        _ => Ok(short.to_owned()),
    }
}

/// A path below `/Volumes`, its catalog, schema and volume in lower case.
pub(super) fn volume_path(text: &str) -> Result<String, BadId> {
    plain_path(text)?;
    let mut segments = text.split('/').skip(1);
    if segments.next() != Some("Volumes") {
        return Err(BadId("the path is not below `/Volumes`"));
    }
    let mut whole = String::from("/Volumes");
    for (index, segment) in segments.enumerate() {
        whole.push('/');
        if index < 3 {
            whole.push_str(&dotted(segment, 1)?);
        } else {
            whole.push_str(segment);
        }
    }
    Ok(whole)
}

fn plain_path(text: &str) -> Result<(), BadId> {
    sound(text)?;
    let Some(rest) = text.strip_prefix('/') else { return Err(BadId("the path is not absolute")) };
    if text != "/" && rest.split('/').any(|segment| matches!(segment, "" | "." | "..")) {
        return Err(BadId("the path has an empty or a dot segment"));
    }
    if text.contains(['\\', '%']) {
        return Err(BadId("the path has a backslash or a percent sign"));
    }
    Ok(())
}

/// What holds for every id.
fn sound(text: &str) -> Result<(), BadId> {
    if text.len() > LONGEST {
        return Err(BadId("it is too long"));
    }
    if text.chars().any(char::is_control) {
        return Err(BadId("it has a control character"));
    }
    if text.trim() != text {
        return Err(BadId("it begins or ends with a space"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_have_one_form() {
        for (form, text, want) in [
            (IdForm::Decimal, "42", Some("42")),
            (IdForm::Decimal, "0", Some("0")),
            (IdForm::Decimal, "042", None),
            (IdForm::Decimal, "+42", None),
            (IdForm::Decimal, "4 2", None),
            (IdForm::Decimal, "٤٢", None),
            (IdForm::Decimal, "999999999999999999999", None),
            (IdForm::Exact, "Sales", Some("Sales")),
            (IdForm::Exact, " sales", None),
            (IdForm::Exact, "sa\u{7}les", None),
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
            (IdForm::Path, "/", Some("/")),
        ] {
            assert_eq!(id(form, text).ok().as_deref(), want, "{text:?}");
        }
    }

    #[test]
    fn unity_catalog_names_are_folded_and_counted() {
        assert_eq!(dotted("Main.ML.Churn", 3).as_deref(), Ok("main.ml.churn"));
        for (text, parts) in [("main.ml", 3), ("a.b.c.d", 3), ("a..c", 3), ("`a.b`.c", 3), ("a. b.c", 3), ("", 1), ("a/b", 1)] {
            assert!(dotted(text, parts).is_err(), "accepted {text}");
        }
        assert_eq!(volume_path("/Volumes/Main/ML/Raw/Dir/F.csv").as_deref(), Ok("/Volumes/main/ml/raw/Dir/F.csv"));
        for text in ["/volumes/a/b/c/d", "/Users/a", "/Volumes/a.b/c/d", "/Volumes/a/b/c/../d"] {
            assert!(volume_path(text).is_err(), "accepted {text}");
        }
    }
}
