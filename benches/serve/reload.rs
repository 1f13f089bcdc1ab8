//! What those who ask notice of a server whose policies change each second.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use lakegate_testkit::issuer::Issuer;

use super::{
    Outcome, calls,
    load::Load,
    process,
    servers::{Server, policies_of},
};

const POLICIES: usize = 10_000;
const RATE: f64 = 5_000.0;
/// Sets that follow each other, again and again.
const EDITIONS: usize = 10;

/// A calm spell and one with a change each second; every answer of both must be an allow.
pub(crate) async fn run(spell: Duration) -> Outcome<String> {
    let issuer = Issuer::start("corp").await?;
    let server = Server::lakegate(&issuer, POLICIES).await?;
    let usual: Arc<[Bytes]> = calls::usual(&issuer)?.into();
    let load = Load::connect(&server).await?;
    load.full(&usual, Duration::from_secs(2)).await?;
    let calm = load.paced(&usual, RATE, spell).await?;
    server.tidy()?;
    // Written out before, since the load comes from here too.
    let editions: Vec<Arc<str>> = (1..=EDITIONS).map(|edition| policies_of(POLICIES, edition).into()).collect();
    let (before, cpu) = (server.reloads().await?.unwrap_or_default(), process::cpu(server.id)?);
    let changing = async {
        let end = Instant::now() + spell;
        let mut changes = 0;
        for edition in editions.iter().cycle().take_while(|_| Instant::now() < end) {
            server.rewrite(edition.clone()).await?;
            changes += 1;
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        Outcome::Ok(changes)
    };
    let (busy, changes) = tokio::join!(load.paced(&usual, RATE, spell), changing);
    let (busy, changes) = (busy?, changes?);
    let reloads = server.reloads().await?.unwrap_or_default() - before;
    let spent = process::cpu(server.id)?.saturating_sub(cpu);
    if reloads == 0 {
        return Err("nothing was reloaded".into());
    }
    Ok(format!(
        "{POLICIES} policies, {RATE} checks a second; {changes} changes, {reloads} reloads, {:.1} s of CPU meanwhile\n{}{}p99 {:.2} x\n",
        spent.as_secs_f64(),
        calm.line("calm"),
        busy.line("reloading"),
        busy.within(990) / calm.within(990)
    ))
}
