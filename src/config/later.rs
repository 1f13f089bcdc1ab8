//! What the interface names and this version does not have. Each is refused by name, so that nobody believes in a guard that is not there.

/// A key, or one word of a key's values, that this version refuses.
struct Later {
    /// As `KeyPath::pattern` gives it.
    at: &'static str,
    /// `None` where the key itself is meant.
    word: Option<&'static str>,
    help: &'static str,
}

const fn key(at: &'static str, help: &'static str) -> Later {
    Later { at, word: None, help }
}

const fn word(at: &'static str, word: &'static str, help: &'static str) -> Later {
    Later { at, word: Some(word), help }
}

const OTHER_MODE: &str = "use `passthrough` or `strip`";

const LATER: &[Later] = &[
    word("workspaces[].credentials.mode", "exchange", OTHER_MODE),
    word("workspaces[].credentials.mode", "service-principal", OTHER_MODE),
    word("workspaces[].credentials.mode", "client-credentials", OTHER_MODE),
    key("workspaces[].credentials.token_endpoint", "remove it: no credential is minted"),
    word("workspaces[].trust", "assertion", "remove it from the list"),
    word("accounts[].credentials.mode", "exchange", OTHER_MODE),
    word("accounts[].credentials.mode", "service-principal", OTHER_MODE),
    word("accounts[].credentials.mode", "client-credentials", OTHER_MODE),
    key("accounts[].credentials.token_endpoint", "remove it: no credential is minted"),
    word("accounts[].trust", "assertion", "remove it from the list"),
    word("services[].credentials.mode", "exchange", OTHER_MODE),
    word("services[].credentials.mode", "service-principal", OTHER_MODE),
    word("services[].credentials.mode", "client-credentials", OTHER_MODE),
    key("services[].credentials.token_endpoint", "remove it: no credential is minted"),
    word("services[].trust", "assertion", "remove it from the list"),
    key("trust.assertion", "remove it: no assertion is signed"),
];

/// What to write in place of `text` as `listen.control`, where it is an address, which this version does not have there.
pub(super) fn control_help(text: &str) -> Option<&'static str> {
    let (host, port) = text.rsplit_once(':')?;
    let address = !host.contains('/') && !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    address.then_some("name a Unix socket, as `lakegate.sock`; `kubectl exec` reaches it in a pod")
}

/// What to do in place of the key at `pattern`, where this version does not have it.
pub(super) fn key_help(pattern: &str) -> Option<&'static str> {
    LATER.iter().find(|later| later.word.is_none() && later.at == pattern).map(|later| later.help)
}

/// What to write in place of `text` at `pattern`, where this version does not have it.
pub(super) fn word_help(pattern: &str, text: &str) -> Option<&'static str> {
    let pattern = pattern.strip_suffix("[]").unwrap_or(pattern);
    LATER.iter().find(|later| later.word == Some(text) && later.at == pattern).map(|later| later.help)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{config::schema, text::quoted};

    /// The schema at a pattern such as `issuers[].provider`, if the schema has it.
    fn schema_at(pattern: &str) -> Option<&'static serde_json::Value> {
        pattern.split('.').try_fold(schema::root(), |schema, step| {
            let key = step.trim_end_matches("[]");
            let property = schema::resolved(schema::root(), schema::resolved(schema::root(), schema).get("properties")?.get(key)?);
            if key == step { Some(property) } else { property.get("items").map(|items| schema::resolved(schema::root(), items)) }
        })
    }

    #[test]
    fn the_table_names_only_what_the_schema_does_not_have_yet() {
        for Later { at, word, help } in LATER {
            let found = schema_at(at);
            if let Some(word) = word {
                let words = found.unwrap_or_else(|| panic!("`{at}` is nowhere")).to_string();
                assert!(!words.contains(&format!("\"{word}\"")), "`{at}` knows `{word}`: remove it here");
            } else {
                assert!(found.is_none(), "`{at}` is in the schema: remove it here");
            }
            let (owner, _) = at.rsplit_once('.').unwrap_or_default();
            assert!(owner.is_empty() || schema_at(owner).is_some(), "{} is nowhere, so its fault would never be seen", quoted(owner));
            assert!(!help.is_empty() && !help.ends_with('.'));
        }
    }
}
