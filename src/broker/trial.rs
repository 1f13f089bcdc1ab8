//! Exchanges that are tried to see what comes of them. Each ends in a report: what comes back is dropped, nothing is kept, and nothing of a token is told but
//! what it says of itself.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Serialize;

use super::{
    Broker, Wanted, answer,
    config::{Exchange, Mode, Subject},
    subject::{Order, SHORTEST, Whom},
};
use crate::{
    json::{self, Object, Value},
    model::{Refusal, Target},
    net::{Answer, NetError},
    text::shown,
};

/// For whom an exchange is tried.
#[derive(Clone, Copy)]
pub enum Probe<'w> {
    Caller(Wanted<'w>),
    /// A subject that nobody is, [`NOBODY`]; of a target with service principals, each of them. `scope` as in [`Wanted::new`].
    Nobody {
        scope: Option<&'w str>,
    },
}

/// One exchange, what was sent and what came of it.
#[derive(Debug)]
pub struct Trial {
    /// `None` where nothing could be sent.
    pub sent: Option<Sent>,
    /// `None` where there was no answer that could be read.
    pub answered: Option<Answered>,
    /// What the answer says of the token in it.
    pub token: Option<TokenFacts>,
    pub end: TrialEnd,
}

#[derive(Debug)]
pub enum TrialEnd {
    /// It cannot be told for whom it would be.
    Unidentified(Refusal),
    /// There is nothing to send, or it cannot be sent.
    Unsent(&'static str),
    NoAnswer(NetError),
    /// Another status than 200, with the `error` and `error_description` of its body.
    Declined {
        code: Option<String>,
        description: Option<String>,
    },
    /// 200 with what is of no use.
    Unusable(String),
    /// A token that would be used.
    Issued,
}

/// What was sent to a token endpoint, but for what is secret in it.
#[derive(Debug, Serialize)]
pub struct Sent {
    pub grant_type: String,
    pub scope: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// What the token that was sent says; `None` where none was, or one that is no JWT.
    #[serde(flatten)]
    pub said: Option<Said>,
}

/// The head of an answer. Times are in seconds since the epoch.
#[derive(Debug, Serialize)]
pub struct Answered {
    pub status: u16,
    pub retry_after_s: Option<u64>,
    /// By the clock of the endpoint.
    pub date: Option<i64>,
    /// By this one's: when it was asked, and when the answer was there.
    pub asked: i64,
    pub at: i64,
    /// Whether it is a page for people.
    pub html: bool,
}

/// What is told of a token in an answer.
#[derive(Debug, Serialize)]
pub struct TokenFacts {
    pub token_type: Option<String>,
    /// As the answer says it, in seconds.
    pub expires_in: Option<i64>,
    pub granted_scope: Option<String>,
    pub jwt: bool,
    #[serde(flatten)]
    pub said: Option<Said>,
}

/// What a JWT says of itself. Nobody has looked whether it is true.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub struct Said {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alg: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kid: Option<String>,
    pub iss: Option<String>,
    pub aud: Vec<String>,
    pub sub: Option<String>,
    /// What `scope` says in the token itself.
    #[serde(rename = "token_scope", skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    pub iat: Option<i64>,
    pub exp: Option<i64>,
}

/// A subject that is in no account.
pub const NOBODY: &str = "lakegate-doctor";

// === impl Broker ===

impl Broker {
    /// Tries what a call to `target` would have done for it, past all that is kept and remembered; nothing where its mode mints nothing.
    pub async fn try_exchange(&self, target: &Target, probe: &Probe<'_>) -> Vec<Trial> {
        let Some(Mode::Exchange(exchange)) = self.config.modes.get(&(target.kind, target.name.clone())) else { return Vec::new() };
        let mut trials = Vec::new();
        for whom in whose(exchange, probe) {
            trials.push(self.try_one(exchange, whom, probe).await);
        }
        trials
    }

    async fn try_one(&self, exchange: &Exchange, whom: Result<Whom<'_>, TrialEnd>, probe: &Probe<'_>) -> Trial {
        let ended = |end| Trial { sent: None, answered: None, token: None, end };
        let asked = self.desk.clock.now();
        let until = match probe {
            Probe::Caller(wanted) => exchange.bound(wanted).map(|end| end.max(asked.saturating_add(SHORTEST))),
            Probe::Nobody { .. } => None,
        };
        let scope = match probe {
            Probe::Caller(wanted) => exchange.scope(wanted.scope),
            Probe::Nobody { scope } => exchange.scope(*scope),
        };
        let whom = match whom {
            Ok(whom) => whom,
            Err(end) => return ended(end),
        };
        let Some(order) = whom.order(exchange, scope, until, asked) else { return ended(TrialEnd::Unsent("an assertion cannot be signed")) };
        let sent = Some(Sent::of(&order));
        let answer = self.desk.client.exchange_form(&exchange.endpoint, order.authorization.as_ref(), order.form.to_string()).await;
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => return Trial { sent, ..ended(TrialEnd::NoAnswer(error)) },
        };
        let at = self.desk.clock.now();
        let (token, end) = came(&answer, exchange, scope, at);
        Trial { sent, answered: Some(Answered::of(&answer, asked, at)), token, ..ended(end) }
    }
}

fn whose<'w>(exchange: &'w Exchange, probe: &Probe<'w>) -> Vec<Result<Whom<'w>, TrialEnd>> {
    match (probe, &exchange.subject) {
        (Probe::Caller(Wanted { token: None, .. }) | Probe::Nobody { .. }, Subject::Caller) => {
            vec![Err(TrialEnd::Unsent("it is the caller's own token that is exchanged here, and there is none"))]
        }
        (Probe::Caller(wanted), _) => vec![Whom::of(exchange, wanted).map_err(TrialEnd::Unidentified)],
        (Probe::Nobody { .. }, Subject::Assertion { .. }) => vec![Ok(Whom::Named(NOBODY))],
        (Probe::Nobody { .. }, Subject::Client { .. }) => vec![Ok(Whom::Client)],
        (Probe::Nobody { .. }, Subject::ServicePrincipal { rules, .. }) => {
            let mut ids: Vec<&str> = rules.iter().map(|rule| rule.client_id.as_str()).collect();
            ids.sort_unstable();
            ids.dedup();
            ids.into_iter().map(|id| Ok(Whom::Principal(id))).collect()
        }
    }
}

/// What the answer holds, judged as that of an exchange which is not tried alone.
fn came(answer: &Answer, exchange: &Exchange, scope: &str, now: i64) -> (Option<TokenFacts>, TrialEnd) {
    if answer.status != 200 {
        let declined = answer::declined(&answer.body);
        return (None, TrialEnd::Declined { code: declined.code, description: declined.description });
    }
    let Ok(value) = json::read(&answer.body) else { return (None, TrialEnd::Unusable("its answer is not strict JSON".to_owned())) };
    let end = answer::issued(&value, exchange, scope, now).map_or_else(TrialEnd::Unusable, |_| TrialEnd::Issued);
    (value.as_object().and_then(TokenFacts::of), end)
}

// === impl Sent ===

impl Sent {
    fn of(order: &Order) -> Self {
        let field = |name: &str| form_urlencoded::parse(order.form.as_bytes()).find(|(have, _)| have == name).map(|(_, value)| value);
        let text = |name: &str| field(name).map(|value| shown(&value));
        Self {
            grant_type: text("grant_type").unwrap_or_default(),
            scope: text("scope"),
            client_id: text("client_id"),
            said: field("subject_token").and_then(|token| Said::of(&token)),
        }
    }
}

// === impl Answered ===

impl Answered {
    fn of(answer: &Answer, asked: i64, at: i64) -> Self {
        let html = answer.body.trim_ascii_start().starts_with(b"<");
        Self { status: answer.status, retry_after_s: answer.retry_after_s, date: answer.date_s, asked, at, html }
    }
}

// === impl TokenFacts ===

impl TokenFacts {
    fn of(object: &Object<'_>) -> Option<Self> {
        let text = |name: &str| object.get(name).and_then(Value::as_text);
        let said = Said::of(text("access_token")?);
        Some(Self {
            token_type: text("token_type").map(shown),
            expires_in: whole(object, "expires_in"),
            granted_scope: text("scope").map(shown),
            jwt: said.is_some(),
            said,
        })
    }
}

// === impl Said ===

impl Said {
    /// `None` of what is no JWT by its form.
    fn of(token: &str) -> Option<Self> {
        let mut parts = token.split('.');
        let (head, claims, _, None) = (parts.next()?, parts.next()?, parts.next()?, parts.next()) else { return None };
        let [head, claims] = [URL_SAFE_NO_PAD.decode(head).ok()?, URL_SAFE_NO_PAD.decode(claims).ok()?];
        let [head, claims] = [json::read(&head).ok()?, json::read(&claims).ok()?];
        let (head, claims) = (head.as_object()?, claims.as_object()?);
        let text = |of: &Object<'_>, name: &str| of.get(name).and_then(Value::as_text).map(shown);
        let aud = match claims.get("aud") {
            Some(Value::List(list)) => list.iter().filter_map(Value::as_text).map(shown).collect(),
            one => one.and_then(Value::as_text).map(shown).into_iter().collect(),
        };
        Some(Self {
            alg: text(head, "alg"),
            kid: text(head, "kid"),
            iss: text(claims, "iss"),
            aud,
            sub: text(claims, "sub"),
            scope: text(claims, "scope"),
            iat: whole(claims, "iat"),
            exp: whole(claims, "exp"),
        })
    }
}

fn whole(object: &Object<'_>, name: &str) -> Option<i64> {
    object.get(name).and_then(Value::as_int).and_then(|number| i64::try_from(number).ok())
}
