//! `lakegate doctor credentials`: from the configuration to a token of Databricks, one step after the other.

use std::path::PathBuf;

use super::{
    exchange, published,
    report::{Report, State, Step},
};
use crate::{
    authn::Trail,
    broker::{Probe, Wanted},
    cli::{
        Exit,
        explain::{self, Failed, Offline},
        output::Output,
    },
    config::{Credentials, Minted},
    model::{Caller, Target},
    net::{self, Client},
    pipeline::Snapshot,
    reload::Compiled,
    signer::SigningKey,
    text::{nearest, quoted},
};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The configuration file
    #[arg(long)]
    config: PathBuf,
    /// Of which target; may be repeated. All whose credentials are had from Databricks unless given
    #[arg(long, value_name = "NAME")]
    target: Vec<String>,
    /// The file that holds the token of a caller
    #[arg(long, value_name = "FILE", conflicts_with = "claims")]
    token_file: Option<PathBuf>,
    /// A JSON file with the claims of a token that nobody has; believed without a signature
    #[arg(long, value_name = "FILE")]
    claims: Option<PathBuf>,
    /// The SPIFFE ID of the calling workload
    #[arg(long, value_name = "SPIFFE_ID")]
    peer: Option<String>,
    /// What to ask for where `credentials.scope` is `narrowest`: the scope of a call, as `explain --catalog` shows it. That of all unless given
    #[arg(long, value_name = "SCOPE")]
    scope: Option<String>,
}

pub(super) fn run(args: &Args, output: &mut Output) -> Exit {
    match examine(args) {
        Ok(report) => {
            output.result(&report, || report.text());
            report.exit()
        }
        Err(failed) => failed.tell(output),
    }
}

fn examine(args: &Args) -> Result<Report, Failed> {
    let compiled = explain::compiled(&args.config)?;
    let targets = targets(args, &compiled)?;
    let client = Client::new(&net::Config::default()).map_err(|error| Failed::Error(Exit::Failure, error.to_string()))?;
    let mut steps = known(args, &compiled, targets.len());
    let (caller, step) = caller(args, &compiled.snapshot)?;
    let token = args.token_file.as_deref().map(explain::read_token).transpose()?;
    steps.extend(step);
    let probe = match &caller {
        Some(caller) => {
            let wanted = Wanted::new(caller, token.as_deref(), args.scope.as_deref());
            Probe::Caller(wanted.known_as(compiled.snapshot.authorizer.known_as(caller)))
        }
        None => Probe::Nobody { scope: args.scope.as_deref() },
    };
    let mut more = Vec::new();
    explain::runtime()?.block_on(async {
        let mut published = match compiled.snapshot.responder.issuer() {
            // Where nothing that is signed is exchanged, nobody fetches the keys.
            Some(issuer) if targets.iter().any(|(_, minted)| minted.audience().is_some()) => {
                let keys = issuer.keys().iter().filter_map(SigningKey::jwk).collect();
                // Without a caller nothing shows whether the keys were uploaded, which they may have been.
                let unreached = if caller.is_some() { State::NotWell } else { State::NotKnown };
                let known = published::Known { issuer: issuer.name(), keys, unreached };
                published::examine(&client, &known).await
            }
            _ => Vec::new(),
        };
        for (target, minted) in &targets {
            let (of_target, proved) = exchange::examine(&client, &compiled.snapshot.broker, target, minted, &probe).await;
            more.extend(of_target);
            if proved {
                published.iter_mut().for_each(had_otherwise);
            }
        }
        steps.append(&mut published);
    });
    steps.append(&mut more);
    Ok(Report::new(steps))
}

/// That Databricks has taken what it could not have verified with what is published.
fn had_otherwise(step: &mut Step) {
    if step.state == State::NotWell && step.name != published::LEAK {
        step.state = State::NotKnown;
        step.says.push_str("; an exchange was good all the same, so Databricks has the keys in another way, or from another place than this");
    }
}

/// The targets that are asked for and have their credentials from Databricks, in the order of the configuration.
fn targets<'c>(args: &Args, compiled: &'c Compiled) -> Result<Vec<(&'c Target, &'c Minted)>, Failed> {
    let invalid = |message: String| Err(Failed::Error(Exit::Invalid, message));
    let mut found = Vec::new();
    for name in &args.target {
        let mut entries = compiled.config.targets.iter().filter(|entry| entry.target.name.as_str() == name).peekable();
        if entries.peek().is_none() {
            let known = compiled.config.targets.iter().map(|entry| entry.target.name.as_str());
            let meant = nearest(name, known).map(|name| format!("; did you mean `{name}`?")).unwrap_or_default();
            return invalid(format!("--target: {} is none of the configuration{meant}", quoted(name)));
        }
        if entries.all(|entry| !matches!(entry.credentials, Credentials::Minted(_))) {
            return invalid(format!(
                "--target: {} has no credential of Databricks: its `credentials.mode` is `passthrough` or `strip`",
                quoted(name)
            ));
        }
    }
    for entry in &compiled.config.targets {
        let asked = args.target.is_empty() || args.target.iter().any(|name| entry.target.name.as_str() == name);
        if let Credentials::Minted(minted) = &entry.credentials
            && asked
        {
            found.push((&*entry.target, minted));
        }
    }
    Ok(found)
}

/// What is known to be well by then: a configuration with a fault does not come so far.
fn known(args: &Args, compiled: &Compiled, targets: usize) -> Vec<Step> {
    let file = args.config.display();
    let says = match targets {
        0 => format!("{file} is good; no target has its credentials from Databricks, so that there is nothing to try"),
        1 => format!("{file} is good; one target to try"),
        more => format!("{file} is good; {more} targets to try"),
    };
    let mut steps = vec![Step::new("configuration", State::Well, says)];
    if let Some(issuer) = compiled.snapshot.responder.issuer() {
        let mut keys = issuer.keys().iter().map(|key| format!("{} ({})", key.id(), key.algorithm().as_str()));
        let signs = keys.next().unwrap_or_default();
        let others: Vec<String> = keys.collect();
        let others = if others.is_empty() { String::new() } else { format!("; known too: {}", others.join(", ")) };
        steps.push(Step::new("keys", State::Well, format!("{signs} signs as `{}`{others}", issuer.name())));
    }
    steps
}

/// As whom exchanges are tried, where that was said, and what came of it.
fn caller(args: &Args, snapshot: &Snapshot) -> Result<(Option<Caller>, Option<Step>), Failed> {
    let asker = Offline { peer: args.peer.as_deref(), token_file: args.token_file.as_deref(), claims: args.claims.as_deref() };
    if asker.peer.is_none() && asker.token_file.is_none() && asker.claims.is_none() {
        return Ok((None, None));
    }
    let mut trail = Trail::default();
    Ok(match explain::caller(snapshot, asker, &mut trail)? {
        Ok(caller) => {
            let name = caller.principal().map_or_else(|| "nobody".to_owned(), |principal| principal.entity().to_string());
            (Some(caller), Some(Step::new("caller", State::Well, name)))
        }
        Err(refusal) => {
            let step = Step::new("caller", State::NotWell, format!("{}: {}", refusal.reason.code(), refusal.whole()));
            (None, Some(step.mend("bring what lakegate takes: `lakegate token` says more; what follows is tried without a caller")))
        }
    })
}
