//! The conditions of one policy, one by one: which hold for a request, which do not, and with which values.

use cedar_policy_core::ast::{Expr, ExprKind, Literal, Policy, UnaryOp, ValueKind};
use serde::Serialize;

use super::values::{Scene, Seen, said};

/// One thing that a policy asks for, as it writes it, and what it met.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Condition {
    /// `principal in Group::"corp/ml-engineers"`, `when { … }` or `unless { … }`.
    pub text: String,
    /// The values it depends on.
    pub saw: Vec<Seen>,
    /// Why it could not be evaluated; such a policy denies.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// How one condition came out.
enum Judged {
    Holds,
    Fails,
    Failed(String),
}

/// Characters of a condition that are told.
const LONGEST: usize = 1000;

// === impl Scene ===

impl Scene<'_> {
    /// How many conditions of `policy` do not hold.
    pub(super) fn unmet_count(&self, policy: &Policy) -> usize {
        parts(policy).into_iter().filter(|part| !matches!(self.judge(part, policy), Judged::Holds)).count()
    }

    /// Every condition of `policy` that does not hold. One that needs what an earlier one found missing is among them, without an error.
    pub(super) fn unmet(&self, policy: &Policy) -> Vec<Condition> {
        let mut found = Vec::new();
        for part in parts(policy) {
            let error = match self.judge(part, policy) {
                Judged::Holds => continue,
                Judged::Fails => None,
                // it was not even asked: the engine stops at the first condition that does not hold
                Judged::Failed(_) if !found.is_empty() => None,
                Judged::Failed(error) => Some(error),
            };
            found.push(Condition { error, ..self.told(part, policy) });
        }
        found
    }

    /// Every condition of `policy`.
    pub(super) fn all(&self, policy: &Policy) -> Vec<Condition> {
        parts(policy).into_iter().map(|part| self.told(part, policy)).collect()
    }

    fn told(&self, part: &Expr, policy: &Policy) -> Condition {
        Condition { text: written(part), saw: self.seen(part, policy.env()), error: None }
    }

    fn judge(&self, part: &Expr, policy: &Policy) -> Judged {
        match self.value(part, policy.env()) {
            Err(error) => Judged::Failed(said(&error)),
            Ok(value) => match value.value_kind() {
                ValueKind::Lit(Literal::Bool(true)) => Judged::Holds,
                ValueKind::Lit(Literal::Bool(false)) => Judged::Fails,
                _ => Judged::Failed("the condition is neither true nor false".to_owned()),
            },
        }
    }
}

/// The conditions of `policy` as it writes them, each on one line.
pub(in crate::authz) fn texts(policy: &Policy) -> Vec<String> {
    parts(policy).into_iter().map(written).collect()
}

/// What all must hold: clauses, and the parts of a `when` that `&&` joins. An `unless` is one part, since it fails only as a whole.
fn parts(policy: &Policy) -> Vec<&Expr> {
    let (mut open, mut found) = (policy.non_scope_constraints().into_iter().collect::<Vec<_>>(), Vec::new());
    while let Some(expr) = open.pop() {
        match expr.expr_kind() {
            ExprKind::And { left, right } => open.extend([right.as_ref(), left.as_ref()]),
            _ => found.push(expr),
        }
    }
    found
}

/// The condition as the policy writes it; as Cedar would where the text is not at hand.
fn written(part: &Expr) -> String {
    let source = part.source_loc().and_then(|loc| loc.snippet()).map(one_line);
    let text = match source {
        // only of an `unless` does the source begin with the word: no expression can
        Some(source) if is_not(part) && source.starts_with("unless") => source,
        Some(source) => format!("when {{ {source} }}"),
        None => format!("when {{ {} }}", one_line(&part.to_string())),
    };
    if text.chars().count() <= LONGEST { text } else { text.chars().take(LONGEST).chain(['…']).collect() }
}

fn is_not(part: &Expr) -> bool {
    matches!(part.expr_kind(), ExprKind::UnaryApp { op: UnaryOp::Not, .. })
}

/// Cedar's text without comments, blanks between its words folded into one; strings stay as they are.
fn one_line(source: &str) -> String {
    let (mut line, mut rest) = (String::with_capacity(source.len()), source.chars().peekable());
    let (mut in_text, mut escaped, mut blank) = (false, false, false);
    while let Some(c) = rest.next() {
        if in_text {
            line.push(if c.is_control() { ' ' } else { c });
            in_text = escaped || c != '"';
            escaped = c == '\\' && !escaped;
            continue;
        }
        if c == '/' && rest.peek() == Some(&'/') {
            while rest.peek().is_some_and(|c| !matches!(c, '\n' | '\r')) {
                rest.next();
            }
            continue;
        }
        if c.is_whitespace() {
            blank = !line.is_empty();
            continue;
        }
        if std::mem::take(&mut blank) {
            line.push(' ');
        }
        in_text = c == '"';
        line.push(c);
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_are_told_as_they_are_written() {
        let cases: [(&str, &[&str]); 6] = [
            ("", &[]),
            ("when { true }", &["when { true }"]),
            (
                "when { // who\n  context.a  ==\n \"x  // y\" && context has b\n} when { context.n > 1 }",
                &["when { context.a == \"x  // y\" }", "when { context has b }", "when { context.n > 1 }"],
            ),
            ("unless { context has a && context.a == \"b\\\"  c\" }", &["unless { context has a && context.a == \"b\\\"  c\" }"]),
            ("when { !(context has a) }", &["when { !(context has a) }"]),
            ("when { (context has a || context has b) && context has c }", &["when { context has a || context has b }", "when { context has c }"]),
        ];
        for (conditions, want) in cases {
            let policy = cedar_policy::Policy::parse(None, format!("permit (principal, action, resource) {conditions};")).unwrap();
            assert_eq!(texts(policy.as_ref()), want, "{conditions}");
            // a policy that did not come from a text has conditions all the same
            let json = cedar_policy::Policy::from_json(None, policy.to_json().unwrap()).unwrap();
            assert_eq!(texts(json.as_ref()).len(), want.len(), "{conditions}");
        }
    }
}
