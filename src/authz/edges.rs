//! Edges: the moments at which a decision could change though nothing but time goes by.
//!
//! A comparison with `context.request.time` holds or fails all the way from one of its edges to the next, so a decision may be kept for that long. Where
//! a condition uses the time in any other way than a comparison that is understood here, there is no telling, and nothing is kept.

use cedar_policy_core::ast::{BinaryOp, Expr, ExprKind, Literal, Template};

use super::reading;
use crate::model::{Caller, Token};

/// A moment at which a comparison may change: it holds, or fails, up to it, at it, or from the millisecond behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Edge {
    base: Base,
    /// Milliseconds behind the base.
    offset: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Base {
    /// 1970-01-01T00:00:00Z
    Epoch,
    /// `context.token.auth_time`
    Authentication,
    /// `context.token.expires`
    Expiry,
    /// Each midnight, UTC.
    Midnight,
}

/// A time that a decision holds for, in milliseconds since the epoch: from the first up to, but not at, the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    from: i64,
    until: i64,
}

const DAY: i64 = 86_400_000;

// === impl Edge ===

impl Edge {
    /// Every edge of the conditions of a policy; `None` where they use the time in a way that is not understood.
    pub(super) fn of(template: &Template) -> Option<Vec<Self>> {
        let (mut edges, mut unknown) = (Vec::new(), 0_isize);
        for expr in template.non_scope_constraints().into_iter().flat_map(Expr::subexpressions) {
            unknown += isize::from(reading::is_path(expr, &["request", "time"]));
            // One use of the time is in each.
            if let Some(found) = comparison(expr) {
                unknown -= 1;
                edges.extend(found);
            }
        }
        (unknown == 0).then_some(edges)
    }

    /// Whether it is told from the end of the caller's token.
    fn is_of_expiry(self) -> bool {
        matches!(self.base, Base::Expiry)
    }

    /// The moments at which it stands around `now`, in milliseconds since the epoch.
    fn moments(self, now: i64, token: Option<&Token>) -> impl Iterator<Item = i64> {
        let after = |seconds: i64| Some(seconds.saturating_mul(1000).saturating_add(self.offset));
        let (first, second) = match self.base {
            Base::Epoch => (Some(self.offset), None),
            Base::Authentication => (token.and_then(|token| token.auth_time).and_then(after), None),
            Base::Expiry => (token.and_then(|token| after(token.expires_at)), None),
            Base::Midnight => {
                let today = now.div_euclid(DAY).saturating_mul(DAY).saturating_add(self.offset.rem_euclid(DAY));
                let other = if today > now { today.saturating_sub(DAY) } else { today.saturating_add(DAY) };
                (Some(today), Some(other))
            }
        };
        // `<` changes at the edge, `<=` behind it.
        [first, second].into_iter().flatten().flat_map(|moment| [moment, moment.saturating_add(1)])
    }
}

// === impl Span ===

impl Span {
    /// The time around `now` in which none of `edges` lies.
    pub(super) fn around(now: i64, edges: &[Edge], caller: &Caller) -> Self {
        let mut span = Self { from: i64::MIN, until: i64::MAX };
        for moment in edges.iter().flat_map(|edge| edge.moments(now, caller.token.as_deref())) {
            if moment <= now {
                span.from = span.from.max(moment);
            } else {
                span.until = span.until.min(moment);
            }
        }
        span
    }

    pub(super) fn holds(self, now: i64) -> bool {
        self.from <= now && now < self.until
    }
}

/// The next of `edges` after `now`, in milliseconds since the epoch, but for those told from the end of the caller's token; `None` where there is none.
pub(super) fn next<'e>(now: i64, edges: impl IntoIterator<Item = &'e Edge>, caller: &Caller) -> Option<i64> {
    let lasting = edges.into_iter().filter(|edge| !edge.is_of_expiry());
    lasting.flat_map(|edge| edge.moments(now, caller.token.as_deref())).filter(|moment| *moment > now).min()
}

/// The edges of a comparison of the time with something that a token or the policy says.
fn comparison(expr: &Expr) -> Option<Vec<Edge>> {
    let ExprKind::BinaryApp { op: BinaryOp::Eq | BinaryOp::Less | BinaryOp::LessEq, arg1, arg2 } = expr.expr_kind() else { return None };
    let edges = |one: &Expr, other: &Expr| -> Option<Vec<Edge>> {
        if let (Some(shift), Some(moment)) = (time(one), moment(other)) {
            return Some(vec![moment.later(shift.checked_neg()?)?]);
        }
        if let (Some((moment, ahead)), Some(length)) = (distance(one), duration(other)) {
            return Some(vec![moment.later(if ahead { length } else { length.checked_neg()? })?]);
        }
        if let (Some(shift), Some(length)) = (time_of_day(one), duration(other)) {
            // The time of day falls back to nothing at the midnight of what is compared.
            return [length, 0].map(|time| Some(Edge { base: Base::Midnight, offset: time.checked_sub(shift)? })).into_iter().collect();
        }
        let (Some((unit, (moment, ahead))), ExprKind::Lit(Literal::Long(count))) = (counted(one), other.expr_kind()) else { return None };
        // Division rounds towards zero, so that a count changes at the count itself or at its neighbour.
        let lengths = [count.checked_sub(1)?, *count, count.checked_add(1)?].map(|count| count.checked_mul(unit));
        lengths.into_iter().map(|length| moment.later(if ahead { length? } else { length?.checked_neg()? })).collect()
    };
    edges(arg1, arg2).or_else(|| edges(arg2, arg1))
}

impl Edge {
    fn later(self, by: i64) -> Option<Self> {
        Some(Self { offset: self.offset.checked_add(by)?, ..self })
    }
}

/// How far behind the time of the request `expr` is, where it is that time.
fn time(expr: &Expr) -> Option<i64> {
    if reading::is_path(expr, &["request", "time"]) {
        return Some(0);
    }
    let [inner, by] = call(expr, "offset")? else { return None };
    time(inner)?.checked_add(duration(by)?)
}

/// A moment that does not depend on the time of the request.
fn moment(expr: &Expr) -> Option<Edge> {
    for (path, base) in [(["token", "auth_time"], Base::Authentication), (["token", "expires"], Base::Expiry)] {
        if reading::is_path(expr, &path) {
            return Some(Edge { base, offset: 0 });
        }
    }
    if let Some([literal]) = call(expr, "datetime") {
        return Some(Edge { base: Base::Epoch, offset: datetime(text(literal)?)? });
    }
    let [inner, by] = call(expr, "offset")? else { return None };
    moment(inner)?.later(duration(by)?)
}

/// `time.durationSince(moment)`: the moment, and whether the time is the later of the two.
fn distance(expr: &Expr) -> Option<(Edge, bool)> {
    let [one, other] = call(expr, "durationSince")? else { return None };
    if let Some(shift) = time(one) {
        return Some((moment(other)?.later(shift.checked_neg()?)?, true));
    }
    Some((moment(one)?.later(time(other)?.checked_neg()?)?, false))
}

/// `time.toTime()`, so far behind the time of day.
fn time_of_day(expr: &Expr) -> Option<i64> {
    let [inner] = call(expr, "toTime")? else { return None };
    time(inner)
}

/// `time.durationSince(moment).toHours()` and its like: milliseconds of one.
fn counted(expr: &Expr) -> Option<(i64, (Edge, bool))> {
    let units = [("toMilliseconds", 1), ("toSeconds", 1000), ("toMinutes", 60_000), ("toHours", 3_600_000), ("toDays", DAY)];
    units.into_iter().find_map(|(name, unit)| {
        let [inner] = call(expr, name)? else { return None };
        Some((unit, distance(inner)?))
    })
}

/// Milliseconds of `duration("…")`.
fn duration(expr: &Expr) -> Option<i64> {
    let [literal] = call(expr, "duration")? else { return None };
    let text = text(literal)?;
    let (sign, mut rest) = text.strip_prefix('-').map_or((1, text), |rest| (-1, rest));
    let mut sum = 0_i64;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).filter(|digits| *digits > 0)?;
        let (count, behind) = rest.split_at_checked(digits)?;
        let units = [("ms", 1), ("d", DAY), ("h", 3_600_000), ("m", 60_000), ("s", 1000)];
        let (unit, behind) = units.into_iter().find_map(|(name, unit)| Some((unit, behind.strip_prefix(name)?)))?;
        sum = sum.checked_add(count.parse::<i64>().ok()?.checked_mul(unit)?.checked_mul(sign)?)?;
        rest = behind;
    }
    Some(sum)
}

/// Milliseconds since the epoch of `2026-01-31`, `2026-01-31T08:00:00Z`, `…00.000Z` or `…+0100`.
fn datetime(text: &str) -> Option<i64> {
    if text.len() == "2026-01-31".len() {
        let date = text.parse::<jiff::civil::Date>().ok()?;
        return date.to_zoned(jiff::tz::TimeZone::UTC).ok().map(|day| day.timestamp().as_millisecond());
    }
    let (local, zone) = if let Some(local) = text.strip_suffix('Z') {
        (local, 0)
    } else {
        let (local, zone) = text.split_at_checked(text.len().checked_sub(5)?)?;
        let (hours, minutes) = zone.get(1..)?.split_at_checked(2)?;
        let length = hours.parse::<i64>().ok()?.checked_mul(60)?.checked_add(minutes.parse().ok()?)?.checked_mul(60_000)?;
        (local, if zone.starts_with('-') { length.checked_neg()? } else { length })
    };
    let local = local.parse::<jiff::civil::DateTime>().ok()?.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
    local.timestamp().as_millisecond().checked_sub(zone)
}

fn call<'e>(expr: &'e Expr, function: &str) -> Option<&'e [Expr]> {
    let ExprKind::ExtensionFunctionApp { fn_name, args } = expr.expr_kind() else { return None };
    (fn_name.to_string() == function).then_some(args)
}

fn text(expr: &Expr) -> Option<&str> {
    if let ExprKind::Lit(Literal::String(text)) = expr.expr_kind() { Some(text) } else { None }
}
