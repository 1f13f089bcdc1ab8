//! Path templates as the catalog writes them: `/api/{2.0|2.1}/jobs/{job_id}`, `/models/{model}:generateContent`, `/fs/files/{path*}`,
//! `/postgres/{name=projects/*/branches/*}`.

/// One template after its alternatives were written out: what each segment of a path must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Template {
    pub(super) parts: Vec<Part>,
    /// In the order of the path.
    pub(super) params: Vec<Param>,
}

/// What one segment must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Literal(Box<str>),
    /// Any one segment.
    Any,
    /// Any one segment that ends in a custom verb: `:query`.
    Verb(Box<str>),
    /// One segment or more, up to the end: a path inside the path.
    Tail,
    /// Everything up to the end, even nothing; a slash at the end counts for nothing.
    Rest,
}

/// One parameter, and where it stands in every path that fits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Param {
    pub(super) name: Box<str>,
    pub(super) place: Place,
}

/// The segments that a parameter stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Those from the first up to the second, joined by `/`; of the last one without so many bytes of a verb.
    Segments { from: usize, to: usize, verb: usize },
    /// All from here on that are not empty, each with a `/` before it; `/` where there is none.
    Tail { from: usize },
}

/// Paths that one template may stand for.
const MOST: usize = 64;

// === impl Template ===

impl Template {
    /// Every template that `text` stands for: one for each choice of its alternatives (`{a|b}`).
    ///
    /// # Errors
    /// A message that says what is wrong with `text`.
    pub(super) fn parse(text: &str) -> Result<Vec<Self>, String> {
        alternatives(text)?.iter().map(|text| Self::parse_one(text)).collect()
    }

    /// What its paths have in common, without the names of its parameters: `api/2.0/*/things:go`.
    pub(super) fn shape(&self) -> String {
        let part = |part: &Part| match part {
            Part::Literal(text) => text.to_string(),
            Part::Any => "*".to_owned(),
            Part::Verb(verb) => format!("*{verb}"),
            Part::Tail | Part::Rest => "**".to_owned(),
        };
        self.parts.iter().map(part).collect::<Vec<_>>().join("/")
    }

    fn parse_one(text: &str) -> Result<Self, String> {
        let mut rest = text.strip_prefix('/').ok_or("a path begins with `/`")?;
        let mut template = Self { parts: Vec::new(), params: Vec::new() };
        loop {
            if matches!(template.parts.last(), Some(Part::Tail | Part::Rest)) {
                return Err("a parameter `{…*}` or `{…**}` can only stand last".to_owned());
            }
            rest = if let Some(inner) = rest.strip_prefix('{') { template.param(inner)? } else { template.literal(rest)? };
            let Some(next) = rest.strip_prefix('/') else { break };
            rest = next;
        }
        if rest.is_empty() { Ok(template) } else { Err(format!("`{rest}` stands behind a parameter and is no verb")) }
    }

    /// The segment at the beginning of `text`; returns what follows.
    fn literal<'t>(&mut self, text: &'t str) -> Result<&'t str, String> {
        let (segment, rest) = text.split_at(text.find('/').unwrap_or(text.len()));
        let last = segment.is_empty() && rest.is_empty() && !self.parts.is_empty();
        self.parts.push(if last { Part::Literal("".into()) } else { Part::literal(segment)? });
        Ok(rest)
    }

    /// The parameter of which `text` begins behind the brace; returns what follows.
    fn param<'t>(&mut self, text: &'t str) -> Result<&'t str, String> {
        let wrong = |why: &str| format!("`{{{text}` {why}: `{{name}}`, `{{name}}:verb`, `{{name*}}`, `{{name**}}` or `{{name=literals/*}}`");
        let (inner, rest) = text.split_once('}').ok_or_else(|| wrong("is not closed"))?;
        let (verb, rest) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let (name, pattern) = inner.split_once('=').map_or((inner, None), |(name, pattern)| (name, Some(pattern)));
        let whole = name;
        let (name, tail) = (name.trim_end_matches('*'), name.ends_with('*'));
        let named = !name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
        let ends = verb.is_empty() || (verb.starts_with(':') && verb.len() > 1 && !verb.contains(['{', '}']));
        if !named || !ends || whole.len() > name.len() + 2 || (tail && (pattern.is_some() || !verb.is_empty())) {
            return Err(wrong("is no parameter"));
        }
        let from = self.parts.len();
        if tail {
            self.parts.push(if whole.ends_with("**") { Part::Rest } else { Part::Tail });
        } else {
            for segment in pattern.unwrap_or("*").split('/') {
                self.parts.push(if segment == "*" { Part::Any } else { Part::literal(segment)? });
            }
            if !verb.is_empty() {
                match self.parts.last_mut() {
                    Some(last @ Part::Any) => *last = Part::Verb(verb.into()),
                    _ => return Err(wrong("ends in a literal, behind which no verb can stand")),
                }
            }
        }
        let place = if tail { Place::Tail { from } } else { Place::Segments { from, to: self.parts.len(), verb: verb.len() } };
        self.params.push(Param { name: name.into(), place });
        Ok(rest)
    }
}

// === impl Part ===

impl Part {
    fn literal(text: &str) -> Result<Self, String> {
        let plain = !text.is_empty() && !text.contains(['{', '}', '|', '*', '%', '=']);
        if plain { Ok(Self::Literal(text.into())) } else { Err(format!("`{text}` is neither a literal segment nor a parameter")) }
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
        if done.len() * choices.len() > MOST {
            return Err(format!("its alternatives stand for more than {MOST} paths"));
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
        assert_eq!(all[3].parts[3], Part::Verb(":put".into()));
        assert_eq!(all[3].params[0].place, Place::Segments { from: 3, to: 4, verb: 4 });
    }

    #[test]
    fn a_resource_name_is_one_parameter_of_several_segments() {
        let template = Template::parse("/a/{name=projects/*/branches/*}:undelete").unwrap().remove(0);
        let literal = |text: &str| Part::Literal(text.into());
        assert_eq!(template.parts, [literal("a"), literal("projects"), Part::Any, literal("branches"), Part::Verb(":undelete".into())]);
        assert_eq!(template.params, [Param { name: "name".into(), place: Place::Segments { from: 1, to: 5, verb: 9 } }]);
        let singleton = Template::parse("/{name=projects/*/config}/x").unwrap().remove(0);
        assert_eq!(singleton.params[0].place, Place::Segments { from: 0, to: 3, verb: 0 });
    }

    #[test]
    fn a_slash_at_the_end_is_another_path() {
        let template = Template::parse("/a/").unwrap().remove(0);
        assert_eq!(template.parts, [Part::Literal("a".into()), Part::Literal("".into())]);
    }

    #[test]
    fn what_is_no_template_is_said() {
        for text in [
            "api",
            "/",
            "/a//b",
            "/{a",
            "/{}",
            "/{a|}",
            "/{a}b",
            "/{a*}/b",
            "/{A}",
            "/a%2fb",
            "/{a*}:x",
            "/{a=}",
            "/{a=b//c}",
            "/{a=b/{c}}",
            "/{a=b/c}:x",
            "/{a*=b/*}",
            "/{a=*b}",
            "/{a}:",
            "/a=b",
            "/{a***}",
            "/{a**}/b",
        ] {
            assert!(Template::parse(text).is_err(), "accepted {text}");
        }
    }
}
