//! What callers notice of strangers who try tokens that are nobody's: a hundred thousand a minute, each another one.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use lakegate_testkit::issuer::Issuer;

use super::{
    Outcome, calls,
    load::{Expected, Load},
    process,
    servers::Server,
};

const POLICIES: usize = 1_000;
/// Checks of good callers a second.
const RATE: f64 = 1_000.0;
/// Checks of strangers a second: 110,000 a minute, of which 11,000 name a key that the issuer does not have.
const STRANGERS: u32 = 1_834;
/// Seconds between two fetches that tokens with unknown keys can cause (`authn::IssuerConfig::min_refetch_s`).
const INTERVAL: usize = 5;
/// What caches of bounded size, and the allocator, may take for tokens that are nobody's.
const ROOM_MIB: f64 = 64.0;

/// A calm spell and one with strangers; good callers must be allowed in both, and strangers refused.
pub(crate) async fn run(spell: Duration) -> Outcome<String> {
    let issuer = Issuer::start("corp").await?;
    let server = Server::lakegate(&issuer, POLICIES).await?;
    let usual: Arc<[Bytes]> = calls::usual(&issuer)?.into();
    let count = usize::try_from(spell.as_secs())?.saturating_mul(usize::try_from(STRANGERS)?).saturating_add(1);
    let strange: Arc<[Bytes]> = calls::strangers(&issuer, count)?.into();
    let load = Load::connect(&server).await?;
    let others = Load::expecting(&server, Expected::Refusal).await?;
    load.full(&usual, Duration::from_secs(2)).await?;
    let calm = load.paced(&usual, RATE, spell).await?;
    let (memory, cpu, fetches) = (process::resident_mib(server.id)?, process::cpu(server.id)?, issuer.fetches());
    let (busy, strangers) = tokio::join!(load.paced(&usual, RATE, spell), others.paced(&strange, f64::from(STRANGERS), spell));
    let (busy, strangers) = (busy?, strangers?);
    let spent = process::cpu(server.id)?.saturating_sub(cpu);
    let (fetches, grown) = (issuer.fetches() - fetches, process::resident_mib(server.id)? - memory);
    let most = usize::try_from(spell.as_secs())? / INTERVAL + 2;
    if fetches > most {
        return Err(format!("strangers caused {fetches} fetches of keys in {} s; {most} may be", spell.as_secs()).into());
    }
    if grown > ROOM_MIB {
        return Err(format!("memory grew by {grown:.0} MiB; {ROOM_MIB} MiB may be").into());
    }
    Ok(format!(
        "{POLICIES} policies, {RATE} checks a second; then with {} strangers, each with a token of its own, a tenth of them with keys that nobody knows\n{}{}{}\
         p99 {:.2} x; {fetches} fetches of keys in {} s, {:.1} s of CPU, resident {memory:.0} MiB before and {:.0} MiB after\n",
        strangers.count(),
        calm.line("calm"),
        busy.line("disturbed"),
        strangers.line("strangers"),
        busy.within(990) / calm.within(990),
        spell.as_secs(),
        spent.as_secs_f64(),
        memory + grown,
    ))
}
