use serde_json::{Map, Value};

use super::KeySet;

/// lakegate as an issuer of tokens: who it is to those that trust it, and the keys by which they know it.
#[derive(Clone, Debug, PartialEq)]
pub struct TokenIssuer {
    name: String,
    keys: KeySet,
}

/// What a token of lakegate's own says. Times are in seconds since the epoch.
#[derive(Clone, Copy, Debug)]
pub struct Statement<'s> {
    /// Its header `typ`, by which no token passes for one of another kind (RFC 8725, section 3.11).
    pub typ: &'s str,
    pub subject: &'s str,
    pub audience: &'s str,
    pub now: i64,
    pub expires_at: i64,
}

// === impl TokenIssuer ===

impl TokenIssuer {
    /// `name` is the `iss` of its tokens.
    #[must_use]
    pub fn new(name: String, keys: KeySet) -> Self {
        Self { name, keys }
    }

    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    #[must_use]
    pub fn keys(&self) -> &KeySet {
        &self.keys
    }

    /// A signed token that says `statement` and `more`, which names none of the claims that the statement makes; `None` where it cannot be signed.
    #[must_use]
    pub fn mint(&self, statement: &Statement<'_>, more: Map<String, Value>) -> Option<String> {
        let mut id = [0; 16];
        aws_lc_rs::rand::fill(&mut id).ok()?;
        let mut claims = Map::new();
        claims.insert("iss".to_owned(), self.name.as_str().into());
        claims.insert("sub".to_owned(), statement.subject.into());
        claims.insert("aud".to_owned(), statement.audience.into());
        claims.insert("iat".to_owned(), statement.now.into());
        claims.insert("exp".to_owned(), statement.expires_at.into());
        claims.insert("jti".to_owned(), uuid::Builder::from_random_bytes(id).into_uuid().to_string().into());
        for (name, value) in more {
            claims.entry(name).or_insert(value);
        }
        self.keys.sign(statement.typ, &Value::Object(claims))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
    use serde_json::json;

    use super::{
        super::{Algorithm, generate},
        *,
    };

    #[test]
    fn nothing_takes_the_place_of_what_a_statement_says() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key.pem");
        fs::write(&file, generate(Algorithm::Es256).unwrap()).unwrap();
        let issuer = TokenIssuer::new("https://lakegate.example.com".to_owned(), KeySet::read(&[file]).unwrap());
        let statement = Statement { typ: "JWT", subject: "alice", audience: "acct", now: 1_000, expires_at: 1_060 };
        let others = json!({ "iss": "evil", "sub": "root", "aud": ["evil"], "iat": 1, "exp": 9_999_999_999_i64, "jti": "known", "groups": ["ml"] });
        let Value::Object(more) = others else { panic!("no claims") };
        let token = issuer.mint(&statement, more).unwrap();
        let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap()).unwrap();
        for (name, value) in [
            ("iss", json!("https://lakegate.example.com")),
            ("sub", json!("alice")),
            ("aud", json!("acct")),
            ("iat", json!(1_000)),
            ("exp", json!(1_060)),
            ("groups", json!(["ml"])),
        ] {
            assert_eq!(claims[name], value, "{name}");
        }
        assert_ne!(claims["jti"], "known");
    }
}
