use std::path::{Path, PathBuf};

use super::{files, path::KeyPath, report::Report};
use crate::{model::Secret, text::quoted};

/// Where a client secret is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretPlace {
    File(PathBuf),
    /// It was in the environment.
    Known(Secret),
}

// === impl SecretPlace ===

impl SecretPlace {
    /// The file that a change of the secret changes.
    #[must_use]
    pub fn file(&self) -> Option<&PathBuf> {
        if let Self::File(file) = self { Some(file) } else { None }
    }
}

pub(super) fn secret(file: Option<&Path>, variable: Option<&str>, path: &KeyPath, report: &mut Report<'_>) -> Option<SecretPlace> {
    match (file, variable) {
        (Some(_), Some(_)) => {
            report.fault(&path.key("secret_env"), "`secret_file` and `secret_env` exclude each other", "remove one of them");
            None
        }
        (Some(written), None) => files::file(written, &path.key("secret_file"), report).map(SecretPlace::File),
        (None, Some(variable)) => environment(variable, &path.key("secret_env"), report).map(SecretPlace::Known),
        (None, None) => {
            report.fault(path, "the client has no secret", "name `secret_file` or `secret_env`; a secret never stands in this file");
            None
        }
    }
}

/// The text of an environment variable, which no message shows.
#[expect(clippy::disallowed_methods, reason = "secrets are named by file or variable, and this is where the environment is read")]
fn environment(variable: &str, path: &KeyPath, report: &mut Report<'_>) -> Option<Secret> {
    let named = !variable.is_empty() && variable.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    if !named {
        report.fault(path, format!("{} is not the name of an environment variable", quoted(variable)), "write letters, digits and `_`");
        return None;
    }
    match std::env::var(variable) {
        Ok(text) if !text.is_empty() && !text.chars().any(char::is_control) => Some(Secret::new(&text)),
        Ok(_) => {
            report.fault(path, format!("the environment variable {} holds no secret", quoted(variable)), "set it to one line that is not empty");
            None
        }
        Err(_) => {
            report.fault(path, format!("the environment variable {} is not set", quoted(variable)), "set it, or name `secret_file`");
            None
        }
    }
}
