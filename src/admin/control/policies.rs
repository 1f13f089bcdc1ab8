use std::sync::Arc;

use axum::{
    extract::{Path, RawQuery, State, rejection::PathRejection},
    http::StatusCode,
    response::Response,
};
use serde::Serialize;

use super::{Controls, Problem, json};
use crate::{
    authz::{Effect, Filter, ListedPolicy, Page},
    text::{nearest, quoted},
};

/// Some of the policies that are served.
#[derive(Debug, Serialize)]
struct Listed {
    generation: u64,
    /// How many policies are served, wanted or not.
    served: usize,
    #[serde(flatten)]
    page: Page,
}

/// One policy with its text.
#[derive(Debug, Serialize)]
struct One {
    generation: u64,
    #[serde(flatten)]
    policy: ListedPolicy,
    /// In Cedar, annotations and all; none for a link of a role.
    text: Option<String>,
}

/// What a list is asked for.
#[derive(Debug, PartialEq, Eq)]
struct Wanted {
    filter: Filter,
    after: Option<String>,
    limit: usize,
}

const KEYS: [&str; 6] = ["prefix", "effect", "unused", "idle_s", "after", "limit"];

/// Policies in one answer, unless asked for otherwise, and at most.
const LIMIT: usize = 1000;
const LIMIT_MOST: usize = 10_000;

pub(super) async fn list(State(controls): State<Arc<Controls>>, RawQuery(query): RawQuery) -> Result<Response, Problem> {
    let wanted = Wanted::read(query.as_deref().unwrap_or_default(), controls.clock.now_ms());
    let Wanted { filter, after, limit } = wanted.map_err(|message| Problem::new(StatusCode::BAD_REQUEST, message))?;
    let snapshot = controls.published.snapshot();
    // A look at every one of 100,000 policies takes its time.
    let listed = tokio::task::spawn_blocking(move || Listed {
        generation: snapshot.generation,
        served: snapshot.authorizer.policy_count(),
        page: snapshot.authorizer.page(&filter, after.as_deref(), limit),
    });
    let listed = listed.await.map_err(|error| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, format!("the policies cannot be listed: {error}")))?;
    Ok(json(&listed))
}

pub(super) async fn one(State(controls): State<Arc<Controls>>, id: Result<Path<String>, PathRejection>) -> Result<Response, Problem> {
    let Path(id) = id.map_err(|_| Problem::new(StatusCode::BAD_REQUEST, "the id in the path cannot be read"))?;
    let snapshot = controls.published.snapshot();
    let found = snapshot.authorizer.listed_policy(&id);
    let (policy, text) = found.ok_or_else(|| Problem::new(StatusCode::NOT_FOUND, format!("no policy with the id {} is served", quoted(&id))))?;
    Ok(json(&One { generation: snapshot.generation, policy, text }))
}

// === impl Wanted ===

impl Wanted {
    /// A key that is unknown, stands twice or has no good value is refused: a filter that does not filter would say that all is used.
    fn read(query: &str, now_ms: i64) -> Result<Self, String> {
        let mut wanted = Self { filter: Filter::default(), after: None, limit: LIMIT };
        let mut seen: Vec<String> = Vec::new();
        for (key, value) in form_urlencoded::parse(query.as_bytes()) {
            if seen.iter().any(|seen| *seen == key) {
                return Err(format!("{} stands twice in the query", quoted(&key)));
            }
            let wrong = |right: &str| format!("{} is no value of {}; {right}", quoted(&value), quoted(&key));
            match &*key {
                "prefix" => wanted.filter.prefix = value.into_owned(),
                "effect" => wanted.filter.effect = Some(effect(&value).ok_or_else(|| wrong("write `permit` or `forbid`"))?),
                "unused" => wanted.filter.unused = value.parse().map_err(|_| wrong("write `true` or `false`"))?,
                "idle_s" => {
                    let seconds: u64 = value.parse().map_err(|_| wrong("write a number of seconds"))?;
                    let ms = i64::try_from(seconds).unwrap_or(i64::MAX).saturating_mul(1000);
                    wanted.filter.idle_since_ms = Some(now_ms.saturating_sub(ms));
                }
                "after" => wanted.after = Some(value.into_owned()),
                "limit" => {
                    let limit = value.parse().ok().filter(|limit| (1..=LIMIT_MOST).contains(limit));
                    wanted.limit = limit.ok_or_else(|| wrong("write a number from 1 to 10000"))?;
                }
                unknown => {
                    let near = nearest(unknown, KEYS).map_or_else(|| KEYS.join(", "), |near| format!("did you mean `{near}`?"));
                    return Err(format!("unknown key {} in the query; {near}", quoted(unknown)));
                }
            }
            seen.push(key.into_owned());
        }
        Ok(wanted)
    }
}

fn effect(text: &str) -> Option<Effect> {
    match text {
        "permit" => Some(Effect::Permit),
        "forbid" => Some(Effect::Forbid),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_says_what_is_wanted_or_what_is_wrong_with_it() {
        let all = || Wanted { filter: Filter::default(), after: None, limit: LIMIT };
        assert_eq!(Wanted::read("", 5000), Ok(all()));
        let full = Wanted {
            filter: Filter { prefix: "ml-".to_owned(), effect: Some(Effect::Forbid), unused: true, idle_since_ms: Some(2000) },
            after: Some("ml/x y".to_owned()),
            limit: 7,
        };
        assert_eq!(Wanted::read("prefix=ml-&effect=forbid&unused=true&idle_s=3&after=ml%2fx+y&limit=7", 5000), Ok(full));
        // longer ago than there was time
        assert!(Wanted::read("idle_s=18446744073709551615", 5000).unwrap().filter.idle_since_ms.is_some_and(|since_ms| since_ms < 0));
        for (query, message) in [
            ("unusd=true", "unknown key `unusd` in the query; did you mean `unused`?"),
            ("what=1", "unknown key `what` in the query; prefix, effect, unused, idle_s, after, limit"),
            ("unused", "`` is no value of `unused`; write `true` or `false`"),
            ("effect=Permit", "`Permit` is no value of `effect`; write `permit` or `forbid`"),
            ("idle_s=-1", "`-1` is no value of `idle_s`; write a number of seconds"),
            ("limit=0", "`0` is no value of `limit`; write a number from 1 to 10000"),
            ("limit=10001", "`10001` is no value of `limit`; write a number from 1 to 10000"),
            ("after=a&after=b", "`after` stands twice in the query"),
        ] {
            assert_eq!(Wanted::read(query, 5000), Err(message.to_owned()), "{query}");
        }
    }
}
