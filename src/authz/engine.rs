//! The Cedar engine, given just what one question needs: its parties as entities, its context, and the policies that could apply.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use cedar_policy::{
    Authorizer, Context, Decision, Entities, Entity, EntityId, EntityTypeName, EntityUid, PolicySet, Request, RestrictedExpression as Expression,
};
use cedar_policy_core::{evaluator::Evaluator, extensions::Extensions};

use super::{
    inventory::Inventory,
    node::{Node, Question},
    schema::{PARTIES, REQUEST_FACTS},
};
use crate::model::{Caller, EntityRef, Field, FieldValue, Intent, RequestFacts, Token, TypeName, Vocabulary};

pub(super) struct Engine {
    cedar: Authorizer,
    /// Parsed once: a type name costs more to parse than a decision.
    types: HashMap<TypeName, EntityTypeName>,
    pub(super) inventory: Inventory,
    /// Of all that it was made of.
    pub(super) digest: [u8; 32],
}

/// A question in Cedar's terms.
pub(super) struct Posed {
    entities: Entities,
    requests: Vec<Request>,
}

/// What the engine says about one resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) allowed: bool,
    /// The policies that decided; none for a default deny.
    pub(super) determining: BTreeSet<String>,
    /// The policies that failed, which the engine leaves out of its decision, a `forbid` too.
    pub(super) failed: BTreeSet<String>,
}

/// A question that cannot be put to the engine: a type the vocabulary does not have, or a value beyond Cedar's range.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Unposable(String);

// === impl Engine ===

impl Engine {
    pub(super) fn new(vocabulary: &Vocabulary, inventory: Inventory, digest: [u8; 32]) -> Self {
        let names = PARTIES.iter().map(|(name, _)| TypeName::new(name)).chain([TypeName::new("Action")]);
        let names = names.chain(vocabulary.types.iter().map(|spec| spec.name.clone()));
        let types = names.filter_map(|name| Some((name.clone(), name.as_str().parse().ok()?))).collect();
        Self { cedar: Authorizer::new(), types, inventory, digest }
    }

    /// `literals` are entities that policies name and the inventory has: their ancestors and tags can matter too.
    ///
    /// # Errors
    /// [`Unposable`]; nothing may be allowed then.
    pub(super) fn pose(
        &self,
        question: &Question,
        literals: &[EntityRef],
        caller: &Caller,
        intent: &Intent,
        facts: &RequestFacts<'_>,
    ) -> Result<Posed, Unposable> {
        let parties = [&question.principal, &question.peer, &question.action].into_iter().chain(&question.resources);
        let named: Vec<Node> = literals.iter().map(|literal| Node::new(literal.clone(), Vec::new(), &self.inventory)).collect();
        let mut nodes: HashMap<&EntityRef, &Node> = HashMap::new();
        for party in parties {
            // a workload that calls without a token is both principal and peer; but of two accounts of one entity, either could grant too much
            if nodes.insert(&party.entity, party).is_some_and(|known| known != party) {
                return Err(Unposable("one entity stands in the request in two different places".to_owned()));
            }
        }
        for node in &named {
            nodes.entry(&node.entity).or_insert(node);
        }
        let entities = nodes.into_values().map(|node| self.entity(node)).collect::<Result<Vec<_>, _>>()?;
        let entities = Entities::from_entities(entities, None).map_err(unposable)?;
        let context = self.context(question, caller, intent, facts)?;
        let (principal, action) = (self.uid(&question.principal.entity)?, self.uid(&question.action.entity)?);
        let request =
            |node: &Node| Request::new(principal.clone(), action.clone(), self.uid(&node.entity)?, context.clone(), None).map_err(unposable);
        Ok(Posed { entities, requests: question.resources.iter().map(request).collect::<Result<_, _>>()? })
    }

    /// One answer for each resource, in their order.
    pub(super) fn ask(&self, posed: &Posed, policies: &PolicySet) -> Vec<Answer> {
        posed.requests.iter().map(|request| self.answer(posed, request, policies)).collect()
    }

    fn answer(&self, posed: &Posed, request: &Request, policies: &PolicySet) -> Answer {
        let response = self.cedar.is_authorized(request, policies, &posed.entities);
        let diagnostics = response.diagnostics();
        let failed = diagnostics.errors().map(|error| {
            let cedar_policy::AuthorizationError::PolicyEvaluationError(error) = error;
            error.policy_id().to_string()
        });
        Answer {
            allowed: response.decision() == Decision::Allow,
            determining: diagnostics.reason().map(ToString::to_string).collect(),
            failed: failed.collect(),
        }
    }

    fn uid(&self, entity: &EntityRef) -> Result<EntityUid, Unposable> {
        let kind = self.types.get(&entity.kind).ok_or_else(|| Unposable(format!("`{}` is no type of the catalog", entity.kind)))?;
        Ok(EntityUid::from_type_name_and_id(kind.clone(), EntityId::new(&entity.id)))
    }

    fn entity(&self, node: &Node) -> Result<Entity, Unposable> {
        let uid = self.uid(&node.entity)?;
        let parents = node.ancestors.iter().map(|ancestor| self.uid(ancestor)).collect::<Result<HashSet<_>, _>>()?;
        match self.inventory.tags(&node.entity).filter(|tags| !tags.is_empty()) {
            None => Ok(Entity::new_no_attrs(uid, parents)),
            Some(tags) => {
                let tags = tags.iter().map(|(name, value)| (name.clone(), Expression::new_string(value.clone())));
                Entity::new_with_tags(uid, [], parents, tags).map_err(unposable)
            }
        }
    }

    fn context(&self, question: &Question, caller: &Caller, intent: &Intent, facts: &RequestFacts<'_>) -> Result<Context, Unposable> {
        let mut pairs = vec![
            ("peer".to_owned(), Expression::new_entity_uid(self.uid(&question.peer.entity)?)),
            ("request".to_owned(), request_record(intent, facts)?),
        ];
        if let Some(token) = &caller.token {
            pairs.push(("token".to_owned(), token_record(token)?));
            if let Some(actor) = token.actors.first() {
                pairs.push(("actor".to_owned(), text(&format!("{}/{actor}", token.issuer))));
            }
            pairs.extend(token.purpose.as_deref().map(|purpose| ("purpose".to_owned(), text(purpose))));
        }
        Context::from_pairs(pairs).map_err(unposable)
    }
}

// === impl Posed ===

impl Posed {
    /// What evaluates single expressions about one of its resources, and the entities they may name.
    pub(super) fn evaluator(&self, number: usize) -> Option<(Evaluator<'_>, &cedar_policy_core::entities::Entities)> {
        let request: &cedar_policy_core::ast::Request = self.requests.get(number)?.as_ref();
        let entities = self.entities.as_ref();
        Some((Evaluator::new(request.clone(), entities, Extensions::all_available()), entities))
    }
}

fn token_record(token: &Token) -> Result<Expression, Unposable> {
    let claims = Expression::new_record(token.claims.iter().map(pair)).map_err(unposable)?;
    let mut fields = BTreeMap::from([
        ("issuer".to_owned(), text(token.issuer.as_str())),
        ("scopes".to_owned(), texts(&token.scopes)),
        ("expires".to_owned(), datetime(token.expires_at.saturating_mul(1000))?),
        ("claims".to_owned(), claims),
    ]);
    fields.extend(token.client.as_deref().map(|client| ("client".to_owned(), text(client))));
    fields.extend(token.acr.as_deref().map(|acr| ("acr".to_owned(), text(acr))));
    if let Some(seconds) = token.auth_time {
        fields.insert("auth_time".to_owned(), datetime(seconds.saturating_mul(1000))?);
    }
    Expression::new_record(fields).map_err(unposable)
}

fn request_record(intent: &Intent, facts: &RequestFacts<'_>) -> Result<Expression, Unposable> {
    let of_body = intent.fields.iter().filter(|field| !REQUEST_FACTS.contains(&&*field.name));
    let mut fields: BTreeMap<String, Expression> = of_body.map(pair).collect();
    fields.insert("method".to_owned(), text(facts.method));
    fields.insert("path".to_owned(), text(facts.path));
    fields.insert("time".to_owned(), datetime(facts.time_ms)?);
    fields.extend(facts.source_ip.map(|ip| ("source_ip".to_owned(), Expression::new_ip(ip.to_string()))));
    Expression::new_record(fields).map_err(unposable)
}

fn pair(Field { name, value }: &Field) -> (String, Expression) {
    let value = match value {
        FieldValue::Text(value) => text(value),
        FieldValue::Long(value) => Expression::new_long(*value),
        FieldValue::Bool(value) => Expression::new_bool(*value),
        FieldValue::Texts(values) => texts(values),
    };
    (name.to_string(), value)
}

fn text(value: &str) -> Expression {
    Expression::new_string(value.to_owned())
}

fn texts(values: &[String]) -> Expression {
    Expression::new_set(values.iter().map(|value| text(value)))
}

/// Cedar's `datetime` literals have four digits of year, so a time outside the years 0 to 9999 cannot be said.
fn datetime(unix_ms: i64) -> Result<Expression, Unposable> {
    let time = jiff::Timestamp::from_millisecond(unix_ms).map_err(unposable)?.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string();
    if time.starts_with('-') {
        return Err(Unposable("a time before the year 0".to_owned()));
    }
    Ok(Expression::new_datetime(time))
}

fn unposable(error: impl std::fmt::Display) -> Unposable {
    Unposable(error.to_string())
}
