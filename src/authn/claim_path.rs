use std::fmt;

/// The way to a claim inside nested objects.
///
/// Written with dots (`realm_access.roles`); a `*` stands for every member, and its name is put before what it leads to (`<member>:<value>`). A name
/// that holds a dot stands in quotation marks (`"kubernetes.io".namespace`). A text with `://` and no quotation mark is the whole name of one claim, as
/// namespaced claims are URLs.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ClaimPath(Vec<String>);

/// A text that is not a [`ClaimPath`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a path of claims: names joined with `.`, none of them empty, and one that holds a dot in quotation marks")]
pub struct ClaimPathError(pub String);

/// What stands for every member of an object.
pub(super) const EVERY: &str = "*";

// === impl ClaimPath ===

impl ClaimPath {
    /// # Errors
    /// [`ClaimPathError`] where a name in `text` is empty, or a quotation mark does not open or close a name.
    pub fn parse(text: &str) -> Result<Self, ClaimPathError> {
        let names = if text.contains("://") && !text.contains('"') { Some(vec![text.to_owned()]) } else { names(text) };
        names.map(Self).ok_or_else(|| ClaimPathError(text.to_owned()))
    }

    /// Whether it leads to as many claims as there are members, for a `*` in it.
    #[must_use]
    pub fn is_pattern(&self) -> bool {
        self.0.iter().any(|name| name == EVERY)
    }

    pub(super) fn of(names: &[&str]) -> Self {
        Self(names.iter().map(|&name| name.to_owned()).collect())
    }

    pub(super) fn names(&self) -> &[String] {
        &self.0
    }
}

/// `None` where the text is not of the form.
fn names(text: &str) -> Option<Vec<String>> {
    let mut names = Vec::new();
    let mut rest = text;
    loop {
        let (name, after) = match rest.strip_prefix('"') {
            // A quoted star would mean one name here and every name there.
            Some(quoted) => quoted.split_once('"').filter(|(name, _)| *name != EVERY)?,
            None => rest.split_at(rest.find('.').unwrap_or(rest.len())),
        };
        if name.is_empty() || name.contains('"') {
            return None;
        }
        names.push(name.to_owned());
        if after.is_empty() {
            return Some(names);
        }
        rest = after.strip_prefix('.')?;
    }
}

impl fmt::Display for ClaimPath {
    /// As it is written.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let [only] = self.0.as_slice()
            && only.contains("://")
        {
            return f.write_str(only);
        }
        for (index, name) in self.0.iter().enumerate() {
            let dot = if index == 0 { "" } else { "." };
            let quote = if name.contains('.') { "\"" } else { "" };
            write!(f, "{dot}{quote}{name}{quote}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_read_as_they_are_written() {
        let cases: [(&str, &[&str]); 8] = [
            ("groups", &["groups"]),
            ("realm_access.roles", &["realm_access", "roles"]),
            ("resource_access.*.roles", &["resource_access", "*", "roles"]),
            ("https://corp.example/groups", &["https://corp.example/groups"]),
            ("\"kubernetes.io\".pod.name", &["kubernetes.io", "pod", "name"]),
            ("\"https://sts.amazonaws.com/\".principal_tags.cost-center", &["https://sts.amazonaws.com/", "principal_tags", "cost-center"]),
            ("a.\"b.c\"", &["a", "b.c"]),
            ("\"plain\"", &["plain"]),
        ];
        for (text, names) in cases {
            let path = ClaimPath::parse(text).unwrap();
            assert_eq!(path.names(), names, "{text}");
            assert_eq!(ClaimPath::parse(&path.to_string()), Ok(path.clone()), "{text} is shown as {path}");
        }
    }

    #[test]
    fn what_is_not_a_path_is_refused() {
        for text in ["", ".", "a.", ".a", "a..b", "\"\"", "\"a", "a\"", "\"a\"b", "a\"b", "\"a\".", "\"*\".b", "\"a\"\"b\""] {
            assert_eq!(ClaimPath::parse(text), Err(ClaimPathError(text.to_owned())), "{text}");
        }
    }
}
