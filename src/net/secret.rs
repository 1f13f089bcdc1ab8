//! The secret by which lakegate is known as a client, and how it is sent.

use std::{fs, path::PathBuf};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use form_urlencoded::byte_serialize;
use zeroize::Zeroizing;

use crate::model::Secret;

/// Where a client secret is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretSource {
    /// Read when a stage is made; a change needs a new one.
    File(PathBuf),
    Given(Secret),
}

const LONGEST: usize = 4096;

// === impl SecretSource ===

impl SecretSource {
    /// # Errors
    /// The file and what is wrong with it; never a part of what is in it.
    pub fn read(&self) -> Result<Secret, (PathBuf, String)> {
        let file = match self {
            Self::Given(secret) => return Ok(secret.clone()),
            Self::File(file) => file,
        };
        let wrong = |message: String| (file.clone(), message);
        let bytes = Zeroizing::new(fs::read(file).map_err(|error| wrong(format!("the file cannot be read: {error}")))?);
        let text = std::str::from_utf8(&bytes).map_err(|_| wrong("the client secret is not UTF-8".to_owned()))?;
        // Editors end a file with a line break, which is no part of the secret.
        let text = text.strip_suffix('\n').map_or(text, |text| text.strip_suffix('\r').unwrap_or(text));
        if text.is_empty() || text.len() > LONGEST || text.chars().any(char::is_control) {
            return Err(wrong(format!("the file does not hold a client secret: one line of 1 to {LONGEST} bytes")));
        }
        Ok(Secret::new(text))
    }
}

/// The whole `authorization` header of a client (RFC 6749, section 2.3.1). Id and secret are form-encoded before they are joined, so that neither can hold the
/// colon between them.
#[must_use]
pub fn basic(client_id: &str, secret: &Secret) -> Secret {
    let [id, secret] = [client_id, secret.expose()].map(|text| byte_serialize(text.as_bytes()).collect::<String>());
    Secret::new(&format!("Basic {}", STANDARD.encode(format!("{id}:{secret}"))))
}
