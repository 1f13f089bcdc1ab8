//! What policies decided on, as far as it stands nowhere else in the record: with it a decision can be made again from the record alone.

use std::sync::Arc;

use serde::{Serialize, Serializer, ser::SerializeSeq as _};

use crate::model::{EntityRef, Field, FieldValue, Resource, Token};

/// The facts of one decision. What they are shared with is written as text by the writer's thread, not on the way of the call.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Facts {
    /// `None` where the call came without a token.
    #[serde(serialize_with = "token")]
    pub token: Option<Arc<Token>>,
    /// Each with all it is in, nearest first; none where that is cut.
    #[serde(serialize_with = "resources")]
    pub resources: Vec<Resource>,
    /// The body fields that policies may read, by their type; none where that is cut.
    #[serde(serialize_with = "fields")]
    pub fields: Vec<Field>,
    /// What is not in the record as policies saw it, being too long or like a credential.
    pub cut: Vec<Cut>,
}

/// A part of the facts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Cut {
    Path,
    Resources,
    Fields,
    /// The attributes of the token, or its purpose.
    Claims,
}

/// What of a token a policy may read and `user_identity` does not have. Nothing that is good for a call.
#[derive(Serialize)]
struct Said<'t> {
    groups: &'t [String],
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    groups_elsewhere: bool,
    roles: &'t [String],
    scopes: &'t [String],
    /// Seconds since the epoch, as the other.
    auth_time: Option<i64>,
    acr: Option<&'t str>,
    expires_at: i64,
    claims: Vec<Valued<'t>>,
}

#[derive(Serialize)]
struct Within<'r> {
    r#type: &'r str,
    id: &'r str,
    ancestors: Vec<Named<'r>>,
}

#[derive(Serialize)]
struct Named<'r> {
    r#type: &'r str,
    id: &'r str,
}

#[derive(Serialize)]
struct Valued<'f> {
    name: &'f str,
    value: Value<'f>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Value<'f> {
    Text(&'f str),
    Long(i64),
    Bool(bool),
    Texts(&'f [String]),
}

#[expect(clippy::ref_option, reason = "serde hands fields over so")]
fn token<S: Serializer>(token: &Option<Arc<Token>>, serializer: S) -> Result<S::Ok, S::Error> {
    let said = token.as_ref().map(|token| Said {
        groups: &token.groups,
        groups_elsewhere: token.groups_elsewhere,
        roles: &token.roles,
        scopes: &token.scopes,
        auth_time: token.auth_time,
        acr: token.acr.as_deref(),
        expires_at: token.expires_at,
        claims: token.claims.iter().map(Valued::of).collect(),
    });
    said.serialize(serializer)
}

fn resources<S: Serializer>(resources: &[Resource], serializer: S) -> Result<S::Ok, S::Error> {
    sequence(resources.iter().map(Within::of), serializer)
}

fn fields<S: Serializer>(fields: &[Field], serializer: S) -> Result<S::Ok, S::Error> {
    sequence(fields.iter().map(Valued::of), serializer)
}

fn sequence<S: Serializer>(items: impl ExactSizeIterator<Item = impl Serialize>, serializer: S) -> Result<S::Ok, S::Error> {
    let mut sequence = serializer.serialize_seq(Some(items.len()))?;
    for item in items {
        sequence.serialize_element(&item)?;
    }
    sequence.end()
}

// === impl Named ===

impl<'r> Named<'r> {
    fn of(entity: &'r EntityRef) -> Self {
        Self { r#type: entity.kind.as_str(), id: &entity.id }
    }
}

// === impl Within ===

impl<'r> Within<'r> {
    fn of(Resource { entity, ancestors }: &'r Resource) -> Self {
        Self { r#type: entity.kind.as_str(), id: &entity.id, ancestors: ancestors.iter().map(Named::of).collect() }
    }
}

// === impl Valued ===

impl<'f> Valued<'f> {
    fn of(Field { name, value }: &'f Field) -> Self {
        let value = match value {
            FieldValue::Text(text) => Value::Text(text),
            FieldValue::Long(number) => Value::Long(*number),
            FieldValue::Bool(truth) => Value::Bool(*truth),
            FieldValue::Texts(texts) => Value::Texts(texts),
        };
        Self { name, value }
    }
}
