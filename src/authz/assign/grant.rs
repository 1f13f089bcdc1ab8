//! Grants: access that somebody approved, that begins and ends by itself, and that the approver cannot use.

use std::time::Duration;

use cedar_policy::EntityId;
use jiff::Timestamp;

use super::Wrong;
use crate::{
    model::{EntityRef, TypeName},
    yaml::Place,
};

/// What holds of all grants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::authz) struct Grants {
    /// From the beginning of a grant to its end.
    pub(in crate::authz) longest: Duration,
}

/// When a grant holds, as it is written, and who says so.
#[derive(Default)]
pub(super) struct Times {
    pub(super) from: Option<(i64, Place)>,
    pub(super) until: Option<(i64, Place)>,
    pub(super) requested_by: Option<(EntityRef, Place)>,
    pub(super) approved_by: Option<(EntityRef, Place)>,
}

/// A time that somebody else approved of, in milliseconds since the epoch: from the first up to, but not at, the last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::authz) struct Approved {
    pub(in crate::authz) from: i64,
    pub(in crate::authz) until: i64,
    pub(in crate::authz) requested_by: Option<EntityRef>,
    pub(in crate::authz) by: EntityRef,
}

/// Milliseconds since the epoch of a time of RFC 3339 (§5.6), which has seconds and an offset.
pub(super) fn moment(text: &str) -> Option<i64> {
    let digits = |byte: u8| if byte.is_ascii_digit() { b'0' } else { byte };
    let shape: Vec<u8> = text.bytes().map(digits).collect();
    let rest = shape.strip_prefix(b"0000-00-00T00:00:00")?;
    let fraction = rest.strip_prefix(b".").map(|rest| rest.iter().take_while(|byte| **byte == b'0').count());
    let offset = rest.get(fraction.map_or(0, |count| count + 1)..)?;
    let whole = matches!(offset, b"Z" | b"+00:00" | b"-00:00") && fraction != Some(0) && text.get(17..19)? != "60";
    text.parse::<Timestamp>().ok().filter(|_| whole).map(Timestamp::as_millisecond)
}

// === impl Grants ===

impl Grants {
    /// # Errors
    /// Why nobody else approved of this, or not for so long.
    pub(super) fn approve(&self, times: &Times, why: Option<&str>, to: &[EntityRef], place: Place) -> Result<Approved, Vec<Wrong>> {
        let mut wrong = Vec::new();
        if why.is_none() {
            wrong.push(Wrong::new(place, "a grant without `why`", "say what it is for: who reviews it reads that"));
        }
        let (Some((from, _)), Some((until, end)), Some((approver, signed))) = (&times.from, &times.until, &times.approved_by) else {
            return Err(wrong);
        };
        let length = until.checked_sub(*from);
        if length.is_none_or(|length| length <= 0) {
            wrong.push(Wrong::new(*end, "the grant ends before it begins", "write a later `until`"));
        } else if length.is_none_or(|length| i128::from(length) > i128::try_from(self.longest.as_millis()).unwrap_or(i128::MAX)) {
            let message = format!("the grant is longer than {}", written(self.longest));
            wrong.push(Wrong::new(*end, message, "write an earlier `until`; `policy.grants.longest` says how long grants may be"));
        }
        let requester = times.requested_by.as_ref().map(|(user, _)| user);
        // Of either kind: which one a caller is, the issuer's tokens say.
        let is_one = |entity: &&EntityRef| matches!(entity.kind.as_str(), "User" | "ServicePrincipal");
        let same = |one: &EntityRef| one.id.to_lowercase() == approver.id.to_lowercase();
        if to.iter().filter(is_one).chain(requester).any(same) {
            wrong.push(Wrong::new(*signed, format!("`{}` would approve of an own grant", approver.id), "let somebody else approve of it"));
        }
        if !wrong.is_empty() {
            return Err(wrong);
        }
        Ok(Approved { from: *from, until: *until, requested_by: requester.cloned(), by: approver.clone() })
    }
}

// === impl Approved ===

impl Approved {
    /// That it is this time, and nobody whom the approver is or acts as, in Cedar.
    pub(in crate::authz) fn clauses(&self) -> String {
        let (from, until) = (datetime(self.from), datetime(self.until));
        let (user, id) = (in_cedar(&self.by), EntityId::new(&self.by.id));
        let same = in_cedar(&EntityRef::new(&TypeName::new("ServicePrincipal"), &self.by.id));
        format!(
            "when {{ context.request.time >= datetime(\"{from}\") && context.request.time < datetime(\"{until}\") }}\n\
             unless {{ principal in [{user}, {same}] || (context has actor && context.actor == \"{}\") }}",
            id.escaped()
        )
    }
}

/// The role that gives these actions on whatever it is given on, in Cedar.
pub(in crate::authz) fn role_of(actions: &[EntityRef]) -> String {
    let actions: Vec<String> = actions.iter().map(in_cedar).collect();
    format!("@id(\"the-actions\")\npermit (principal in ?principal, action in [{}], resource in ?resource);", actions.join(", "))
}

/// With all that must be escaped.
fn in_cedar(entity: &EntityRef) -> String {
    format!("{}::\"{}\"", entity.kind, EntityId::new(&entity.id).escaped())
}

fn datetime(unix_ms: i64) -> String {
    Timestamp::from_millisecond(unix_ms).unwrap_or_default().strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()
}

/// `7d`, `8h`, `90m`: the largest unit that says it in a whole number.
fn written(length: Duration) -> String {
    let seconds = length.as_secs();
    let unit = [(86_400, "d"), (3600, "h"), (60, "m")].into_iter().find(|(size, _)| seconds >= *size && seconds.is_multiple_of(*size));
    unit.map_or_else(|| format!("{seconds}s"), |(size, name)| format!("{}{name}", seconds / size))
}
