//! The steps of one target: its token endpoint, the clocks, and the exchange itself.

use zeroize::Zeroizing;

use super::{
    mend::{self, Refused},
    report::{State, Step},
};
use crate::{
    broker::{Answered, Broker, NOBODY, Probe, Trial, TrialEnd},
    clock::Clock,
    config::{Minted, MintedFor},
    model::Target,
    net::{Client, Endpoint, NetError},
};

/// How far clocks may be apart, in seconds, before what one dates cannot be relied on by the other.
const APART: i64 = 30;

/// How the endpoint answered, whatever it said.
struct Reached {
    answered: Result<Answer, NetError>,
    asked: i64,
    at: i64,
}

struct Answer {
    status: u16,
    date: Option<i64>,
}

// === impl Reached ===

impl Reached {
    fn of(answered: &Answered) -> Self {
        let Answered { status, date, asked, at, .. } = *answered;
        Self { answered: Ok(Answer { status, date }), asked, at }
    }
}

/// Everything about one target, and whether an exchange by lakegate's word was good.
pub(super) async fn examine(client: &Client, broker: &Broker, target: &Target, minted: &Minted, probe: &Probe<'_>) -> (Vec<Step>, bool) {
    let mut trials = broker.try_exchange(target, probe).await;
    let reached = match trials.iter().find_map(|trial| trial.answered.as_ref()) {
        Some(answered) => Reached::of(answered),
        None => match trials.iter().position(|trial| matches!(trial.end, TrialEnd::NoAnswer(_))).map(|at| trials.swap_remove(at).end) {
            Some(TrialEnd::NoAnswer(error)) => Reached { answered: Err(error), asked: 0, at: 0 },
            // Nothing could be sent: the endpoint can still be asked whether it is there.
            _ => knock(client, minted).await,
        },
    };
    let (endpoint, clock) = (there(&minted.token_endpoint, &reached), clocks(&reached));
    let silent = reached.answered.is_err();
    let asserted = matches!(minted.grant, MintedFor::Assertion { .. } | MintedFor::ServicePrincipal { .. });
    let proved = asserted && trials.iter().any(|trial| matches!(trial.end, TrialEnd::Issued));
    let made_up = matches!(probe, Probe::Nobody { .. });
    let exchanges = trials.into_iter().filter(|trial| !(silent && matches!(trial.end, TrialEnd::NoAnswer(_))));
    let mut steps = vec![endpoint];
    steps.extend(clock);
    steps.extend(exchanges.map(|trial| exchanged(trial, minted, made_up)));
    if !steps.iter().any(|step| step.name == "exchange") {
        steps.push(Step::new("exchange", State::NotKnown, "it cannot be tried while the endpoint does not answer"));
    }
    (steps.into_iter().map(|step| step.of(target.name.as_str())).collect(), proved)
}

/// Asks for nothing that could be given.
async fn knock(client: &Client, minted: &Minted) -> Reached {
    let clock = Clock::default();
    let asked = clock.now();
    let answered = match Endpoint::parse(&minted.token_endpoint) {
        Ok(endpoint) => client.exchange_form(&endpoint, None, Zeroizing::new(String::new())).await,
        Err(error) => Err(NetError::Setup(error.to_string())),
    };
    Reached { answered: answered.map(|answer| Answer { status: answer.status, date: answer.date_s }), asked, at: clock.now() }
}

fn there(endpoint: &str, reached: &Reached) -> Step {
    match &reached.answered {
        Ok(Answer { status, .. }) => Step::new("endpoint", State::Well, format!("{endpoint} answers, with status {status}")),
        Err(error) => Step::new("endpoint", State::NotWell, format!("{endpoint}: {error}")).mend(mend::unanswered(error)),
    }
}

/// Whether the endpoint has the time that lakegate has; `None` where it does not answer.
fn clocks(reached: &Reached) -> Option<Step> {
    let Answer { date, .. } = reached.answered.as_ref().ok()?;
    let Some(date) = date else { return Some(Step::new("clock", State::NotKnown, "the endpoint does not say what time it has")) };
    let ahead = date.saturating_sub(reached.at).max(0);
    let behind = reached.asked.saturating_sub(*date).max(0);
    let apart = ahead.max(behind);
    if apart <= APART {
        return Some(Step::new("clock", State::Well, format!("the clocks are at most {} s apart", apart.saturating_add(1))));
    }
    let which = if ahead > 0 { "behind" } else { "ahead of" };
    let says = format!("the clock here is {apart} s {which} that of the endpoint, so that `iat` and `exp` of what is signed are refused");
    Some(
        Step::new("clock", State::NotWell, says)
            .mend("set the clock of this machine by NTP; where it is right, that of a proxy which answers in the endpoint's place is wrong"),
    )
}

fn exchanged(trial: Trial, minted: &Minted, made_up: bool) -> Step {
    let Trial { sent, answered, token, end, .. } = trial;
    let for_nobody = made_up && matches!(minted.grant, MintedFor::Assertion { .. });
    let step = match (&end, &answered) {
        (TrialEnd::Issued, _) if for_nobody => {
            let says = format!("a token is given, though to `{NOBODY}`, a subject made up for this");
            Step::new("exchange", State::NotKnown, says)
                .mend(format!("look whether somebody is called `{NOBODY}`, or whether the endpoint believes everybody; {TRY}"))
        }
        (TrialEnd::Issued, _) => Step::new("exchange", State::Well, "a token that can be used is given"),
        (TrialEnd::Unidentified(refusal), _) => Step::new("exchange", State::NotWell, format!("{}: {}", refusal.reason.code(), refusal.whole()))
            .mend("look at `identity`, `issuers` and `principals` of the target's `credentials`; `lakegate token` says what is known of a token"),
        (TrialEnd::Unsent(why), _) => Step::new("exchange", State::NotKnown, *why).mend("bring a token: `--token-file`"),
        (TrialEnd::Declined { code, description }, Some(answered)) => {
            let scope = sent.as_ref().and_then(|sent| sent.scope.as_deref()).unwrap_or_default();
            let refused = Refused { answered, code: code.as_deref(), description: description.as_deref(), scope };
            self::refused(&refused, minted, for_nobody && mend::is_of_the_subject(&end))
        }
        (TrialEnd::Unusable(reason), Some(answered)) => {
            let (says, mend) = mend::unusable(answered, reason, minted);
            Step::new("exchange", State::NotWell, says).mend(mend)
        }
        (TrialEnd::NoAnswer(error), _) => Step::new("exchange", State::NotWell, error.to_string()).mend(mend::unanswered(error)),
        (TrialEnd::Declined { .. } | TrialEnd::Unusable(_), None) => Step::new("exchange", State::NotKnown, "there is no answer"),
    };
    let error = match end {
        TrialEnd::Declined { code, .. } => code,
        _ => None,
    };
    Step { error, sent, answered, token, ..step }
}

/// How to go on from a limited check.
const TRY: &str = "try a real caller: `--token-file FILE`, or `--claims FILE`";

/// `expected` says that nobody who is nobody could have had another answer.
fn refused(refused: &Refused<'_>, minted: &Minted, expected: bool) -> Step {
    let (means, mend) = mend::declined(refused, minted);
    let code = refused.code.map_or_else(|| format!("status {}", refused.answered.status), |code| format!("`{code}`"));
    let words = refused.description.map(|text| format!(", in its words: {text}")).unwrap_or_default();
    if !expected {
        return Step::new("exchange", State::NotWell, format!("{code}: {means}{words}")).mend(mend);
    }
    let says = format!(
        "{code}{words}. It refuses `{NOBODY}`, a subject made up for this, as it must; whether issuer and audience are trusted shows as far as its words say"
    );
    Step::new("exchange", State::NotKnown, says).mend(format!("{TRY}; {mend}"))
}
