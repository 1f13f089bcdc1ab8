//! The values that a condition saw, each in the words of the policy that read it.

use std::fmt::Write as _;

use cedar_policy_core::{
    ast::{BinaryOp, EntityUID, Expr, ExprKind, Literal, Name, SlotEnv, UnaryOp, Value, ValueKind},
    entities::{Dereference, Entities},
    evaluator::{EvaluationError, Evaluator},
};
use serde::Serialize;

use crate::{
    authz::{constraint::entity_ref, text::shown_entity},
    model::{EntityRef, TypeName},
    text::{redacted, shown},
};

/// One value that a condition depends on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Seen {
    /// `context.token.auth_time`
    pub what: String,
    /// `2026-11-21T01:00:00Z`, `Workload::"spiffe://…" in Namespace::"…"`, `missing`.
    pub value: String,
}

/// One question in the engine's own terms, about which any expression can be asked.
pub(super) struct Scene<'p> {
    pub(super) evaluator: Evaluator<'p>,
    pub(super) entities: &'p Entities,
}

/// How many values of one condition are told.
const TOLD: usize = 12;

/// How many members of a set, and how many of the things that an entity is in.
const LISTED: usize = 10;

/// Characters of an expression or a message.
const LONGEST: usize = 300;

const MISSING: &str = "missing";

// === impl Scene ===

impl Scene<'_> {
    pub(super) fn value(&self, expr: &Expr, slots: &SlotEnv) -> Result<Value, Box<EvaluationError>> {
        self.evaluator.interpret(expr, slots).map_err(Box::new)
    }

    /// What `expr` read of the request, from left to right, as far as it is not written in the policy itself.
    pub(super) fn seen(&self, expr: &Expr, slots: &SlotEnv) -> Vec<Seen> {
        let (mut open, mut found) = (vec![expr], Vec::new());
        while let Some(expr) = open.pop() {
            if found.len() >= TOLD {
                break;
            }
            match expr.expr_kind() {
                ExprKind::BinaryApp { op: BinaryOp::In, arg1, arg2 } => {
                    self.note(arg1, Some(arg2), slots, &mut found);
                    open.push(arg2);
                }
                ExprKind::BinaryApp { op: BinaryOp::HasTag, arg1, arg2 } => {
                    self.note(&Expr::get_tag(arg1.as_ref().clone(), arg2.as_ref().clone()), None, slots, &mut found);
                }
                ExprKind::BinaryApp { op: BinaryOp::GetTag, arg2, .. } => {
                    self.note(expr, None, slots, &mut found);
                    open.push(arg2);
                }
                ExprKind::HasAttr { expr, attr } => {
                    self.note(&Expr::get_attr(expr.as_ref().clone(), attr.clone()), None, slots, &mut found);
                }
                ExprKind::ExtHasAttr { expr, attrs } => {
                    let path = attrs.iter().fold(expr.as_ref().clone(), |inner, attr| Expr::get_attr(inner, attr.clone()));
                    self.note(&path, None, slots, &mut found);
                }
                ExprKind::GetAttr { .. } | ExprKind::Var(_) => self.note(expr, None, slots, &mut found),
                ExprKind::ExtensionFunctionApp { .. } | ExprKind::BinaryApp { op: BinaryOp::Add | BinaryOp::Sub | BinaryOp::Mul, .. } => {
                    self.note(expr, None, slots, &mut found);
                    open.extend(inner(expr).into_iter().rev());
                }
                _ => open.extend(inner(expr).into_iter().rev()),
            }
        }
        found.truncate(TOLD);
        found
    }

    /// Adds what `expr` is; where it is asked to be in something, also what of that kind it is in.
    fn note(&self, expr: &Expr, within: Option<&Expr>, slots: &SlotEnv, found: &mut Vec<Seen>) {
        if !expr.subexpressions().any(|part| matches!(part.expr_kind(), ExprKind::Var(_))) {
            return;
        }
        let value = match self.value(expr, slots) {
            Ok(value) => match (value.value_kind(), within) {
                (ValueKind::Lit(Literal::EntityUID(uid)), Some(within)) => self.place(uid, &types(within)),
                // whether a call holds is what is asked; what it was asked about follows
                (ValueKind::Lit(Literal::Bool(_)), None) if matches!(expr.expr_kind(), ExprKind::ExtensionFunctionApp { .. }) => return,
                _ => self.shown(&value),
            },
            Err(error) if is_missing(&error) => match inner(expr).first() {
                // where something on the way is missing already, that is what is told
                Some(base) if matches!(expr.expr_kind(), ExprKind::GetAttr { .. }) && self.value(base, slots).is_err() => {
                    return self.note(base, None, slots, found);
                }
                _ if matches!(expr.expr_kind(), ExprKind::ExtensionFunctionApp { .. }) => return,
                _ => MISSING.to_owned(),
            },
            Err(error) => format!("an error: {}", said(&error)),
        };
        let what = short(&expr.to_string());
        if found.iter().all(|seen| seen.what != what) {
            found.push(Seen { what, value });
        }
    }

    fn place(&self, uid: &EntityUID, wanted: &[TypeName]) -> String {
        let mut ancestors: Vec<EntityRef> = match self.entities.entity(uid) {
            Dereference::Data(entity) => entity.ancestors().map(entity_ref).collect(),
            _ => Vec::new(),
        };
        ancestors.sort();
        placed(&entity_ref(uid), ancestors.iter(), wanted)
    }

    fn shown(&self, value: &Value) -> String {
        match value.value_kind() {
            ValueKind::Lit(Literal::EntityUID(uid)) => named(&entity_ref(uid)),
            ValueKind::Lit(Literal::String(text)) => format!("\"{}\"", shown(&redacted(text))),
            ValueKind::Lit(literal) => literal.to_string(),
            ValueKind::Set(set) => format!("[{}]", listed(set.iter().map(|item| self.shown(item)))),
            ValueKind::Record(record) => format!("a record of {}", listed(record.keys().map(|key| format!("`{}`", shown(key))))),
            ValueKind::ExtensionValue(extension) => match extension.typename().to_string().as_str() {
                "datetime" => self.milliseconds(value, true).map(moment),
                "duration" => self.milliseconds(value, false).map(length),
                _ => None,
            }
            .unwrap_or_else(|| short(&value.to_string())),
        }
    }

    /// Of a `duration`, or of a `datetime` since the epoch.
    fn milliseconds(&self, value: &Value, since_epoch: bool) -> Option<i64> {
        let call = |name: &str, args| Some(Expr::call_extension_fn(Name::parse_unqualified_name(name).ok()?, args));
        let mut expr = Expr::from(value.clone());
        if since_epoch {
            let epoch = call("datetime", vec![Expr::val("1970-01-01")])?;
            expr = call("durationSince", vec![expr, epoch])?;
        }
        match self.value(&call("toMilliseconds", vec![expr])?, &SlotEnv::new()).ok()?.value_kind() {
            ValueKind::Lit(Literal::Long(count)) => Some(*count),
            _ => None,
        }
    }
}

/// `User::"corp/alice" in Group::"corp/a"`: an entity with those of its ancestors that are of the `wanted` types, or of any where none is wanted.
pub(super) fn placed<'a>(entity: &EntityRef, ancestors: impl Iterator<Item = &'a EntityRef>, wanted: &[TypeName]) -> String {
    let within: Vec<&EntityRef> = ancestors.filter(|ancestor| wanted.is_empty() || wanted.contains(&ancestor.kind)).collect();
    let entity = named(entity);
    if within.is_empty() {
        let kinds: Vec<String> = wanted.iter().map(|kind| shown(kind.as_str())).collect();
        return if kinds.is_empty() { format!("{entity}, in nothing") } else { format!("{entity}, in no {}", kinds.join(" or ")) };
    }
    format!("{entity} in {}", listed(within.into_iter().map(named)))
}

/// An entity as it may be told: its id may come from the request, in which a token may stand.
pub(super) fn named(entity: &EntityRef) -> String {
    redacted(&shown_entity(entity)).into_owned()
}

/// What went wrong, in the engine's words.
pub(super) fn said(error: &EvaluationError) -> String {
    short(&redacted(&error.to_string()))
}

fn is_missing(error: &EvaluationError) -> bool {
    matches!(error, EvaluationError::RecordAttrDoesNotExist(_) | EvaluationError::EntityAttrDoesNotExist(_) | EvaluationError::EntityDoesNotExist(_))
}

/// The types of the entities that a policy writes behind `in`.
fn types(expr: &Expr) -> Vec<TypeName> {
    let literals = expr.subexpressions().filter_map(|part| match part.expr_kind() {
        ExprKind::Lit(Literal::EntityUID(uid)) => Some(entity_ref(uid).kind),
        _ => None,
    });
    let mut found: Vec<TypeName> = literals.collect();
    found.sort();
    found.dedup();
    found
}

/// What an expression is made of.
fn inner(expr: &Expr) -> Vec<&Expr> {
    match expr.expr_kind() {
        ExprKind::And { left, right } | ExprKind::Or { left, right } => vec![left, right],
        ExprKind::If { test_expr, then_expr, else_expr } => vec![test_expr, then_expr, else_expr],
        ExprKind::UnaryApp { op: UnaryOp::Not | UnaryOp::Neg | UnaryOp::IsEmpty, arg } => vec![arg],
        ExprKind::BinaryApp { arg1, arg2, .. } => vec![arg1, arg2],
        ExprKind::GetAttr { expr, .. }
        | ExprKind::HasAttr { expr, .. }
        | ExprKind::ExtHasAttr { expr, .. }
        | ExprKind::Like { expr, .. }
        | ExprKind::Is { expr, .. } => vec![expr],
        ExprKind::ExtensionFunctionApp { args, .. } => args.iter().collect(),
        ExprKind::Set(items) => items.iter().collect(),
        ExprKind::Record(pairs) => pairs.values().collect(),
        _ => Vec::new(),
    }
}

/// The first of `items`, and how many more.
fn listed(items: impl Iterator<Item = String>) -> String {
    let mut items = items.fuse();
    let first: Vec<String> = items.by_ref().take(LISTED).collect();
    match items.count() {
        0 => first.join(", "),
        more => format!("{} and {more} more", first.join(", ")),
    }
}

/// `text` on one line, cut.
pub(super) fn short(text: &str) -> String {
    let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.chars().count() <= LONGEST { text } else { text.chars().take(LONGEST).chain(['…']).collect() }
}

/// `2026-11-21T01:00:00Z`
fn moment(unix_ms: i64) -> String {
    jiff::Timestamp::from_millisecond(unix_ms).map_or_else(|_| format!("{unix_ms} ms since 1970"), |time| time.to_string())
}

/// `9h`, `1d2h`, `-5m`, as a policy would write it.
fn length(ms: i64) -> String {
    const UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];
    if ms == 0 {
        return "0s".to_owned();
    }
    let (mut rest, mut text) = (ms.unsigned_abs(), if ms < 0 { "-".to_owned() } else { String::new() });
    for (unit, size) in UNITS {
        if rest >= size {
            let _ = write!(text, "{}{unit}", rest / size);
            rest %= size;
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_written_as_policies_write_them() {
        for (ms, want) in [(0, "0s"), (9 * 3_600_000, "9h"), (93_784_050, "1d2h3m4s50ms"), (-300_000, "-5m"), (1, "1ms")] {
            assert_eq!(length(ms), want);
        }
        assert_eq!(moment(0), "1970-01-01T00:00:00Z");
    }
}
