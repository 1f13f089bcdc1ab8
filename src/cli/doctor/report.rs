//! What was tried, and what came of it.

use serde::Serialize;
use serde_json::Value;

use crate::{
    broker::{Answered, Sent, TokenFacts},
    cli::Exit,
};

#[derive(Debug, Serialize)]
pub(super) struct Report {
    /// Whether nothing is known to be wrong.
    pub(super) well: bool,
    pub(super) steps: Vec<Step>,
}

/// One thing that was looked at.
#[derive(Debug, Serialize)]
pub(super) struct Step {
    /// `None` of what is the same for all of them.
    pub(super) target: Option<String>,
    #[serde(rename = "step")]
    pub(super) name: &'static str,
    pub(super) state: State,
    /// What was found.
    pub(super) says: String,
    pub(super) mend: Option<String>,
    /// The OAuth error that was answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) sent: Option<Sent>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) answered: Option<Answered>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) token: Option<TokenFacts>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum State {
    Well,
    NotWell,
    /// It cannot be told from here.
    NotKnown,
}

// === impl Report ===

impl Report {
    pub(super) fn new(steps: Vec<Step>) -> Self {
        Self { well: steps.iter().all(|step| step.state != State::NotWell), steps }
    }

    pub(super) fn exit(&self) -> Exit {
        if self.well { Exit::Yes } else { Exit::Failure }
    }

    pub(super) fn text(&self) -> String {
        let mut lines = Vec::new();
        let mut of = None;
        for step in &self.steps {
            if step.target != of {
                of.clone_from(&step.target);
                lines.extend(step.target.iter().map(|target| format!("\n{target}")));
            }
            step.tell(&mut lines);
        }
        lines.join("\n")
    }
}

// === impl Step ===

impl Step {
    pub(super) fn new(name: &'static str, state: State, says: impl Into<String>) -> Self {
        Self { target: None, name, state, says: says.into(), mend: None, error: None, sent: None, answered: None, token: None }
    }

    pub(super) fn mend(self, mend: impl Into<String>) -> Self {
        Self { mend: Some(mend.into()), ..self }
    }

    pub(super) fn of(self, target: &str) -> Self {
        Self { target: Some(target.to_owned()), ..self }
    }

    fn tell(&self, lines: &mut Vec<String>) {
        let mut line = |first: &str, name: &str, text: &str| lines.push(format!("{first:<10} {name:<14} {text}"));
        line(self.state.words(), self.name, &self.says);
        for (name, facts) in [("sent", facts(&self.sent)), ("token", facts(&self.token))] {
            for (key, value) in facts {
                line("", name, &format!("{key:<14} {value}"));
            }
        }
        if let Some(mend) = &self.mend {
            line("", "mend", mend);
        }
    }
}

/// Names and values of all that is said.
fn facts(of: &impl Serialize) -> Vec<(String, String)> {
    let Ok(Value::Object(members)) = serde_json::to_value(of) else { return Vec::new() };
    let text = |value: &Value| match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        Value::Array(list) => {
            Some(list.iter().map(|item| item.as_str().map_or_else(|| item.to_string(), str::to_owned)).collect::<Vec<_>>().join(", "))
        }
        other => Some(other.to_string()),
    };
    members.iter().filter_map(|(name, value)| Some((name.clone(), text(value)?))).collect()
}

// === impl State ===

impl State {
    fn words(self) -> &'static str {
        match self {
            Self::Well => "well",
            Self::NotWell => "not well",
            Self::NotKnown => "not known",
        }
    }
}
