use std::time::Duration;

/// How the bench was called.
#[derive(Debug, Default)]
pub(crate) struct Arguments {
    /// Be the allow-all server on this port, instead of measuring.
    pub(crate) baseline: Option<u16>,
    /// Measure what reloading costs those who ask meanwhile, instead of the rest.
    pub(crate) reload: bool,
    /// Measure what strangers with made-up tokens cost the others, instead of the rest.
    pub(crate) strangers: bool,
    quick: bool,
}

/// How long to measure.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Effort {
    pub(crate) warm_up: Duration,
    /// How often each server has its turn.
    pub(crate) rounds: usize,
    /// One turn.
    pub(crate) turn: Duration,
    /// Checks that are sent once: with tokens never seen, and about objects never asked about.
    pub(crate) singles: usize,
}

// === impl Arguments ===

impl Arguments {
    /// What it does not know (`--bench`, which cargo adds) is for other benches.
    pub(crate) fn read(given: impl Iterator<Item = String>) -> Self {
        let mut arguments = Self::default();
        let mut given = given;
        while let Some(argument) = given.next() {
            match argument.as_str() {
                "--baseline" => arguments.baseline = given.next().and_then(|port| port.parse().ok()),
                "--reload" => arguments.reload = true,
                "--strangers" => arguments.strangers = true,
                "--quick" => arguments.quick = true,
                _ => {}
            }
        }
        arguments
    }

    /// How long to look at a calm server, and then at one that is disturbed.
    pub(crate) fn spell(&self) -> Duration {
        Duration::from_secs(if self.quick { 10 } else { 60 })
    }

    pub(crate) fn effort(&self) -> Effort {
        if self.quick {
            Effort { warm_up: Duration::from_secs(1), rounds: 1, turn: Duration::from_secs(1), singles: 500 }
        } else {
            Effort { warm_up: Duration::from_secs(2), rounds: 5, turn: Duration::from_secs(3), singles: 4000 }
        }
    }
}
