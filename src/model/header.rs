//! Header names as careless readers see them: CGI and WSGI make variables of them, in which `X_Databricks.Org-Id` is one more spelling of
//! `x-databricks-org-id` (CVE-2025-64484, CVE-2026-54763).

/// Whether `name` can be taken for `other`.
#[must_use]
pub fn same(name: impl AsRef<[u8]>, other: &str) -> bool {
    let name = name.as_ref();
    name.len() == other.len() && begins(name, other)
}

/// Whether `name` can be taken for one that begins with `prefix`.
#[must_use]
pub fn begins(name: impl AsRef<[u8]>, prefix: &str) -> bool {
    name.as_ref().get(..prefix.len()).is_some_and(|head| folded(head).eq(folded(prefix.as_bytes())))
}

/// Whether `name` can be taken for one that ends with `suffix`.
#[must_use]
pub fn ends(name: impl AsRef<[u8]>, suffix: &str) -> bool {
    let name = name.as_ref();
    let tail = name.len().checked_sub(suffix.len()).and_then(|start| name.get(start..));
    tail.is_some_and(|tail| folded(tail).eq(folded(suffix.as_bytes())))
}

/// In lower case, with all but letters and digits read as `-`: some readers keep no other character.
fn folded(name: &[u8]) -> impl Iterator<Item = u8> + '_ {
    name.iter().map(|byte| if byte.is_ascii_alphanumeric() { byte.to_ascii_lowercase() } else { b'-' })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_spellings_are_seen_through() {
        for name in ["x-databricks-org-id", "x_databricks_org_id", "X-Databricks.Org-Id", "x+databricks~org!id"] {
            assert!(same(name, "x-databricks-org-id") && begins(name, "x-databricks-") && ends(name, "-org-id"), "{name}");
        }
        for name in ["x-databricks-org-i", "x-databricks-org-idd", "", "id"] {
            assert!(!same(name, "x-databricks-org-id"), "{name}");
        }
        assert!(!begins("x-data", "x-databricks-") && !ends("-id", "-org-id") && !begins("y-x-databricks-", "x-databricks-"));
    }
}
