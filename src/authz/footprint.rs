//! What a policy reads of the context beyond what every cache key holds.

use cedar_policy_core::ast::Template;

use super::reading::Reading;

/// The parts of the context that a decision depends on. Principal, peer, actor, action, resources and the facts of the token's digest are in every
/// cache key already; these are what may differ between two requests that agree in all of that.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "a set of named flags, each read by name")]
pub(super) struct Footprint {
    pub(super) method: bool,
    pub(super) path: bool,
    pub(super) source_ip: bool,
    /// `context.token.expires`
    pub(super) expires: bool,
    /// Any body field.
    pub(super) fields: bool,
    /// `context.request.time` in a way that does not say when a decision could change: nothing is cached.
    pub(super) time: bool,
}

const EVERYTHING: Footprint = Footprint { method: true, path: true, source_ip: true, expires: true, fields: true, time: true };

// === impl Footprint ===

impl Footprint {
    /// Of the conditions of a policy; `timed` where it is known when they could change by the time alone. Whatever is not plainly one field of the context counts as all of it.
    pub(super) fn of(template: &Template, timed: bool) -> Self {
        let mut found = Self::default();
        for (path, test) in Reading::of(template).context() {
            let path: Vec<&str> = path.iter().map(String::as_str).collect();
            // whether there is a token, and a request, follows from what is in every key
            let follows = test && matches!(path.as_slice(), ["token" | "request"]);
            let told = timed && path == ["request", "time"];
            if !follows && !told {
                found.read(&path);
            }
        }
        found
    }

    #[must_use]
    pub(super) fn with(self, other: Self) -> Self {
        Self {
            method: self.method | other.method,
            path: self.path | other.path,
            source_ip: self.source_ip | other.source_ip,
            expires: self.expires | other.expires,
            fields: self.fields | other.fields,
            time: self.time | other.time,
        }
    }

    fn read(&mut self, path: &[&str]) {
        match path {
            ["token"] | ["token", "expires", ..] => self.expires = true,
            ["peer" | "actor" | "purpose" | "token", ..] => {}
            ["request", "method", ..] => self.method = true,
            ["request", "path", ..] => self.path = true,
            ["request", "source_ip", ..] => self.source_ip = true,
            ["request", "time", ..] => self.time = true,
            ["request", _, ..] => self.fields = true,
            _ => *self = EVERYTHING,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_wherever_they_stand() {
        let none = Footprint::default();
        let cases = [
            ("true", none),
            (r#"context.peer in Namespace::"a/b""#, none),
            (r#"context has actor && context.actor == "x""#, none),
            (r#"context has token && context.token has acr && context.token.acr == "x""#, none),
            ("context has token.auth_time", none),
            (r#"context has purpose && context.purpose == "x""#, none),
            (r#"context has token.claims.branch && context.token.claims.branch == "main""#, none),
            (r#"context.token.expires > datetime("2026-01-01")"#, Footprint { expires: true, ..none }),
            ("context.token == context.token", Footprint { expires: true, ..none }),
            (r#"context.request.method == "GET""#, Footprint { method: true, ..none }),
            (r#"context.request["path"] like "/a*""#, Footprint { path: true, ..none }),
            (r#"context.request has source_ip && context.request.source_ip.isInRange(ip("10.0.0.0/8"))"#, Footprint { source_ip: true, ..none }),
            ("context has request.run_as", Footprint { fields: true, ..none }),
            (r#"if context.request.run_as == "a" then true else false"#, Footprint { fields: true, ..none }),
            (r#"context.request.time.toTime() < duration("8h")"#, Footprint { time: true, ..none }),
            (r#"[context.request.time].contains(datetime("2026-01-01"))"#, Footprint { time: true, ..none }),
            ("{a: context.request}.a == context.peer", EVERYTHING),
            ("context == context", EVERYTHING),
            (r#"(if true then context else context).peer in Namespace::"a/b""#, EVERYTHING),
        ];
        for (condition, want) in cases {
            let policy = cedar_policy::Policy::parse(None, format!("permit (principal, action, resource) when {{ {condition} }};")).unwrap();
            assert_eq!(Footprint::of(policy.as_ref().template(), false), want, "{condition}");
        }
    }
}
