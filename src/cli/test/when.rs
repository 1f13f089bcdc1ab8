use crate::config::units::Span;

/// A moment, or how far from the moment of a call. In milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum When {
    /// Since the epoch.
    At(i64),
    /// After the call; before it where it is less than 0.
    Off(i64),
}

// === impl When ===

impl When {
    /// What one can write.
    pub(super) const FORMS: &str = "write a time as `2026-06-01T09:30:00Z`, or one beside that of the call as `30m ago` or `in 5m`";

    pub(super) fn parse(text: &str) -> Option<Self> {
        let ms = |text: &str| Span::parse(text).and_then(|span| i64::try_from(span.0.as_millis()).ok());
        if let Some(span) = text.strip_suffix(" ago") {
            return ms(span).map(|ms| Self::Off(-ms));
        }
        match text.strip_prefix("in ") {
            Some(span) => ms(span).map(Self::Off),
            None => text.parse::<jiff::Timestamp>().ok().map(|time| Self::At(time.as_millisecond())),
        }
    }

    /// In seconds since the epoch, for a call at `call_ms`.
    pub(super) fn seconds(self, call_ms: i64) -> i64 {
        let ms = match self {
            Self::At(ms) => ms,
            Self::Off(ms) => call_ms.saturating_add(ms),
        };
        ms.div_euclid(1000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_absolute_or_beside_the_call() {
        let call = 1_780_000_000_500;
        for (text, seconds) in [
            ("2026-06-01T09:30:00Z", Some(1_780_306_200)),
            ("2026-06-01T11:30:00+02:00", Some(1_780_306_200)),
            ("30m ago", Some(1_779_998_200)),
            ("in 5m", Some(1_780_000_300)),
            ("in 500ms", Some(1_780_000_001)),
            ("0s ago", Some(1_780_000_000)),
            ("2026-06-01T09:30:00", None),
            ("2026-06-01", None),
            ("30m", None),
            ("in 5 minutes", None),
            ("-30m ago", None),
            ("now", None),
        ] {
            assert_eq!(When::parse(text).map(|when| when.seconds(call)), seconds, "{text}");
        }
    }
}
