//! Other names of actions: a policy may write what a call was called before, or what another client calls it.

use std::{collections::BTreeMap, sync::Arc};

use cedar_policy::Policy;
use cedar_policy_core::ast;
use serde_json::Value;

use super::reading::literals;

/// The policy, or template of policies, with every action by the name that requests have, where it writes another; `None` where it writes none.
///
/// # Errors
/// A message where the policy cannot be read back, which no policy that was parsed is known to do.
pub(super) fn resolved(template: &ast::Template, aliases: &BTreeMap<Arc<str>, Arc<str>>) -> Result<Option<ast::Template>, String> {
    let other = |uid: &ast::EntityUID| uid.is_action() && aliases.contains_key::<str>(uid.eid().as_ref());
    if aliases.is_empty() || !literals(template).iter().any(other) {
        return Ok(None);
    }
    let message = |error: &dyn std::fmt::Display| error.to_string();
    let renamed = if template.is_static() {
        let policy = ast::Template::try_as_policy(Arc::new(template.clone())).map_err(|error| message(&error))?;
        let mut json = Policy::from(policy).to_json().map_err(|error| message(&error))?;
        rename(&mut json, aliases);
        Policy::from_json(None, json).map_err(|error| message(&error))?.as_ref().template().clone()
    } else {
        let mut json = cedar_policy::Template::from(template.clone()).to_json().map_err(|error| message(&error))?;
        rename(&mut json, aliases);
        cedar_policy::Template::from_json(None, json).map_err(|error| message(&error))?.as_ref().clone()
    };
    Ok(Some(renamed.new_id(template.id().clone())))
}

/// In Cedar's JSON an entity is `{"type": …, "id": …}` wherever it stands.
fn rename(value: &mut Value, aliases: &BTreeMap<Arc<str>, Arc<str>>) {
    match value {
        Value::Object(members) => {
            let action = members.get("type").and_then(Value::as_str).is_some_and(is_action);
            let name = members.get("id").and_then(Value::as_str).filter(|_| action).and_then(|id| aliases.get(id));
            if let Some(name) = name {
                members.insert("id".to_owned(), Value::String(name.to_string()));
            }
            members.values_mut().for_each(|member| rename(member, aliases));
        }
        Value::Array(items) => items.iter_mut().for_each(|item| rename(item, aliases)),
        _ => {}
    }
}

fn is_action(kind: &str) -> bool {
    kind == "Action"
}

#[cfg(test)]
mod tests {
    use crate::{
        authz::tests::world::{action, entity, load},
        model::Level,
    };

    #[test]
    fn a_policy_may_write_another_name_of_an_action() {
        for text in [
            r#"@id("a") permit (principal, action == Action::"jobs.start", resource);"#,
            r#"@id("a") permit (principal, action in [Action::"jobs.start", Action::"jobs.get"], resource);"#,
        ] {
            let authorizer = load(text);
            assert_eq!(authorizer.policies_on(&action("jobs.run_now", Level::Use)), ["a"], "{text}");
            assert_eq!(authorizer.policies[0].compiled.id.as_ref(), "a");
        }
        let conditional = load(r#"@id("a") @reason("no") forbid (principal, action, resource) when { action == Action::"jobs.start" };"#);
        assert!(conditional.policies[0].compiled.literals.contains(&entity("Action", "jobs.run_now")));
        assert_eq!(conditional.policies[0].compiled.reason.as_deref(), Some("no"));
    }
}
