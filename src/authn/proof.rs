//! Proof of possession by a key (DPoP, RFC 9449): beside the token, each request brings a JWT signed for it alone by the key that the token is bound to.
//!
//! Nonces of the server (section 8) are not asked for. A proof is taken once: what has been used is remembered for as long as it could be used again, and
//! where there is no room to remember, nothing is taken.

use std::{
    collections::{HashMap, HashSet},
    sync::{LazyLock, Mutex, PoisonError},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

use super::{
    Algorithm,
    claims::Claims,
    credential::{Credential, Scheme},
    digest,
    jws::Jws,
    keys::{self, Key},
};
use crate::{
    clock::apart,
    json::{self, Object, Value},
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

/// Proofs by the key that made them, as the first half of the SHA-256 of their `jti`.
#[derive(Debug, Default)]
struct Span {
    keys: HashMap<[u8; 32], HashSet<[u8; 16]>>,
    count: usize,
}

/// How old a proof may be, and how far ahead of our clock, in seconds.
const PAST: i64 = 60;
const AHEAD: i64 = 10;
/// The length of a span, in milliseconds: more than both together.
const SPAN: i64 = 75_000;
/// Proofs in one span, some 40 bytes each; and how many of them one key may have, so that its holder alone cannot use up the room of all.
const MOST: usize = 1 << 18;
const MOST_OF_A_KEY: usize = MOST / 2;
const LONGEST: usize = 8 * 1024;

/// The schemes that would do, by RFC 9449, sections 7.1 and 7.2, with every algorithm that a proof may be signed by; and the same where a proof was bad.
static CHALLENGE: LazyLock<String> = LazyLock::new(|| format!("Bearer, DPoP {}", algorithms()));
static INVALID: LazyLock<String> = LazyLock::new(|| format!("Bearer, DPoP error=\"invalid_dpop_proof\", {}", algorithms()));

fn algorithms() -> String {
    format!("algs=\"{}\"", Algorithm::ALL.map(Algorithm::name).join(" "))
}

// === impl Proofs ===

impl Proofs {
    /// Whether `call` proves that whoever makes it has the key with the thumbprint `bound`, which its token is bound to; at the time `now_ms`.
    ///
    /// # Errors
    /// `ProofMissing` or `ProofInvalid`; `Overloaded` where it cannot be remembered that the proof was used.
    pub(super) fn check(&self, bound: Option<&[u8; 32]>, credential: Credential<'_>, call: &Call<'_>, now_ms: i64) -> Result<(), Refusal> {
        let bound = match (bound, credential.scheme) {
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
        let id = verified(proof, bound, credential.token, call, now_ms.div_euclid(1000))?;
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take(bound, &id, now_ms)
    }
}

// === impl Used ===

impl Used {
    /// Notes the use of a proof.
    fn take(&mut self, key: &[u8; 32], id: &str, now: i64) -> Result<(), Refusal> {
        let mut short = [0; 16];
        short.iter_mut().zip(digest::of(id.as_bytes())).for_each(|(to, from)| *to = from);
        let since = apart(self.began, now);
        if since >= SPAN {
            self.previous = std::mem::take(&mut self.current);
            if since >= 2 * SPAN {
                self.previous = Span::default();
            }
            self.began = now;
        }
        if self.previous.holds(key, &short) || self.current.holds(key, &short) {
            return Err(invalid("the proof was used before (`jti`); make one for each request"));
        }
        if self.current.count >= MOST || self.current.keys.get(key).is_some_and(|used| used.len() >= MOST_OF_A_KEY) {
            return Err(Refusal::new(Reason::Overloaded, "more proofs are being used than can be remembered"));
        }
        self.current.count += usize::from(self.current.keys.entry(*key).or_default().insert(short));
        Ok(())
    }
}

// === impl Span ===

impl Span {
    fn holds(&self, key: &[u8; 32], id: &[u8; 16]) -> bool {
        self.keys.get(key).is_some_and(|used| used.contains(id))
    }
}

/// The `jti` of `proof`, once all of it is as RFC 9449, section 4.3, has it.
fn verified(proof: &str, bound: &[u8; 32], token: &str, call: &Call<'_>, now: i64) -> Result<String, Refusal> {
    let jws = Jws::read(proof, LONGEST).map_err(|_| invalid("the proof is no signed JWT of at most 8 KiB"))?;
    if jws.header.kind != "dpop+jwt" {
        return Err(invalid("the proof's `typ` is not `dpop+jwt`"));
    }
    let algorithm = Algorithm::parse(&jws.header.algorithm).ok_or_else(|| invalid("the proof's `alg` is not one of asymmetric keys"))?;
    let key = key_of(&jws, bound)?;
    if !key.fits(algorithm) {
        return Err(invalid("the proof's `alg` is not one of its key"));
    }
    let id = is_for(&Claims::read(&jws.claims).map_err(|_| invalid("the proof's claims cannot be read"))?, token, call, now)?;
    // Last, since it costs most.
    if key.verifies(jws.signed, jws.signature, algorithm) { Ok(id) } else { Err(invalid("the proof is not signed by the key in it")) }
}

/// The key in the header of a proof, where it is the one that the token is bound to.
fn key_of(jws: &Jws<'_>, bound: &[u8; 32]) -> Result<Key, Refusal> {
    let header = jws.signed.split('.').next().and_then(|header| URL_SAFE_NO_PAD.decode(header).ok()).unwrap_or_default();
    let header = json::read(&header).map_err(|_| invalid("the proof's header cannot be read"))?;
    let jwk = header.as_object().and_then(|header| header.get("jwk")?.as_object()).ok_or_else(|| invalid("the proof's header has no key (`jwk`)"))?;
    if keys::is_secret(jwk) {
        return Err(invalid("the proof holds a private or symmetric key; whoever reads it can sign"));
    }
    let key = Key::read(jwk).ok_or_else(|| invalid("the proof's key (`jwk`) is not one that verifies signatures here"))?;
    if thumbprint(jwk).as_ref() == Some(bound) { Ok(key) } else { Err(invalid("the proof is by another key than the token is bound to (`cnf.jkt`)")) }
}

/// Whether the proof was made for this request with this token, now; returns its `jti`.
fn is_for(claims: &Claims<'_>, token: &str, call: &Call<'_>, now: i64) -> Result<String, Refusal> {
    let text = |name: &str| claims.get(name).and_then(Value::as_text);
    if text("htm") != Some(call.method) {
        return Err(invalid("the proof is for another method (`htm`)"));
    }
    if !text("htu").is_some_and(|place| is_place(place, &call.host, call.path.raw)) {
        return Err(invalid("the proof is for another address (`htu`)"));
    }
    if text("ath") != Some(URL_SAFE_NO_PAD.encode(digest::of(token.as_bytes())).as_str()) {
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
    same_host && canonical(theirs).is_some_and(|theirs| canonical(path) == Some(theirs))
}

/// With the escapes of unreserved characters undone, and others in capitals; `None` where an escape is none.
fn canonical(path: &str) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(path.len());
    let mut bytes = path.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            out.push(byte);
            continue;
        }
        let (high, low) = (char::from(bytes.next()?), char::from(bytes.next()?));
        let value = u8::try_from(high.to_digit(16)? << 4 | low.to_digit(16)?).ok()?;
        if value.is_ascii_alphanumeric() || b"-._~".contains(&value) {
            out.push(value);
        } else {
            out.extend([b'%', high.to_ascii_uppercase() as u8, low.to_ascii_uppercase() as u8]);
        }
    }
    Some(out)
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
        // RFC 7638, section 3.1.
        let jwk = r#"{"kty":"RSA","n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw","e":"AQAB","alg":"RS256","kid":"2011-04-29"}"#;
        let value = json::read(jwk.as_bytes()).unwrap();
        let print = thumbprint(value.as_object().unwrap()).unwrap();
        assert_eq!(URL_SAFE_NO_PAD.encode(print), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
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

    #[test]
    fn a_proof_is_remembered_for_as_long_as_it_is_good() {
        let (mut used, key, start) = (Used::default(), [1; 32], 1_000_000_000);
        for offset in [0, 1, 40_000, 74_999, 75_000, 100_000] {
            let id = offset.to_string();
            assert!(used.take(&key, &id, start + offset).is_ok());
            for later in [0, 1, 35_000, 71_000] {
                let mut then = Used {
                    current: Span { keys: used.current.keys.clone(), count: used.current.count },
                    previous: Span { keys: used.previous.keys.clone(), count: used.previous.count },
                    began: used.began,
                };
                assert_eq!(then.take(&key, &id, start + offset + later).unwrap_err().reason, Reason::ProofInvalid, "{offset} {later}");
                assert!(then.take(&[2; 32], &id, start + offset + later).is_ok(), "of another key it is another proof");
            }
        }
    }

    #[test]
    fn where_there_is_no_room_nothing_is_taken_and_one_key_cannot_take_it_all() {
        let (mut used, now) = (Used::default(), 1_000_000_000);
        let (mut greedy, mut i) = (0, 0);
        while used.take(&[1; 32], &i.to_string(), now).is_ok() {
            (greedy, i) = (greedy + 1, i + 1);
        }
        assert_eq!(greedy, MOST_OF_A_KEY);
        assert!(used.take(&[2; 32], "other", now).is_ok());
        used.current.count = MOST;
        assert_eq!(used.take(&[3; 32], "x", now).unwrap_err().reason, Reason::Overloaded);
        assert_eq!(used.take(&[1; 32], "0", now).unwrap_err().reason, Reason::ProofInvalid, "a full memory forgets nothing");
        assert!(used.take(&[3; 32], "x", now + 75_000).is_ok());
    }

    #[test]
    fn the_challenge_names_every_algorithm_that_is_taken() {
        assert_eq!(missing("").challenge, Some("Bearer, DPoP algs=\"RS256 RS384 RS512 PS256 PS384 PS512 ES256 ES384 EdDSA\""));
        assert!(invalid("").challenge.is_some_and(|text| text.starts_with("Bearer, DPoP error=\"invalid_dpop_proof\", algs=\"RS256 ")));
    }
}
