//! Path templates as the catalog writes them: `/api/{2.0|2.1}/jobs/{job_id}`, `/models/{model}:generateContent`, `/fs/files/{path*}`.

/// One template after its alternatives were written out: what each segment of a path must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Template {
    pub(super) parts: Vec<Part>,
}

/// What one segment must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Literal(Box<str>),
    /// Any one segment; with a `suffix` (a custom verb, `:query`) any that ends in it.
    Param {
        name: Box<str>,
        suffix: Box<str>,
    },
    /// One segment or more, up to the end: a path inside the path.
    Tail {
        name: Box<str>,
    },
}

// === impl Template ===

impl Template {
    /// Every template that `text` stands for: one for each choice of its alternatives (`{a|b}`).
    ///
    /// # Errors
    /// A message that says what is wrong with `text`.
    pub(super) fn parse(text: &str) -> Result<Vec<Self>, String> {
        alternatives(text)?.iter().map(|text| Self::parse_one(text)).collect()
    }

    /// The names of its parameters, in order.
    pub(super) fn params(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| match part {
            Part::Literal(_) => None,
            Part::Param { name, .. } | Part::Tail { name } => Some(name.as_ref()),
        })
    }

    fn parse_one(text: &str) -> Result<Self, String> {
        let rest = text.strip_prefix('/').ok_or("a path begins with `/`")?;
        let parts = rest.split('/').map(Part::parse).collect::<Result<Vec<_>, _>>()?;
        let tails = parts.iter().rev().skip(1).any(|part| matches!(part, Part::Tail { .. }));
        if tails { Err("a parameter `{…*}` can only stand last".to_owned()) } else { Ok(Self { parts }) }
    }
}

// === impl Part ===

impl Part {
    fn parse(text: &str) -> Result<Self, String> {
        let Some(inner) = text.strip_prefix('{') else {
            let plain = !text.is_empty() && !text.contains(['{', '}', '|', '*', '%']);
            return if plain { Ok(Self::Literal(text.into())) } else { Err(format!("`{text}` is neither a literal segment nor a parameter")) };
        };
        let (name, suffix) = inner.split_once('}').ok_or_else(|| format!("the brace in `{text}` is not closed"))?;
        let (name, tail) = name.strip_suffix('*').map_or((name, false), |name| (name, true));
        let named = !name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
        let verb = suffix.is_empty() || (suffix.starts_with(':') && suffix.len() > 1 && !suffix.contains(['{', '}']));
        match (named && verb, tail) {
            (true, false) => Ok(Self::Param { name: name.into(), suffix: suffix.into() }),
            (true, true) if suffix.is_empty() => Ok(Self::Tail { name: name.into() }),
            _ => Err(format!("`{text}` is not a parameter: `{{name}}`, `{{name}}:verb` or `{{name*}}`")),
        }
    }
}

/// `a/{b|c}` as `a/b` and `a/c`; every choice where there are several.
fn alternatives(text: &str) -> Result<Vec<String>, String> {
    let mut done = vec![String::new()];
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        let (inner, after) = after.split_once('}').ok_or("a brace is not closed")?;
        let braced = format!("{{{inner}}}");
        let choices: Vec<&str> = if inner.contains('|') { inner.split('|').collect() } else { vec![&braced] };
        if choices.iter().any(|choice| choice.is_empty()) {
            return Err(format!("an alternative of `{braced}` is empty"));
        }
        done = done.iter().flat_map(|head| choices.iter().map(move |choice| format!("{head}{before}{choice}"))).collect();
        rest = after;
    }
    Ok(done.into_iter().map(|head| head + rest).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alternatives_are_written_out() {
        let all = Template::parse("/api/{2.0|2.1}/x/{name}:{get|put}").unwrap();
        assert_eq!(all.len(), 4);
        assert_eq!(all[3].parts[1], Part::Literal("2.1".into()));
        assert_eq!(all[3].parts[3], Part::Param { name: "name".into(), suffix: ":put".into() });
    }

    #[test]
    fn what_is_no_template_is_said() {
        for text in ["api", "/a//b", "/a/", "/{a", "/{}", "/{a|}", "/{a}b", "/{a*}/b", "/{A}", "/a%2fb", "/{a*}:x"] {
            assert!(Template::parse(text).is_err(), "accepted {text}");
        }
    }
}
