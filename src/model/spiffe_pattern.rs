use std::fmt;

use super::{SpiffeError, SpiffeId};

/// A SPIFFE ID in which whole path segments may be `*`: `spiffe://cluster.local/ns/istio-egress/sa/*`.
///
/// `*` stands for exactly one segment, and never for a trust domain: a pattern says how deep an identity is and who vouches for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpiffePattern {
    text: String,
}

// === impl SpiffePattern ===

impl SpiffePattern {
    /// # Errors
    /// [`SpiffeError`] says which part of `text` is wrong; a `*` within a segment is, as is one for the trust domain.
    pub fn parse(text: &str) -> Result<Self, SpiffeError> {
        let example: Vec<&str> = text.split('/').map(|segment| if segment == "*" { "x" } else { segment }).collect();
        // `spiffe:`, nothing, then the trust domain.
        if text.split('/').nth(2) == Some("*") {
            return Err(SpiffeError::TrustDomain);
        }
        SpiffeId::parse(&example.join("/"))?;
        Ok(Self { text: text.to_owned() })
    }

    /// Whether some SPIFFE ID is matched by both.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        let (mut one, mut other) = (self.text.split('/'), other.text.split('/'));
        loop {
            match (one.next(), other.next()) {
                (None, None) => return true,
                (Some(one), Some(other)) if one == other || one == "*" || other == "*" => {}
                _ => return false,
            }
        }
    }

    /// The trust domain of all that it matches.
    #[must_use]
    pub fn trust_domain(&self) -> &str {
        self.text.split('/').nth(2).unwrap_or_default()
    }

    /// The same pattern of paths in the trust domain `domain`.
    ///
    /// # Errors
    /// [`SpiffeError`] where `domain` is none, or the whole becomes too long.
    pub fn in_domain(&self, domain: &str) -> Result<Self, SpiffeError> {
        let path: Vec<&str> = self.text.split('/').skip(3).collect();
        Self::parse(&format!("spiffe://{domain}/{}", path.join("/")))
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    #[must_use]
    pub fn matches(&self, id: &SpiffeId) -> bool {
        let mut wanted = self.text.split('/');
        let mut have = id.as_str().split('/');
        loop {
            match (wanted.next(), have.next()) {
                (None, None) => return true,
                (Some(wanted), Some(have)) if wanted == "*" || wanted == have => {}
                _ => return false,
            }
        }
    }
}

impl fmt::Display for SpiffePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_is_one_whole_segment() {
        let cases = [
            ("spiffe://td/ns/x/sa/*", "spiffe://td/ns/x/sa/gw", true),
            ("spiffe://td/ns/x/sa/*", "spiffe://td/ns/x/sa/gw/more", false),
            ("spiffe://td/ns/x/sa/*", "spiffe://td/ns/x/sa", false),
            ("spiffe://td/ns/x/sa/*", "spiffe://td/ns/y/sa/gw", false),
            ("spiffe://td/ns/x/sa/*", "spiffe://other/ns/x/sa/gw", false),
            ("spiffe://td/ns/*/sa/gw", "spiffe://td/ns/any/sa/gw", true),
            ("spiffe://td/ns/*/sa/gw", "spiffe://td/ns/any/sa/gw2", false),
            ("spiffe://td/ns/x/sa/gw", "spiffe://td/ns/x/sa/gw", true),
            ("spiffe://td/ns/x/sa/gw", "spiffe://td/ns/x/sa/GW", false),
        ];
        for (pattern, id, expected) in cases {
            let parsed = SpiffePattern::parse(pattern).expect("a pattern");
            assert_eq!(parsed.matches(&SpiffeId::parse(id).expect("an id")), expected, "{pattern} {id}");
        }
    }

    #[test]
    fn patterns_overlap_where_one_id_is_of_both() {
        let cases = [
            ("spiffe://td/ns/x/sa/*", "spiffe://td/ns/*/sa/gw", true),
            ("spiffe://td/ns/x/sa/*", "spiffe://td/ns/x/sa/gw", true),
            ("spiffe://td/ns/x/sa/gw", "spiffe://td/ns/x/sa/gw", true),
            ("spiffe://td/ns/x/sa/*", "spiffe://td/ns/y/sa/*", false),
            ("spiffe://td/ns/x/sa/*", "spiffe://td/ns/x/sa/*/z", false),
            ("spiffe://td/*/*/*/*", "spiffe://other/*/*/*/*", false),
        ];
        for (one, other, expected) in cases {
            let [one, other] = [one, other].map(|text| SpiffePattern::parse(text).expect("a pattern"));
            assert_eq!((one.overlaps(&other), other.overlaps(&one)), (expected, expected), "{one} {other}");
        }
    }

    #[test]
    fn a_pattern_moves_to_another_trust_domain() {
        let moved = SpiffePattern::parse("spiffe://old/ns/*/sa/gw").expect("a pattern").in_domain("new").expect("a pattern");
        assert_eq!((moved.as_str(), moved.trust_domain()), ("spiffe://new/ns/*/sa/gw", "new"));
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        for text in [
            "*",
            "spiffe://*/ns/x/sa/y",
            "spiffe://td/ns/x*/sa/y",
            "spiffe://td/**",
            "spiffe://td",
            "spiffe://td/",
            "https://td/ns/x",
            "spiffe://td/ns//sa/*",
        ] {
            assert!(SpiffePattern::parse(text).is_err(), "{text}");
        }
    }
}
