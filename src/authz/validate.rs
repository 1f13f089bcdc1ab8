//! What Cedar's strict validator says of a policy, found in those request environments that can matter to it.
//!
//! Cedar's own [`Validator`](cedar_policy::Validator) typechecks every policy in every environment of the schema: each action, with each type of
//! principal and resource. With a catalog of thousands of actions that takes tens of milliseconds a policy. Where a scope can be seen never to match,
//! the typechecker stops at the scope with nothing to say; where nothing is read that differs, it says the same again. What is found here is
//! what the whole validation finds, and a property test holds that.

use std::sync::Arc;

use cedar_policy_core::{
    ast::{ActionConstraint, PolicySet, Template},
    parser::Loc,
    validator::{
        ValidationError, ValidationMode, ValidationWarning, Validator, ValidatorSchema, confusable_string_checks,
        typecheck::{PolicyCheck, Typechecker},
        validation_warnings::{ImpossiblePolicy, InvalidActionApplication},
    },
};

use super::{
    environments::{Environments, Party, Slice},
    reading::{Lens, Reading, Sights},
};

/// One validation of many policies against one schema.
pub(super) struct Validation<'r> {
    whole: &'r Validator,
    environments: &'r Environments,
    sights: Sights<'r>,
}

/// What is wrong with a policy. Without errors it means what it says.
#[derive(Debug, Default)]
pub(super) struct Findings {
    /// The same mistake once for each kind of environment that it was found in.
    pub(super) errors: Vec<ValidationError>,
    /// None where there are errors.
    pub(super) warnings: Vec<ValidationWarning>,
    /// The typechecker gave up, which it does where expressions are too deeply nested for its stack, without an error.
    pub(super) unfinished: bool,
}

/// What the typechecker says.
#[derive(Default)]
struct Typechecked {
    errors: Vec<ValidationError>,
    /// In some environment the policy is not always false.
    possible: bool,
    /// In some environment there is no result, and no error says why.
    failed: bool,
}

// === impl Validation ===

impl<'r> Validation<'r> {
    pub(super) fn new(validator: &'r cedar_policy::Validator, environments: &'r Environments) -> Self {
        Self { whole: validator.as_ref(), environments, sights: Sights::new(environments) }
    }

    pub(super) fn of(&self, template: &Template) -> Findings {
        if !is_plain(template.action_constraint()) {
            return self.wholly(template);
        }
        let slice = self.environments.slice(self.schema(), template);
        let mut errors: Vec<_> = Validator::validate_entity_types_and_literals(self.schema(), template).collect();
        let reading = Reading::of(template);
        if errors.is_empty() {
            let found = self.typecheck(template, &slice, &reading.broadly(&self.sights));
            if found.errors.is_empty() {
                return Findings { warnings: self.warnings(template, &slice, found.possible), unfinished: found.failed, errors };
            }
        }
        errors.extend(self.typecheck(template, &slice, &reading.exactly()).errors);
        Findings { errors, ..Findings::default() }
    }

    /// Whether there can be a request that the scope admits, by the types of what it names.
    pub(super) fn can_apply(&self, template: &Template) -> bool {
        !self.environments.slice(self.schema(), template).is_empty(self.environments)
    }

    fn wholly(&self, template: &Template) -> Findings {
        let mut set = PolicySet::new();
        // Alone it has no name to share, so that it is always taken.
        let added = match Template::try_as_policy(Arc::new(template.clone())) {
            Ok(policy) => set.add(policy),
            Err(_) => set.add_template(template.clone()),
        };
        let (errors, warnings) = self.whole.validate(&set, ValidationMode::Strict).into_errors_and_warnings();
        let errors: Vec<_> = errors.collect();
        let warnings = if errors.is_empty() { warnings.collect() } else { Vec::new() };
        Findings { unfinished: added.is_err(), errors, warnings }
    }

    fn schema(&self) -> &'r ValidatorSchema {
        self.whole.schema()
    }

    fn typecheck(&self, template: &Template, slice: &Slice, lens: &Lens) -> Typechecked {
        let typechecker = Typechecker::new(self.schema(), ValidationMode::Strict);
        let mut found = Typechecked::default();
        for environment in self.environments.through(slice, lens) {
            match typechecker.typecheck_by_single_request_env(template, &environment) {
                PolicyCheck::Success(_) => found.possible = true,
                PolicyCheck::Irrelevant(errors, _) => found.errors.extend(errors),
                PolicyCheck::Fail(errors) => {
                    found.possible = true;
                    found.failed |= errors.is_empty();
                    found.errors.extend(errors);
                }
            }
        }
        found
    }

    fn warnings(&self, template: &Template, slice: &Slice, possible: bool) -> Vec<ValidationWarning> {
        let (source_loc, policy_id) = (template.loc().cloned(), template.id().clone());
        let mut warnings = Vec::new();
        if slice.is_empty(self.environments) {
            let would_in_fix = |party, constraint| self.environments.in_would_help(self.schema(), slice, party, constraint);
            warnings.push(ValidationWarning::from(InvalidActionApplication {
                source_loc: source_loc.clone(),
                policy_id: policy_id.clone(),
                would_in_fix_principal: would_in_fix(Party::Principal, template.principal_constraint().as_inner()),
                would_in_fix_resource: would_in_fix(Party::Resource, template.resource_constraint().as_inner()),
            }));
        }
        if !possible {
            warnings.push(ImpossiblePolicy { source_loc, policy_id }.into());
        }
        if !template.loc().and_then(Loc::snippet).is_some_and(is_plain_text) {
            warnings.extend(confusable_string_checks(std::iter::once(template)));
        }
        warnings
    }
}

/// Whether nothing in a policy's names and strings can look like something else, told faster than by looking at each: all is ASCII, none is escaped, and
/// there are no control characters but between tokens. A string that went on in the next line would leave its own with an odd number of quotes.
fn is_plain_text(text: &str) -> bool {
    text.split(['\n', '\r']).all(|line| {
        let line = line.trim_start_matches(['\t', ' ']).as_bytes();
        let plain = |byte: &u8| matches!(byte, b' '..=b'~') && *byte != b'\\';
        line.iter().all(plain) && memchr::memchr_iter(b'"', line).count().is_multiple_of(2)
    })
}

/// Whether the scope's actions are words that the typechecker takes without complaint. About `action in []` it complains in environments that the
/// rest of the scope rules out.
fn is_plain(actions: &ActionConstraint) -> bool {
    let ActionConstraint::In(actions) = actions else { return true };
    actions.first().is_some_and(|first| actions.iter().all(|action| action.entity_type() == first.entity_type()))
}

#[cfg(test)]
mod tests {
    use cedar_policy_core::parser::parse_policy_or_template;
    use proptest::prelude::*;

    use super::*;

    const FRAGMENTS: [&str; 16] =
        ["a", "\u{430}", "\t", "\n", "\r", "\\u{202e}", "\\t", "\u{202e}", "\"", "//", " ", "\u{7f}", "\u{200b}", "\\\"", "x.y", "\u{0}"];

    proptest! {
        #[test]
        fn of_plain_text_there_is_nothing_to_say(
            id in proptest::collection::vec(proptest::sample::select(&FRAGMENTS[..]), 0..5),
            between in proptest::collection::vec(proptest::sample::select(&FRAGMENTS[..]), 0..5),
            value in proptest::collection::vec(proptest::sample::select(&FRAGMENTS[..]), 0..5),
        ) {
            let (id, between, value) = (id.concat(), between.concat(), value.concat());
            let text = format!("permit (principal == User::\"{id}\", action, resource) // {between}\n\twhen {{ \"{value}\" == \"b\" }};");
            let Ok(policy) = parse_policy_or_template(None, &text) else { return Ok(()) };
            let said = confusable_string_checks(std::iter::once(&policy)).count();
            prop_assert!(said == 0 || !is_plain_text(policy.loc().unwrap().snippet().unwrap()), "{text:?}");
        }
    }

    #[test]
    fn usual_text_is_plain() {
        assert!(is_plain_text("permit (principal, // with \"words\"\n\taction, resource)\r\n    when { context.request.method == \"GET\" };"));
    }
}
