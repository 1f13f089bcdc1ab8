//! What asks to leave plain request and answer: `connection`, `upgrade`, CONNECT.

use std::borrow::Cow;

use super::{found::Found, headers};
use crate::model::{Refusal, Upgrade, header};

/// Headers below this decide in Databricks, whichever they are.
const DATABRICKS_PREFIX: &str = "x-databricks-";

/// An upgrade whose protocol the request does not say.
const UNNAMED: &str = "unnamed";

/// Whether `connection` nominates `upgrade`; refuses the nomination of a header that decides, or that lakegate is about to set.
///
/// A nominated header is removed by the next hop, so the upstream would see less than was decided on (GHSA-w9mr-28mw-j8hg,
/// GHSA-62c8-mh53-4cqv). Envoy consumes nominations itself; they are visible here on upgrades, and behind proxies that do not.
pub(super) fn nominated(connection: &[u8], trust_prefix: &str) -> Result<bool, Refusal> {
    let mut upgrade = false;
    for token in connection.split(|byte| *byte == b',').map(<[u8]>::trim_ascii) {
        if token.eq_ignore_ascii_case(b"upgrade") {
            upgrade = true;
        } else if is_guarded(token, trust_prefix) {
            return Err(headers::refuse("connection", "asks for the removal of a header that decides"));
        }
    }
    Ok(upgrade)
}

fn is_guarded(token: &[u8], trust_prefix: &str) -> bool {
    headers::DECIDING.iter().any(|name| header::same(token, name)) || header::begins(token, DATABRICKS_PREFIX) || header::begins(token, trust_prefix)
}

/// The protocol that the client wants to switch to, by any of the ways to ask for one.
pub(super) fn upgrade<'r>(method: &str, found: &Found<'r>) -> Result<Option<Upgrade<'r>>, Refusal> {
    let named = match (found.protocol, found.upgrade) {
        (Some(protocol), Some(upgrade)) if !protocol.eq_ignore_ascii_case(upgrade) => {
            return Err(headers::refuse("upgrade", "names another protocol than `:protocol`"));
        }
        (protocol, upgrade) => protocol.or(upgrade),
    };
    let tunnel = (method == "CONNECT").then_some("connect");
    let asked = named.or(tunnel).or(found.switches.then_some(UNNAMED));
    Ok(asked.map(|protocol| Upgrade(lower(protocol))))
}

fn lower(text: &str) -> Cow<'_, str> {
    if text.bytes().any(|byte| byte.is_ascii_uppercase()) { Cow::Owned(text.to_ascii_lowercase()) } else { Cow::Borrowed(text) }
}
