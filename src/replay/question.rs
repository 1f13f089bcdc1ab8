//! From a record back to the question that policies were asked.

use std::{net::IpAddr, sync::Arc};

use crate::{
    audit::{Recorded, RecordedEntity, RecordedFacts, RecordedField, RecordedResource, RecordedValue},
    authn,
    model::{
        ActionSpec, Caller, EntityRef, Environment, Field, FieldKind, FieldSpec, FieldValue, Intent, Name, PrincipalKind, Reason, RequestFacts,
        Resource, SpiffeId, Target, TargetKind, Token, TypeName,
    },
};

/// What policies were asked.
#[derive(Debug)]
pub struct Question {
    /// Milliseconds since the epoch.
    pub time_ms: i64,
    /// Why it was refused then; `None` where it was permitted.
    pub reason: Option<Reason>,
    pub caller: Caller,
    pub intent: Intent,
    method: String,
    path: String,
    source_ip: Option<IpAddr>,
}

/// Why a record cannot be replayed. The first four are of calls that no policy decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Unreplayable {
    Aborted,
    Discovery,
    BeforePolicies,
    Fault,
    /// The record has no facts: a version before they were recorded wrote it.
    NoFacts,
    Cut,
    OtherCatalog,
    Inconsistent,
}

// === impl Unreplayable ===

impl Unreplayable {
    pub const ALL: [Self; 8] =
        [Self::Aborted, Self::Discovery, Self::BeforePolicies, Self::Fault, Self::NoFacts, Self::Cut, Self::OtherCatalog, Self::Inconsistent];

    /// Whether policies decided then, so that a change of policies could matter to such a call.
    #[must_use]
    pub fn was_decided(self) -> bool {
        matches!(self, Self::NoFacts | Self::Cut | Self::OtherCatalog | Self::Inconsistent)
    }

    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Aborted => "aborted",
            Self::Discovery => "discovery",
            Self::BeforePolicies => "before_policies",
            Self::Fault => "fault",
            Self::NoFacts => "no_facts",
            Self::Cut => "cut",
            Self::OtherCatalog => "other_catalog",
            Self::Inconsistent => "inconsistent",
        }
    }

    #[must_use]
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Aborted => "ended before a decision",
            Self::Discovery => "answered by lakegate itself",
            Self::BeforePolicies => "refused before policies were asked",
            Self::Fault => "refused for a fault, not by a policy",
            Self::NoFacts => "recorded by a version that did not keep what policies saw",
            Self::Cut => "a text that policies saw is not whole in the record",
            Self::OtherCatalog => "of an action, type, field or claim that catalog or configuration do not have as it was",
            Self::Inconsistent => "the record contradicts itself or lacks a part",
        }
    }
}

// === impl Question ===

impl Question {
    /// `find` gives an action by any of its names; `claims` are those that policies may read now. Others of the record are left out: nothing reads them.
    ///
    /// # Errors
    /// Why there is no such question, or none that can be told from the record.
    pub fn of<'s>(record: &Recorded, find: impl Fn(&str) -> Option<&'s ActionSpec>, claims: &[FieldSpec]) -> Result<Self, Unreplayable> {
        let reason = decided(record)?;
        let facts = record.facts.as_ref().ok_or(Unreplayable::NoFacts)?;
        if !facts.cut.is_empty() {
            return Err(Unreplayable::Cut);
        }
        let spec = find(record.action.as_deref().unwrap_or_default()).ok_or(Unreplayable::OtherCatalog)?;
        let read = |facts: &RecordedFacts| {
            facts
                .token
                .iter()
                .flat_map(|token| &token.claims)
                .filter(|claim| known(claim, claims).is_some())
                .map(|claim| field(claim, claims))
                .collect::<Option<Vec<Field>>>()
        };
        let claims = read(facts).ok_or(Unreplayable::OtherCatalog)?;
        Self::whole(record, facts, reason, spec, claims)
    }

    fn whole(record: &Recorded, facts: &RecordedFacts, reason: Option<Reason>, spec: &ActionSpec, claims: Vec<Field>) -> Result<Self, Unreplayable> {
        let caller = caller(record, facts, claims).filter(|caller| principal(caller) == record.principal).ok_or(Unreplayable::Inconsistent)?;
        let resources: Vec<Resource> = facts.resources.iter().map(resource).collect();
        let fields = facts.fields.iter().map(|recorded| field(recorded, &spec.fields)).collect::<Option<_>>().ok_or(Unreplayable::OtherCatalog)?;
        let target = target(record, &resources).ok_or(Unreplayable::Inconsistent)?;
        let param = |name: &str| record.request_params.iter().find(|param| param.name == name).map(|param| param.value.clone());
        let source_ip = record.source_ip_address.as_deref().map(str::parse).transpose().map_err(|_| Unreplayable::Inconsistent)?;
        Ok(Self {
            time_ms: time_ms(&record.event_time).ok_or(Unreplayable::Inconsistent)?,
            reason,
            caller,
            intent: Intent { target: Arc::new(target), action: spec.action.clone(), resources: resources.into(), fields, scope: None },
            method: param("method").ok_or(Unreplayable::Inconsistent)?,
            path: param("path").ok_or(Unreplayable::Inconsistent)?,
            source_ip,
        })
    }

    #[must_use]
    pub fn facts(&self) -> RequestFacts<'_> {
        RequestFacts { method: &self.method, path: &self.path, source_ip: self.source_ip, time_ms: self.time_ms }
    }
}

/// Milliseconds since the epoch of an RFC 3339 time.
pub(super) fn time_ms(text: &str) -> Option<i64> {
    text.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_millisecond)
}

/// Why policies refused the call; `None` where they permitted it and it went on.
pub(super) fn decided(record: &Recorded) -> Result<Option<Reason>, Unreplayable> {
    match (record.decision.as_deref(), record.stage.as_str()) {
        (Some("allow"), _) => Ok(None),
        (Some("answer"), _) => Err(Unreplayable::Discovery),
        (Some("aborted"), _) => Err(Unreplayable::Aborted),
        (Some("deny"), "normalize" | "authn" | "classify") => Err(Unreplayable::BeforePolicies),
        (Some("deny"), _) => match Reason::ALL.into_iter().find(|reason| reason.code() == record.reason) {
            Some(reason @ (Reason::PolicyNoPermit | Reason::PolicyForbids | Reason::PolicyError | Reason::PolicyHides)) => Ok(Some(reason)),
            Some(reason) if reason.is_fault() => Err(Unreplayable::Fault),
            Some(_) => Err(Unreplayable::BeforePolicies),
            None => Err(Unreplayable::Inconsistent),
        },
        _ => Err(Unreplayable::Inconsistent),
    }
}

fn principal(caller: &Caller) -> Option<String> {
    caller.principal().map(|principal| principal.entity().to_string())
}

fn caller(record: &Recorded, facts: &RecordedFacts, read: Vec<Field>) -> Option<Caller> {
    let peer = record.peer.as_deref().map(SpiffeId::parse).transpose().ok()?;
    let token = match (&facts.token, &record.user_identity) {
        (None, None) => None,
        (Some(claims), Some(identity)) => {
            let kinds = [PrincipalKind::User, PrincipalKind::ServicePrincipal];
            let named = record.principal.as_deref()?.split_once("::")?.0;
            let mut token = Token {
                issuer: Name::parse(&identity.issuer).ok()?,
                kind: kinds.into_iter().find(|kind| kind.type_name() == named)?,
                subject: identity.subject_name.clone(),
                groups: claims.groups.clone(),
                groups_elsewhere: claims.groups_elsewhere,
                roles: claims.roles.clone(),
                scopes: claims.scopes.clone(),
                client: identity.client.clone(),
                expires_at: claims.expires_at,
                issued_at: None,
                auth_time: claims.auth_time,
                acr: claims.acr.clone(),
                id: None,
                session: record.session_id.clone(),
                email: None,
                actors: record.actor.clone(),
                claims: read,
                purpose: record.purpose.clone(),
                digest: [0; 32],
            };
            token.digest = authn::of_facts(&token);
            Some(Arc::new(token))
        }
        _ => return None,
    };
    Some(Caller { peer, token })
}

fn entity(recorded: &RecordedEntity) -> EntityRef {
    EntityRef::new(&TypeName::new(&recorded.r#type), &recorded.id)
}

fn resource(recorded: &RecordedResource) -> Resource {
    let own = EntityRef::new(&TypeName::new(&recorded.r#type), &recorded.id);
    Resource { entity: own, ancestors: recorded.ancestors.iter().map(entity).collect() }
}

fn known<'s>(recorded: &RecordedField, specs: &'s [FieldSpec]) -> Option<&'s FieldSpec> {
    specs.iter().find(|field| *field.name == *recorded.name)
}

/// `None` where there is no field of that name, or one of another kind.
fn field(recorded: &RecordedField, specs: &[FieldSpec]) -> Option<Field> {
    let spec = known(recorded, specs)?;
    let value = match (&recorded.value, spec.kind) {
        (RecordedValue::Text(text), FieldKind::Text) => FieldValue::Text(text.clone()),
        (RecordedValue::Long(number), FieldKind::Long) => FieldValue::Long(*number),
        (RecordedValue::Bool(truth), FieldKind::Bool) => FieldValue::Bool(*truth),
        (RecordedValue::Texts(texts), FieldKind::Texts) => FieldValue::Texts(texts.clone()),
        _ => return None,
    };
    Some(Field { name: spec.name.clone(), value })
}

/// The target that every resource is in, or is.
fn target(record: &Recorded, resources: &[Resource]) -> Option<Target> {
    let name = record.workspace.as_deref()?;
    let first = resources.first()?;
    let line = || first.ancestors.iter().chain([&first.entity]);
    let kinds = [TargetKind::Workspace, TargetKind::Account, TargetKind::Service];
    let kind = kinds.into_iter().find(|kind| line().any(|entity| entity.kind.as_str() == kind.type_name() && *entity.id == *name))?;
    let environment = line().find(|entity| entity.kind.as_str() == "Environment").map(|entity| Name::parse(&entity.id)).transpose().ok()?;
    Some(Target { kind, name: Name::parse(name).ok()?, workspace_id: None, account_id: None, environment: environment.map(Environment) })
}
