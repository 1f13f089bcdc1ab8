//! Who calls: the workload the mesh vouches for, and the subject of a token that an issuer signed.
//!
//! A [`Call`] becomes a [`Caller`]. No claim is believed before its signature: the issuer is chosen by the exact `iss`, then only that issuer's keys are
//! tried, with the algorithm that key and configuration allow. Keys come from the issuer, one fetch at a time, and stay for a stated time when it fails;
//! there is no other key. A token that is there but bad is refused, never ignored in favor of the workload.

mod admit;
mod attributes;
mod binding;
mod cache;
mod claim_path;
mod claims;
mod config;
mod confirm;
mod credential;
mod delegation;
mod digest;
mod facts;
mod fetch;
mod flight;
mod foreign;
mod introspect;
mod issuer;
mod jws;
mod keyring;
mod keys;
mod logout;
mod metrics;
mod peer;
mod personal;
mod proof;
mod provider;
mod revoke;
mod revoked;
mod shelf;
mod standing;
mod told;
mod trail;

#[cfg(test)]
mod tests;

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
    sync::Arc,
};

pub use admit::Examined;
pub use attributes::all as claims;
pub use binding::{Binding, PeerTemplate, PeerTemplateError};
pub use claim_path::{ClaimPath, ClaimPathError};
pub use config::{Algorithm, Attribute, Config, IssuerConfig, KeySource, KindRule, Overage, Possession, Purpose, Requirement, SessionLimits};
pub use credential::bare;
pub use digest::of_facts;
pub use introspect::{AssertionAudience, ClientAuth, IntrospectWhen, IntrospectionConfig, IntrospectionStatus};
pub use logout::{Logout, LogoutError, LogoutKeys};
pub use peer::{Belief, PeerConfig, PeerSource, ProxyConfig};
use prometheus_client::registry::Registry;
pub use provider::{Misfit, Provider};
pub use revoke::{RevocationNote, RevocationPage};
pub use revoked::{By, Order, Revocation, RevocationStatus, RevokeError};
pub use trail::{Trail, Whose};

use self::{
    admit::{Known, Presented},
    cache::{Cache, Verified},
    claims::Claims,
    credential::Credential,
    facts::{Facts, Form},
    fetch::Origin,
    introspect::{About, Credentials, Introspector, Question},
    issuer::Issuer,
    jws::Jws,
    keyring::Keyring,
    keys::KeySet,
    metrics::{Metrics, TokenResult},
    proof::Proofs,
    revoked::Revocations,
    standing::Sessions,
};
use crate::{
    clock::Clock,
    model::{Call, Caller, Fault, Reason, Refusal, SpiffeId, Token},
    net::Client,
    text::shown,
};

/// The stage: what is configured, and what is known of issuers and their tokens.
#[derive(Debug)]
pub struct Authenticator {
    peers: PeerConfig,
    personal_hosts: HashSet<String>,
    token_limit: usize,
    issuers: Vec<Arc<Issuer>>,
    cache: Cache,
    proofs: Arc<Proofs>,
    clock: Clock,
    metrics: Metrics,
    /// One for the life of the process, like the sessions.
    revocations: Arc<Revocations>,
    sessions: Sessions,
}

/// How one issuer is doing. Times are in seconds since the epoch.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct IssuerStatus {
    pub name: String,
    pub issuer: String,
    /// The ids of the keys that verify its tokens.
    pub keys: Vec<String>,
    /// When they were last fetched; `None` while they never were.
    pub fetched_at: Option<i64>,
    pub failing_since: Option<i64>,
    /// Why the last fetch failed; `None` once one succeeds.
    pub last_error: Option<String>,
    /// `None` where it is asked about no token.
    pub introspection: Option<IntrospectionStatus>,
    /// Whether its tokens live on keys that cannot be renewed, or on none; or it cannot be asked about them, or gives no answer that is of use.
    pub degraded: bool,
}

// === impl Authenticator ===

impl Authenticator {
    /// Makes the stage. Issuers that are configured as in `previous` keep their verified tokens, and their keys as long as issuer and source of keys
    /// are the same.
    ///
    /// Nothing is fetched yet; see [`refresh`](Self::refresh).
    ///
    /// # Errors
    /// Every [`Fault`] at once: a key file that cannot be read, an issuer that cannot be asked or has no audience, two issuers that are one.
    #[expect(clippy::needless_pass_by_value, reason = "every issuer takes a part of the client")]
    pub fn new(config: Config, client: Client, clock: Clock, previous: Option<&Self>) -> Result<Self, Vec<Fault>> {
        let metrics = previous.map_or_else(Metrics::new, |previous| previous.metrics.clone());
        let mut faults = Vec::new();
        let mut issuers: Vec<Arc<Issuer>> = Vec::with_capacity(config.issuers.len());
        for mut issuer in config.issuers {
            // A name is of letters, digits and `-`.
            issuer.keys_file = config.state_dir.as_ref().map(|folder| folder.join(format!("keys-{}.json", issuer.name)));
            if let Err(message) = issuer.check(issuers.iter().map(|other| &other.config)) {
                faults.push(fault(PathBuf::new(), message));
            }
            let origin = Origin::new(&issuer.keys, &issuer.issuer, read_keys);
            let origin = origin.map_err(|message| faults.push(fault(file_of(&issuer).unwrap_or_default(), message)));
            let asks = issuer.introspection.as_ref();
            let credentials = asks.map(|asks| Credentials::read(&asks.auth, &asks.client_id)).transpose();
            let credentials = credentials.map_err(|(file, message)| faults.push(fault(file, message)));
            let (Ok(origin), Ok(credentials)) = (origin, credentials) else { continue };
            issuers.push(previous.and_then(|previous| previous.same(&issuer, &origin, credentials.as_ref())).unwrap_or_else(|| {
                let kept = previous.and_then(|previous| previous.keyring(&issuer.issuer, &origin));
                let keyring = kept.unwrap_or_else(|| {
                    let keyring = Keyring::new(&issuer.issuer, origin, &clock);
                    Arc::new(keyring.remembering(issuer.keys_file.as_deref(), &clock, issuer.max_stale_s.saturating_mul(1000)))
                });
                let (name, client, clock) = (issuer.name.as_str(), client.clone(), clock.clone());
                let introspection = issuer.introspection.clone().zip(credentials).map(|(asks, credentials)| {
                    Arc::new(Introspector::new(asks, credentials, client.clone(), clock.clone(), metrics.introspections_of(name)))
                });
                let counters = metrics.fetches_of(name);
                if issuer.logout_audience.is_some() {
                    metrics.expect_logouts(name);
                }
                Arc::new(Issuer::new(issuer, keyring, client, clock, counters).asked_with(introspection))
            }));
        }
        if let Some(message) = of_nobody(&issuers) {
            faults.push(fault(PathBuf::new(), message));
        }
        let revocations = match previous {
            Some(previous) => Ok(Arc::clone(&previous.revocations)),
            None => Revocations::read(config.state_dir.as_deref(), clock.now()).map(Arc::new),
        };
        let revocations = match revocations {
            Ok(revocations) if faults.is_empty() => revocations,
            Ok(_) => return Err(faults),
            Err(message) => {
                faults.push(fault(config.state_dir.unwrap_or_default(), message));
                return Err(faults);
            }
        };
        let sessions = previous.map_or_else(Sessions::new, |previous| previous.sessions.clone());
        let kept = previous.map(|previous| previous.cache.clone()).filter(|cache| cache.bytes() == config.cache_bytes);
        let cache = kept.unwrap_or_else(|| Cache::new(config.cache_bytes, clock.clone()));
        let proofs = previous.map(|previous| Arc::clone(&previous.proofs)).unwrap_or_default();
        let (peers, personal_hosts, token_limit) = (config.peers, config.personal_hosts, config.token_limit);
        Ok(Self { peers, personal_hosts, token_limit, issuers, cache, proofs, clock, metrics, revocations, sessions })
    }

    fn same(&self, config: &IssuerConfig, origin: &Origin, credentials: Option<&Credentials>) -> Option<Arc<Issuer>> {
        self.issuers.iter().find(|issuer| issuer.is(config, origin, credentials)).cloned()
    }

    fn keyring(&self, issuer: &str, origin: &Origin) -> Option<Arc<Keyring>> {
        self.issuers.iter().map(|known| &known.keyring).find(|keyring| keyring.is(issuer, origin)).cloned()
    }

    /// Enters the metrics. Once for the life of the process: a stage made from a previous one counts on in the same.
    pub fn register(&self, registry: &mut Registry) {
        self.metrics.register(registry);
        self.register_revocations(registry);
    }

    /// Starts to fetch every key set that is absent or old: at the start, so that the first calls need not wait, and from time to time, so that the
    /// keys of an idle issuer stay fresh. From the first time on, key sets are kept in the state folder. Must be called inside a Tokio runtime.
    pub fn refresh(&self) {
        for issuer in &self.issuers {
            issuer.refresh();
        }
        self.metrics.show(&self.status());
    }

    /// The workload that calls; `None` only where none is required.
    ///
    /// # Errors
    /// `PeerMissing`, or `PeerInvalid` for what is not a SPIFFE ID of a configured trust domain, or that of a proxy.
    pub fn peer(&self, call: &Call<'_>) -> Result<Option<SpiffeId>, Refusal> {
        peer::read(call, &self.peers)
    }

    /// The workload called `name`, as if it were known that it calls; `None` where it is empty and none is required.
    ///
    /// # Errors
    /// As for [`peer`](Self::peer).
    pub fn peer_told(&self, name: &[u8]) -> Result<Option<SpiffeId>, Refusal> {
        peer::told(name, &self.peers)
    }

    /// The workload as its certificate names it, where it counts as one of another trust domain.
    #[must_use]
    pub fn presented_peer(&self, call: &Call<'_>) -> Option<SpiffeId> {
        if self.peers.aliases.is_empty() {
            return None;
        }
        let id = peer::presented(call, &self.peers).ok()??;
        (self.peers.counted(id.trust_domain()) != id.trust_domain()).then_some(id)
    }

    /// Who calls. Waits only where the issuer's keys have to be fetched, or it has to be asked about the token.
    ///
    /// # Errors
    /// A [`Refusal`] where the workload or the token is not good, where there is neither, or (`KeysUnavailable`, `IntrospectionUnavailable`) where that cannot be known.
    pub async fn authenticate(&self, call: &Call<'_>) -> Result<Caller, Refusal> {
        let peer = self.peer(call)?;
        self.identify(call, peer, &mut Trail::default()).await
    }

    /// Who calls, where [`peer`](Self::peer) has already said which workload: the part of [`authenticate`](Self::authenticate) that reads the token.
    /// What is known of the token is on the `trail`, if it is refused too.
    ///
    /// # Errors
    /// As for [`authenticate`](Self::authenticate), but for the workload.
    pub async fn identify(&self, call: &Call<'_>, peer: Option<SpiffeId>, trail: &mut Trail) -> Result<Caller, Refusal> {
        let token = match call.headers.authorization {
            None => None,
            Some(value) if self.lets_pass(value, call, peer.as_ref(), trail)? => None,
            Some(value) => Some(self.counted(credential::read(value)?, call, peer.as_ref(), trail).await?),
        };
        told::somebody(Caller { peer, token })
    }

    /// The facts of the token, once it is verified and may be presented so.
    async fn counted(&self, credential: Credential<'_>, call: &Call<'_>, peer: Option<&SpiffeId>, trail: &mut Trail) -> Result<Arc<Token>, Refusal> {
        let admitted = async {
            let known = self.known(credential.token, peer, trail).await?;
            trail.saw(&known.verified);
            let held = &known.verified.held;
            held.by(&Presented { call: Some(call), peer, peers: &self.peers })?;
            // After what costs the caller nothing, since it uses the proof up; before the session, which no thief is to keep alive.
            self.proofs.check(&known, credential.scheme, call, self.clock.now_ms())?;
            let now = self.clock.now();
            if let Err(refusal) = self.stands(&held.standing, now) {
                trail.revoked_by(self.revocation_of(&held.standing, &refusal, now));
                return Err(refusal);
            }
            Ok(known)
        };
        let admitted = admitted.await;
        self.metrics.count_token(match &admitted {
            Ok(known) if known.cached => TokenResult::Cached,
            Ok(_) => TokenResult::Verified,
            Err(_) => TokenResult::Refused,
        });
        admitted.map(|known| Arc::clone(&known.verified.token))
    }

    /// What is known of the token, now if not before. One that is refused is on the `trail` as far as it was verified; one that is good is for the caller to
    /// put there.
    async fn known(&self, token: &str, peer: Option<&SpiffeId>, trail: &mut Trail) -> Result<Known, Refusal> {
        // Before it is hashed, so that a long one costs nothing.
        if token.len() > self.token_limit {
            return Err(Refusal::new(Reason::TokenTooLarge, format!("the token is longer than {} bytes", self.token_limit)));
        }
        let digest = digest::of(token.as_bytes());
        trail.begin(&digest);
        let remembered = self.recall(&digest, trail).await?;
        let (verified, cached) = match remembered {
            Some(known) if known.issuer.still_says(known.asked_ms, known.key.is_some()) => (known, true),
            known => {
                let question = Question { token, digest, peer, cache: &self.cache, known: known.is_some() };
                (self.verified(question, known, trail).await?, false)
            }
        };
        Ok(Known { verified, digest, cached })
    }

    /// The facts of a token that has to be verified or asked about, once that is done; it may have been `known` before.
    async fn verified(&self, question: Question<'_>, known: Option<Arc<Verified>>, trail: &mut Trail) -> Result<Arc<Verified>, Refusal> {
        if let Some(known) = known {
            trail.saw(&known);
            let issuer = Arc::clone(&known.issuer);
            let about = if known.key.is_some() { About::Signed(known) } else { About::Opaque };
            return issuer.ask(question, about).await;
        }
        match self.issuers.iter().find(|issuer| issuer.config.introspection.as_ref().is_some_and(|asks| asks.when.opaque())) {
            Some(issuer) if credential::is_opaque(question.token)? => issuer.ask(question, About::Opaque).await,
            _ => self.signed(question, trail).await,
        }
    }

    /// The facts of a token that is signed, once it is verified.
    async fn signed(&self, question: Question<'_>, trail: &mut Trail) -> Result<Arc<Verified>, Refusal> {
        let jws = Jws::read(question.token, self.token_limit)?;
        let claims = Claims::read(&jws.claims)?;
        let issuer = self.issuer(&claims)?;
        if !issuer.config.token_types.contains(&jws.header.kind) {
            let detail = format!("the token's type `{}` is not that of an access token", shown(&jws.header.kind));
            return Err(Refusal::new(Reason::TokenWrongType, detail));
        }
        let key = Some(issuer.verify(&jws).await?);
        let facts = Facts::read(&claims, &issuer.config, self.clock.now(), Form::Signed).inspect_err(|_| trail.read(&claims, &issuer.config))?;
        let verified = Arc::new(Verified::new(issuer, key, facts, None));
        if !issuer.still_says(None, true) {
            trail.saw(&verified);
            return issuer.ask(question, About::Signed(verified)).await;
        }
        self.cache.insert(question.digest, Arc::clone(&verified));
        Ok(verified)
    }

    /// What is known of a token that was verified before, where it still counts.
    async fn recall(&self, digest: &[u8; 32], trail: &mut Trail) -> Result<Option<Arc<Verified>>, Refusal> {
        let Some(known) = self.cache.get(digest) else { return Ok(None) };
        if !self.issuers.iter().any(|issuer| Arc::ptr_eq(issuer, &known.issuer)) {
            return Ok(None);
        }
        known.window.check(self.clock.now()).inspect_err(|_| trail.saw(&known))?;
        match known.key {
            Some(key) if !known.issuer.keys().await.inspect_err(|_| trail.saw(&known))?.keys.holds(key) => {}
            _ => return Ok(Some(known)),
        }
        self.cache.remove(digest);
        Ok(None)
    }

    /// The issuer whose identifier is exactly the `iss` of `claims`.
    fn issuer(&self, claims: &Claims<'_>) -> Result<&Arc<Issuer>, Refusal> {
        let claimed = claims.get("iss").ok_or_else(|| claims::bad("the token has no `iss`"))?;
        let claimed = claimed.as_text().ok_or_else(|| claims::bad(format!("the claim `iss` is {}, not a string", claimed.kind())))?;
        let found = self.issuers.iter().find(|issuer| issuer.config.issuer == claimed);
        found.ok_or_else(|| foreign::refused(claimed, self.issuers.iter().map(|issuer| &issuer.config)))
    }

    /// How each issuer is doing, in the order of the configuration.
    #[must_use]
    pub fn status(&self) -> Vec<IssuerStatus> {
        self.issuers.iter().map(|issuer| issuer.status()).collect()
    }

    /// The key files, to be watched: a changed one needs a new stage.
    #[must_use]
    pub fn files(&self) -> Vec<PathBuf> {
        self.issuers.iter().filter_map(|issuer| file_of(&issuer.config)).collect()
    }
}

/// What is wrong where more than one issuer would have to be asked about a token that says nothing of its issuer: whoever is asked learns it.
fn of_nobody(issuers: &[Arc<Issuer>]) -> Option<String> {
    let opaque = |issuer: &&Arc<Issuer>| issuer.config.introspection.as_ref().is_some_and(|asks| asks.when.opaque());
    let mut asked = issuers.iter().filter(opaque).map(|issuer| &issuer.config.name);
    let (first, second) = (asked.next()?, asked.next()?);
    Some(format!(
        "the issuers `{first}` and `{second}` are both to be asked about opaque tokens; only one can be, so write `when: signed` for the other"
    ))
}

fn read_keys(path: &Path) -> Result<KeySet, String> {
    let text = std::fs::read(path).map_err(|error| format!("the key file cannot be read: {error}"))?;
    KeySet::read(&text).map_err(|error| error.to_string())
}

fn file_of(issuer: &IssuerConfig) -> Option<PathBuf> {
    if let KeySource::File(path) = &issuer.keys { Some(path.clone()) } else { None }
}

fn fault(file: PathBuf, message: String) -> Fault {
    Fault { file, line: None, column: None, message, help: None }
}
