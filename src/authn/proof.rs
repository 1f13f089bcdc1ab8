//! Proof of possession by a key (DPoP, RFC 9449): beside the token, each request brings a JWT signed for it alone by the key that the token is bound to.
//!
//! Nonces of the server (section 8) are not asked for. A proof is taken once: what has been used is remembered for as long as it could be used again, and
//! where there is no room to remember, nothing is taken.

use std::{
    collections::{HashMap, HashSet},
    sync::{LazyLock, Mutex, PoisonError},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use percent_encoding::percent_decode_str;

use super::{
    Algorithm,
    admit::Known,
    claims::Claims,
    credential::Scheme,
    digest,
    jws::Jws,
    keys::{self, Key},
};
use crate::{
    clock::apart,
    json::{Object, Value},
    model::{Call, Host, Reason, Refusal},
};

/// The proofs that have been used. One for all snapshots: a reload must not let any be used again.
#[derive(Debug, Default)]
pub(super) struct Proofs(Mutex<Used>);

/// Two spans of time, each as long as a proof can be good after it was first seen: what is in neither cannot come again.
#[derive(Debug, Default)]
struct Used {
    current: Span,
    previous: Span,
    /// When the current one began, in milliseconds since the epoch.
    began: i64,
}

/// The proofs that were used in one span, and how many of them each subject used.
#[derive(Clone, Debug, Default)]
struct Span {
    proofs: HashSet<Proof>,
    subjects: HashMap<Subject, u32>,
}

/// A proof by the key that made it and its `jti`: the first half of a SHA-256 over both.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Proof(u128);

/// Whose token a proof came with: the first quarter of a SHA-256 over issuer and subject. Who finds another with the same shares its room, and no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Subject(u64);

/// How old a proof may be, and how far ahead of our clock, in seconds.
const PAST: i64 = 60;
const AHEAD: i64 = 10;
/// The length of a span, in milliseconds: more than both together.
const SPAN: i64 = 75_000;
/// Proofs in one span. A table of the standard library is seven eighths full at most, so that these just fill 2^18 places of 17 bytes each; where each is of
/// another subject, as much again is taken by their counts: 9 MiB a span, and half of that once more while a table grows.
const MOST: usize = 7 << 15;
/// How many of them one subject may use, whatever keys its tokens are bound to: keys cost nothing, and nobody alone is to use up the room of all.
const MOST_OF_A_SUBJECT: u32 = 2 << 15;
const LONGEST: usize = 8 * 1024;

/// The schemes that would do, by RFC 9449, sections 7.1 and 7.2, with every algorithm that a proof may be signed by; and the same where a proof was bad.
static CHALLENGE: LazyLock<String> = LazyLock::new(|| format!("Bearer, DPoP {}", algorithms()));
static INVALID: LazyLock<String> = LazyLock::new(|| format!("Bearer, DPoP error=\"invalid_dpop_proof\", {}", algorithms()));

fn algorithms() -> String {
    format!("algs=\"{}\"", Algorithm::ALL.map(Algorithm::name).join(" "))
}

// === impl Proofs ===

impl Proofs {
    /// Whether `call` proves that whoever makes it has the key that the token `known`, sent by `scheme`, is bound to; at the time `now_ms`.
    ///
    /// # Errors
    /// `ProofMissing` or `ProofInvalid`; `Overloaded` where it cannot be remembered that the proof was used.
    pub(super) fn check(&self, known: &Known, scheme: Scheme, call: &Call<'_>, now_ms: i64) -> Result<(), Refusal> {
        let bound = match (known.verified.held.key(), scheme) {
            (None, Scheme::Bearer) => return Ok(()),
            (None, Scheme::DPoP) => {
                return Err(Refusal::new(Reason::ProofInvalid, "the token is sent as `DPoP` and is not bound to a key; send it as `Bearer`"));
            }
            (Some(_), Scheme::Bearer) => {
                return Err(missing("the token is bound to a key (`cnf.jkt`); send it as `Authorization: DPoP`, with a proof in the header `dpop`"));
            }
            (Some(bound), Scheme::DPoP) => bound,
        };
        let mut proofs = call.headers.values("dpop");
        let (first, second) = (proofs.next(), proofs.next());
        let proof = first.ok_or_else(|| missing("the call has no header `dpop` with the proof that its caller has the token's key"))?;
        let proof = std::str::from_utf8(proof).ok().filter(|_| second.is_none()).ok_or_else(|| invalid("the header `dpop` is not one proof"))?;
        let id = verified(proof, bound, &known.digest, call, now_ms.div_euclid(1000))?;
        let token = &known.verified.token;
        let (proof, subject) = (Proof::of(bound, &id), Subject::of(token.issuer.as_str(), &token.subject));
        let mut used = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let past = used.turn(now_ms);
        let outcome = used.take(proof, subject);
        drop(used);
        // Others need not wait until its memory is given back.
        drop(past);
        outcome
    }
}

// === impl Used ===

impl Used {
    /// Begins a new span where the current one is over; returns what is forgotten by that.
    fn turn(&mut self, now: i64) -> [Span; 2] {
        let since = apart(self.began, now);
        if since < SPAN {
            return Default::default();
        }
        self.began = now;
        let ended = std::mem::take(&mut self.current);
        if since < 2 * SPAN { [std::mem::replace(&mut self.previous, ended), Span::default()] } else { [std::mem::take(&mut self.previous), ended] }
    }

    /// Notes the use of a proof.
    fn take(&mut self, proof: Proof, subject: Subject) -> Result<(), Refusal> {
        if self.previous.proofs.contains(&proof) || self.current.proofs.contains(&proof) {
            return Err(invalid("the proof was used before (`jti`); make one for each request"));
        }
        let Span { proofs, subjects } = &mut self.current;
        if proofs.len() >= MOST {
            return Err(Refusal::new(Reason::Overloaded, "more proofs are being used than can be remembered"));
        }
        let used = subjects.entry(subject).or_default();
        if *used >= MOST_OF_A_SUBJECT {
            return Err(Refusal::new(Reason::Overloaded, "the subject of the token uses more proofs than can be remembered of one"));
        }
        *used += 1;
        proofs.insert(proof);
        Ok(())
    }
}

// === impl Proof ===

impl Proof {
    fn of(key: &[u8; 32], id: &str) -> Self {
        let mut fields = digest::Fields::new();
        fields.bytes(key).text(id);
        Self(u128::from_be_bytes(first(&fields.finish())))
    }
}

// === impl Subject ===

impl Subject {
    fn of(issuer: &str, subject: &str) -> Self {
        let mut fields = digest::Fields::new();
        fields.text(issuer).text(subject);
        Self(u64::from_be_bytes(first(&fields.finish())))
    }
}

fn first<const N: usize>(digest: &[u8; 32]) -> [u8; N] {
    let mut out = [0; N];
    out.iter_mut().zip(digest).for_each(|(to, from)| *to = *from);
    out
}

/// The `jti` of `proof`, once all of it is as RFC 9449, section 4.3, has it.
fn verified(proof: &str, bound: &[u8; 32], token: &[u8; 32], call: &Call<'_>, now: i64) -> Result<String, Refusal> {
    let (jws, key) =
        Jws::read_with(proof, LONGEST, |header| key_of(header, bound)).map_err(|_| invalid("the proof is no signed JWT of at most 8 KiB"))?;
    if jws.header.kind != "dpop+jwt" {
        return Err(invalid("the proof's `typ` is not `dpop+jwt`"));
    }
    let algorithm = Algorithm::parse(&jws.header.algorithm).ok_or_else(|| invalid("the proof's `alg` is not one of asymmetric keys"))?;
    let key = key?;
    if !key.fits(algorithm) {
        return Err(invalid("the proof's `alg` is not one of its key"));
    }
    let id = is_for(&Claims::read(&jws.claims).map_err(|_| invalid("the proof's claims cannot be read"))?, token, call, now)?;
    // Last, since it costs most.
    if key.verifies(jws.signed, jws.signature, algorithm) { Ok(id) } else { Err(invalid("the proof is not signed by the key in it")) }
}

/// The key in the header of a proof, where it is the one that the token is bound to.
fn key_of(header: &Object<'_>, bound: &[u8; 32]) -> Result<Key, Refusal> {
    let jwk = header.get("jwk").and_then(Value::as_object).ok_or_else(|| invalid("the proof's header has no key (`jwk`)"))?;
    if keys::is_secret(jwk) {
        return Err(invalid("the proof holds a private or symmetric key; whoever reads it can sign"));
    }
    // Before the key is looked into, which costs more.
    if thumbprint(jwk).as_ref() != Some(bound) {
        return Err(invalid("the proof is by another key than the token is bound to (`cnf.jkt`)"));
    }
    Key::read(jwk).ok_or_else(|| invalid("the proof's key (`jwk`) is not one that verifies signatures here"))
}

/// Whether the proof was made for this request with this token, now; returns its `jti`.
fn is_for(claims: &Claims<'_>, token: &[u8; 32], call: &Call<'_>, now: i64) -> Result<String, Refusal> {
    let text = |name: &str| claims.get(name).and_then(Value::as_text);
    if text("htm") != Some(call.method) {
        return Err(invalid("the proof is for another method (`htm`)"));
    }
    if !text("htu").is_some_and(|place| is_place(place, &call.host, call.path.raw)) {
        return Err(invalid("the proof is for another address (`htu`)"));
    }
    if text("ath") != Some(URL_SAFE_NO_PAD.encode(token).as_str()) {
        return Err(invalid("the proof is for another token (`ath`)"));
    }
    let made = claims.time("iat").ok().flatten().ok_or_else(|| invalid("the proof does not say when it was made (`iat`)"))?;
    if made < now.saturating_sub(PAST) || made > now.saturating_add(AHEAD) {
        return Err(invalid(format!("the proof was not made in the last {PAST} s (`iat`)")));
    }
    let id = claims.name("jti").ok().flatten().ok_or_else(|| invalid("the proof has no `jti` of 1 to 255 bytes"))?;
    Ok(id.to_owned())
}

/// Whether `place`, an `htu`, names this host and path, compared as RFC 3986, section 6.2.2 and 6.2.3, has it; query and fragment do not count.
///
/// Either scheme will do: in a mesh the client speaks plain HTTP to its sidecar while lakegate sees what comes out of it, and no other scheme leads here.
fn is_place(place: &str, host: &Host<'_>, path: &str) -> bool {
    let Some((scheme, rest)) = place.split_once("://") else { return false };
    if !scheme.eq_ignore_ascii_case("https") && !scheme.eq_ignore_ascii_case("http") {
        return false;
    }
    let rest = rest.split(['?', '#']).next().unwrap_or_default();
    let (authority, theirs) = rest.find('/').and_then(|slash| rest.split_at_checked(slash)).unwrap_or((rest, "/"));
    let same_host = Host::read(authority.as_bytes()).is_ok_and(|authority| authority == *host);
    same_host && is_path(theirs, path)
}

/// Whether two paths are one: segment by segment, with escapes undone once, as whoever serves the call reads them. An escaped slash divides nothing.
fn is_path(one: &str, other: &str) -> bool {
    let (mut first, mut second) = (one.split('/'), other.split('/'));
    loop {
        match (first.next(), second.next()) {
            (Some(here), Some(there)) if percent_decode_str(here).eq(percent_decode_str(there)) => {}
            (None, None) => return true,
            _ => return false,
        }
    }
}

/// SHA-256 over the members that make the key, in order of name and without space (RFC 7638, section 3).
fn thumbprint(jwk: &Object<'_>) -> Option<[u8; 32]> {
    let names: &[&str] = match jwk.get("kty")?.as_text()? {
        "RSA" => &["e", "kty", "n"],
        "EC" => &["crv", "kty", "x", "y"],
        "OKP" => &["crv", "kty", "x"],
        _ => return None,
    };
    let members: Option<Vec<String>> = names.iter().map(|name| Some(format!("\"{name}\":\"{}\"", jwk.get(name)?.as_text()?))).collect();
    Some(digest::of(format!("{{{}}}", members?.join(",")).as_bytes()))
}

fn missing(detail: &'static str) -> Refusal {
    Refusal { challenge: Some(&CHALLENGE), ..Refusal::new(Reason::ProofMissing, detail) }
}

fn invalid(detail: impl Into<std::borrow::Cow<'static, str>>) -> Refusal {
    Refusal { challenge: Some(&INVALID), ..Refusal::new(Reason::ProofInvalid, detail) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thumbprint_is_that_of_the_standard() {
        // RFC 7638, section 3.1; RFC 9449, sections 4.2 and 6.1.
        let rsa = r#"{"kty":"RSA","n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw","e":"AQAB","alg":"RS256","kid":"2011-04-29"}"#;
        let ec = r#"{"kty":"EC","x":"l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs","y":"9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA","crv":"P-256"}"#;
        for (jwk, expected) in [(rsa, "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"), (ec, "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I")] {
            let value = crate::json::read(jwk.as_bytes()).unwrap();
            assert_eq!(URL_SAFE_NO_PAD.encode(thumbprint(value.as_object().unwrap()).unwrap()), expected);
        }
    }

    #[test]
    fn a_place_is_compared_as_urls_are() {
        let host = Host::read(b"stage.cloud.databricks.com").unwrap();
        let good = [
            "https://stage.cloud.databricks.com/api/2.0/a~b%2Fc",
            "HTTPS://Stage.Cloud.Databricks.COM:443/api/2.0/a%7eb%2fc",
            "http://stage.cloud.databricks.com:80/api/2.0/%61~b%2Fc",
            "https://stage.cloud.databricks.com./api/2.0/a~b%2Fc?x=1",
            "https://stage.cloud.databricks.com/api/2.0/a~b%2Fc#f",
        ];
        for place in good {
            assert!(is_place(place, &host, "/api/2.0/a~b%2fc"), "{place}");
        }
        let bad = [
            "https://prod.cloud.databricks.com/api/2.0/a~b%2Fc",
            "https://stage.cloud.databricks.com:8443/api/2.0/a~b%2Fc",
            "https://stage.cloud.databricks.com/api/2.0/a~b/c",
            "https://stage.cloud.databricks.com/api/2.0/a~b%252Fc",
            "https://stage.cloud.databricks.com/api/2.0/A~b%2Fc",
            "https://stage.cloud.databricks.com/api/2.0/a~b%2Fc/",
            "https://stage.cloud.databricks.com/api/2.0/x/../a~b%2Fc",
            "https://x@stage.cloud.databricks.com/api/2.0/a~b%2Fc",
            "ftp://stage.cloud.databricks.com/api/2.0/a~b%2Fc",
            "//stage.cloud.databricks.com/api/2.0/a~b%2Fc",
            "/api/2.0/a~b%2Fc",
            "https://stage.cloud.databricks.com",
            "https://stage.cloud.databricks.com/api/2.0/a~b%2",
            "",
        ];
        for place in bad {
            assert!(!is_place(place, &host, "/api/2.0/a~b%2fc"), "{place}");
        }
        assert!(is_place("https://stage.cloud.databricks.com", &host, "/"));
    }

    /// What [`Proofs::check`] does with a proof that holds.
    fn used_at(used: &mut Used, now: i64, proof: Proof, subject: Subject) -> Result<(), Reason> {
        drop(used.turn(now));
        used.take(proof, subject).map_err(|refusal| refusal.reason)
    }

    #[test]
    fn a_proof_is_remembered_for_as_long_as_it_is_good() {
        let (mut used, key, start, who) = (Used::default(), [1; 32], 1_000_000_000, Subject(1));
        for offset in [0, 1, 40_000, 74_999, 75_000, 100_000] {
            let proof = Proof::of(&key, &offset.to_string());
            assert_eq!(used_at(&mut used, start + offset, proof, who), Ok(()));
            for later in [0, 1, 35_000, 71_000] {
                let mut then = Used { current: used.current.clone(), previous: used.previous.clone(), began: used.began };
                assert_eq!(used_at(&mut then, start + offset + later, proof, who), Err(Reason::ProofInvalid), "{offset} {later}");
                let other = Proof::of(&[2; 32], &offset.to_string());
                assert_eq!(used_at(&mut then, start + offset + later, other, who), Ok(()), "of another key it is another proof");
            }
        }
    }

    #[test]
    fn where_there_is_no_room_nothing_is_taken_and_one_subject_with_many_keys_cannot_take_it_all() {
        let (mut used, now) = (Used::default(), 1_000_000_000);
        let (greedy, other) = (Subject(1), Subject(2));
        let proof = |number: u32| Proof(u128::from(number));
        let taken = (0..=MOST_OF_A_SUBJECT).find(|&number| used_at(&mut used, now, proof(number), greedy).is_err()).unwrap();
        assert_eq!(taken, MOST_OF_A_SUBJECT);
        assert!(usize::try_from(MOST_OF_A_SUBJECT).unwrap() < MOST / 3, "others have room beside one");
        assert_eq!(used_at(&mut used, now, proof(taken), other), Ok(()));
        for number in (taken + 1..).take(MOST - used.current.proofs.len()) {
            assert_eq!(used_at(&mut used, now, proof(number), Subject(number.into())), Ok(()));
        }
        assert_eq!(used_at(&mut used, now, proof(u32::MAX), Subject(u64::MAX)), Err(Reason::Overloaded));
        assert!(used.current.proofs.capacity() <= MOST && used.current.subjects.capacity() <= MOST, "what the budget is told");
        assert_eq!(used_at(&mut used, now, proof(0), greedy), Err(Reason::ProofInvalid), "a full memory forgets nothing");
        assert_eq!(used_at(&mut used, now + 75_000, proof(u32::MAX), greedy), Ok(()));
    }

    #[test]
    fn the_challenge_names_every_algorithm_that_is_taken() {
        assert_eq!(missing("").challenge, Some("Bearer, DPoP algs=\"RS256 RS384 RS512 PS256 PS384 PS512 ES256 ES384 EdDSA\""));
        assert!(invalid("").challenge.is_some_and(|text| text.starts_with("Bearer, DPoP error=\"invalid_dpop_proof\", algs=\"RS256 ")));
    }

    #[test]
    fn whose_proof_it_is_goes_by_issuer_and_subject() {
        assert_eq!(Subject::of("a", "s"), Subject::of("a", "s"));
        let distinct: HashSet<Subject> =
            [("a", "s"), ("b", "s"), ("a", "t"), ("as", ""), ("", "as")].map(|(issuer, subject)| Subject::of(issuer, subject)).into();
        assert_eq!(distinct.len(), 5);
    }
}
