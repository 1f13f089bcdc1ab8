//! A second set of policies beside one that is served: to be held against it, never to decide.

use super::{Authorizer, Source, cache::Cache, load::Loaded, metrics::Metrics, no_files};
use crate::model::{Fault, Faults, Vocabulary};

// === impl Authorizer ===

impl Authorizer {
    /// Another set of policies over this one's catalog, claims and inventory; the claims and the inventory of `source` are not looked at. What this set or `previous`, the last one
    /// that stood beside it, found to be without fault is not validated again. Its lookups are counted in no metric.
    ///
    /// # Errors
    /// Every fault of every file at once; and where there is no file at all.
    pub fn beside(&self, vocabulary: &Vocabulary, source: &Source, cache_bytes: u64, previous: Option<&Self>) -> Result<Self, Vec<Fault>> {
        if source.files.is_empty() {
            return Err(vec![no_files()]);
        }
        let both = previous.map(|previous| self.kept.with(&previous.kept));
        let loaded = Loaded::read(vocabulary, source, &self.rules, Some(both.as_ref().unwrap_or(&self.kept))).map_err(Faults::into_vec)?;
        Ok(Self::assembled(loaded, self.engine.clone(), self.rules.clone(), Metrics::new(), Cache::new(cache_bytes, None), None))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::authz::tests::world::{alice, facts, intent, load_with, said, source, vocabulary};

    const JOBS: &[(&str, &str)] = &[("Job", "stage/42")];

    #[test]
    fn a_set_beside_another_decides_by_its_own_policies_over_the_same_inventory() {
        let inventory = r#"[{"type": "Job", "id": "stage/42", "parents": [{"type": "Collection", "id": "pii"}], "tags": {}}, {"type": "Collection", "id": "pii"}]"#;
        let permit = r#"@id("all") permit (principal, action, resource);"#;
        let live = load_with(permit, inventory);
        let text = format!("{permit}\n@id(\"pii\") forbid (principal, action, resource in Collection::\"pii\");");
        let beside = live.beside(&vocabulary(), &source(&text), 1 << 20, None).unwrap_or_else(|faults| panic!("{}", said(&faults)));
        let (caller, intent) = (alice(), intent("jobs.run_now", JOBS));
        assert!(live.judge(&caller, &intent, &facts()).is_allowed());
        let judgement = beside.judge(&caller, &intent, &facts());
        assert_eq!((judgement.is_allowed(), judgement.policies.as_slice()), (false, ["pii".to_owned()].as_slice()));
        assert!(live.judge(&caller, &intent, &facts()).is_allowed(), "the live set is as it was");
        assert!(Arc::ptr_eq(&live.policies[0].compiled, &beside.policies[0].compiled), "validated once");
        let again = live.beside(&vocabulary(), &source(&text), 1 << 20, Some(&beside)).unwrap_or_else(|_| panic!());
        assert!(Arc::ptr_eq(&beside.policies[1].compiled, &again.policies[1].compiled), "validated once");
        assert!(Arc::ptr_eq(&live.engine, &again.engine) && Arc::ptr_eq(&live.rules, &again.rules));
    }

    #[test]
    fn a_set_with_a_fault_does_not_load() {
        let live = load_with(r#"@id("all") permit (principal, action, resource);"#, "[]");
        for (source, want) in [(source("@id(\"x\") permit (principal, action, resource"), "base.cedar:1"), (Source::default(), "no `*.cedar` file")] {
            let faults = live.beside(&vocabulary(), &source, 1 << 20, None).err().unwrap();
            assert!(said(&faults).contains(want), "{}", said(&faults));
        }
    }
}
