//! Records read back: what of a line is needed to make its decision again.

use serde::Deserialize;

use super::facts::Cut;

/// A line of the audit file. What a record of another version lacks is empty here; whether that is enough is for the reader to say.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Recorded {
    pub event_id: String,
    pub event_time: String,
    /// `None` in lines that are no record of a decision.
    pub decision: Option<String>,
    pub reason: String,
    pub stage: String,
    pub principal: Option<String>,
    pub peer: Option<String>,
    pub actor: Vec<String>,
    pub purpose: Option<String>,
    pub action: Option<String>,
    pub resources: Vec<String>,
    pub workspace: Option<String>,
    pub policies: Vec<String>,
    pub source_ip_address: Option<String>,
    pub session_id: Option<String>,
    pub user_identity: Option<RecordedIdentity>,
    pub request_params: Vec<RecordedParam>,
    /// `None` in records of decisions that policies were not asked for, and of versions before facts were recorded.
    pub facts: Option<RecordedFacts>,
}

#[derive(Clone, Debug, Deserialize)]
pub struct RecordedIdentity {
    pub issuer: String,
    pub subject_name: String,
    pub client: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
pub struct RecordedParam {
    pub name: String,
    pub value: String,
}

#[derive(Clone, Debug, Deserialize)]
pub struct RecordedFacts {
    pub token: Option<RecordedClaims>,
    pub resources: Vec<RecordedResource>,
    pub fields: Vec<RecordedField>,
    pub cut: Vec<Cut>,
}

#[derive(Clone, Debug, Deserialize)]
pub struct RecordedClaims {
    pub groups: Vec<String>,
    #[serde(default)]
    pub groups_elsewhere: bool,
    pub roles: Vec<String>,
    pub scopes: Vec<String>,
    pub auth_time: Option<i64>,
    pub acr: Option<String>,
    pub expires_at: i64,
    /// None in records of versions before attributes.
    #[serde(default)]
    pub claims: Vec<RecordedField>,
}

#[derive(Clone, Debug, Deserialize)]
pub struct RecordedResource {
    pub r#type: String,
    pub id: String,
    /// Nearest first.
    pub ancestors: Vec<RecordedEntity>,
}

#[derive(Clone, Debug, Deserialize)]
pub struct RecordedEntity {
    pub r#type: String,
    pub id: String,
}

#[derive(Clone, Debug, Deserialize)]
pub struct RecordedField {
    pub name: String,
    pub value: RecordedValue,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum RecordedValue {
    Bool(bool),
    Long(i64),
    Text(String),
    Texts(Vec<String>),
}
