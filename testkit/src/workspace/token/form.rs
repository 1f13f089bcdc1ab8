//! What is asked for, and with what it is proved.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::Url;

use super::{Exchange, Refused};

const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";

/// A request as it is to be understood.
pub(super) struct Asked<'e> {
    pub(super) scope: &'e str,
    pub(super) proof: Proof<'e>,
}

pub(super) enum Proof<'e> {
    /// A signed token, of account-wide federation or, with a client, of a service principal's.
    Assertion { token: &'e str, client_id: Option<&'e str> },
    /// The secret of a service principal.
    Secret { client_id: String, secret: String },
}

// === impl Asked ===

impl<'e> Asked<'e> {
    pub(super) fn of(exchange: &'e Exchange, content_type: Option<&str>) -> Result<Self, Refused> {
        if content_type != Some("application/x-www-form-urlencoded") {
            return Err(Refused::request("the body is not a form"));
        }
        let names = || exchange.form.iter().map(|(name, _)| name.as_str());
        // RFC 6749, section 3.2
        if let Some(name) = names().find(|name| names().filter(|other| other == name).count() > 1) {
            return Err(Refused::request(format!("'{name}' is there twice")));
        }
        let field = |name: &str| exchange.field(name).filter(|value| !value.is_empty());
        let needed = |name: &str| field(name).ok_or_else(|| Refused::request(format!("'{name}' is missing")));
        let proof = match needed("grant_type")? {
            EXCHANGE => {
                if needed("subject_token_type")? != JWT {
                    return Err(Refused::request("'subject_token_type' is not known"));
                }
                if exchange.authorization.is_some() {
                    return Err(Refused::request("an exchange has no Authorization header"));
                }
                Proof::Assertion { token: needed("subject_token")?, client_id: field("client_id") }
            }
            "client_credentials" => {
                let (client_id, secret) = exchange.authorization.as_deref().and_then(basic).ok_or_else(|| {
                    // RFC 6749, section 5.2
                    Refused::of(401, "invalid_client", "client authentication failed")
                })?;
                Proof::Secret { client_id, secret }
            }
            _ => return Err(Refused::of(400, "unsupported_grant_type", "the grant type is not supported")),
        };
        Ok(Self { scope: field("scope").unwrap_or("all-apis"), proof })
    }
}

/// A form body is written like a query (WHATWG URL §5).
pub(super) fn fields(body: &[u8]) -> Vec<(String, String)> {
    let Ok(mut url) = Url::parse("http://form/") else { return Vec::new() };
    url.set_query(Some(&String::from_utf8_lossy(body)));
    url.query_pairs().into_owned().collect()
}

/// Client id and secret, each form-encoded before they were joined (RFC 6749, section 2.3.1).
fn basic(header: &str) -> Option<(String, String)> {
    let decoded = STANDARD.decode(header.strip_prefix("Basic ")?).ok()?;
    let text = String::from_utf8(decoded).ok()?;
    let (id, secret) = text.split_once(':')?;
    let plain = |text: &str| Some(fields(format!("v={text}").as_bytes()).pop()?.1);
    Some((plain(id)?, plain(secret)?))
}
