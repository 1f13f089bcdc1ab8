use serde_json::json;

use super::world::{CORP, FOREIGN, Forge, PEER, call, client, config, corp, issuer, reason};
use crate::{
    authn::{Authenticator, Belief, Binding, PeerConfig, PeerSource, PeerTemplate, Provider, ProxyConfig, Trail},
    clock::Clock,
    digest,
    model::{Call, Caller, PrincipalKind, Proxy, Reason, Refusal, SpiffeId, SpiffePattern},
};

fn without_idp(required: bool) -> Authenticator {
    let mut config = config(vec![issuer("corp", "https://idp.example", Provider::Generic)]);
    config.peers.required = required;
    Authenticator::new(config, client(), Clock::default(), None).unwrap()
}

#[test]
fn only_a_spiffe_id_of_our_trust_domain_is_a_workload() {
    let authn = without_idp(true);
    let long = format!("spiffe://cluster.local/ns/{}", "a".repeat(2048));
    let cases: [(&[u8], Reason); 19] = [
        (b"", Reason::PeerMissing),
        (b"spiffe://evil.example/ns/ml-staging/sa/trainer", Reason::PeerInvalid),
        (b"spiffe://cluster.local.evil/ns/a/sa/b", Reason::PeerInvalid),
        (b"spiffe://evil.cluster.local/ns/a/sa/b", Reason::PeerInvalid),
        (b"spiffe://CLUSTER.LOCAL/ns/ml-staging/sa/trainer", Reason::PeerInvalid),
        (b"SPIFFE://cluster.local/ns/ml-staging/sa/trainer", Reason::PeerInvalid),
        (b"https://cluster.local/ns/ml-staging/sa/trainer", Reason::PeerInvalid),
        (b"spiffe://cluster.local/ns/dev/../ml-staging/sa/trainer", Reason::PeerInvalid),
        (b"spiffe://cluster.local/ns//sa/trainer", Reason::PeerInvalid),
        (b"spiffe://cluster.local/ns/%61/sa/b", Reason::PeerInvalid),
        (b"spiffe://cluster.local/", Reason::PeerInvalid),
        (b"spiffe://cluster.local", Reason::PeerInvalid),
        (b"spiffe://cluster.local:80/ns/a/sa/b", Reason::PeerInvalid),
        (b"spiffe://u@cluster.local/ns/a/sa/b", Reason::PeerInvalid),
        (b" spiffe://cluster.local/ns/a/sa/b", Reason::PeerInvalid),
        (b"spiffe://cluster.local/ns/a/sa/\xff", Reason::PeerInvalid),
        (b"cluster.local", Reason::PeerInvalid),
        (b"CN=trainer,O=cluster.local", Reason::PeerInvalid),
        (long.as_bytes(), Reason::PeerInvalid),
    ];
    for (principal, expected) in cases {
        let what = String::from_utf8_lossy(principal);
        assert_eq!(reason(authn.peer(&call(principal, None)), &what), expected, "{what}");
    }
    let peer = authn.peer(&call(PEER, None)).unwrap().unwrap();
    assert_eq!(peer.as_str().as_bytes(), PEER);
}

#[tokio::test]
async fn a_call_must_come_from_somebody() {
    let authn = without_idp(true);
    let caller = authn.authenticate(&call(PEER, None)).await.unwrap();
    assert!(caller.peer.is_some() && caller.token.is_none());
    let lenient = without_idp(false);
    assert!(lenient.authenticate(&call(PEER, None)).await.unwrap().peer.is_some());
    assert_eq!(reason(lenient.authenticate(&call(b"", None)).await, "nobody"), Reason::CredentialMissing);
    assert_eq!(reason(lenient.authenticate(&call(b"cluster.local", None)).await, "not SPIFFE"), Reason::PeerInvalid);
}

#[tokio::test]
async fn a_bad_token_is_never_ignored_in_favor_of_the_workload() {
    let (idp, authn, _) = corp().await;
    let forge = Forge::new(&idp.url, &CORP);
    let good = format!("Bearer {}", forge.token());
    assert_eq!(reason(authn.authenticate(&call(b"", Some(&good))).await, "no peer"), Reason::PeerMissing);
    let foreign = format!("Bearer {}.{}", forge.signed(), FOREIGN.sign("RS256", &forge.signed()));
    assert_eq!(reason(authn.authenticate(&call(PEER, Some(&foreign))).await, "foreign"), Reason::TokenBadSignature);
    let expired = format!("Bearer {}", forge.claims(&json!({"exp": 1})).token());
    assert_eq!(reason(authn.authenticate(&call(PEER, Some(&expired))).await, "expired"), Reason::TokenExpired);
}

/// Whoever asks for the peer first and for the rest after gets what one question gets.
#[tokio::test]
async fn to_authenticate_is_to_find_the_peer_and_then_to_identify() {
    let (idp, strict, _) = corp().await;
    let lenient = without_idp(false);
    let good = format!("Bearer {}", Forge::new(&idp.url, &CORP).token());
    for (authn, what) in [(&strict, "strict"), (&lenient, "lenient")] {
        for principal in [PEER, b"", b"cluster.local"] {
            for authorization in [None, Some(good.as_str()), Some("Basic Og=="), Some("Bearer nonsense")] {
                let call = call(principal, authorization);
                let apart = match authn.peer(&call) {
                    Ok(peer) => authn.identify(&call, peer, &mut Trail::default()).await,
                    Err(refusal) => Err(refusal),
                };
                let told = |result: Result<Caller, Refusal>| result.map_err(|refusal| (refusal.reason, refusal.detail));
                let (whole, apart) = (told(authn.authenticate(&call).await), told(apart));
                assert_eq!(format!("{whole:?}"), format!("{apart:?}"), "{what} {principal:?} {authorization:?}");
            }
        }
    }
}

/// The workload is what the caller of `identify` was told, not what the call says once more.
#[tokio::test]
async fn to_identify_reads_no_peer() {
    let authn = without_idp(false);
    let peer = authn.peer(&call(PEER, None)).unwrap();
    let caller = authn.identify(&call(b"not SPIFFE", None), peer.clone(), &mut Trail::default()).await.unwrap();
    assert_eq!(caller.peer, peer);
    assert_eq!(reason(authn.identify(&call(PEER, None), None, &mut Trail::default()).await, "nobody"), Reason::CredentialMissing);
}

const GATEWAY: &str = "spiffe://cluster.local/ns/istio-egress/sa/egress";
const WAYPOINT: &str = "spiffe://cluster.local/ns/istio-egress/sa/waypoint";
const SIDECAR: &str = "spiffe://cluster.local/ns/ml/sa/trainer";
const NOTEBOOK: &str = "spiffe://cluster.local/ns/dev/sa/notebook";

fn belief(source: PeerSource) -> Belief {
    Belief { source, writes_xfcc: source == PeerSource::Xfcc }
}

/// A gateway, a waypoint, the sidecars of one namespace, and an old name of the trust domain.
fn mesh() -> PeerConfig {
    let proxy = |spiffe: &str, source| ProxyConfig { spiffe: SpiffePattern::parse(spiffe).unwrap(), belief: belief(source) };
    PeerConfig {
        aliases: vec![("old.example".to_owned(), "cluster.local".to_owned())],
        proxies: vec![
            proxy(GATEWAY, PeerSource::Principal),
            proxy(WAYPOINT, PeerSource::Xfcc),
            proxy("spiffe://cluster.local/ns/ml/sa/*", PeerSource::Connection),
        ],
        ..PeerConfig::new(vec!["cluster.local".to_owned()])
    }
}

fn in_mesh(peers: PeerConfig) -> Authenticator {
    let config = super::super::Config { peers, ..config(vec![issuer("corp", "https://idp.example", Provider::Generic)]) };
    Authenticator::new(config, client(), Clock::default(), None).unwrap()
}

fn proxy(id: &str) -> Proxy {
    Proxy { id: SpiffeId::parse(id).unwrap(), certificate: digest::of(id.as_bytes()) }
}

/// A call that `proxy` asks about.
fn asked<'r>(proxy: Option<&'r Proxy>, principal: &'r str, xfcc: &[&'r str]) -> Call<'r> {
    let mut call = call(principal.as_bytes(), None);
    call.proxy = proxy;
    call.headers.all = xfcc.iter().map(|value| ("x-forwarded-client-cert", value.as_bytes())).collect();
    call
}

/// The workload that is known, or the code of the refusal.
fn told(peer: Result<Option<SpiffeId>, Refusal>) -> String {
    match peer {
        Ok(peer) => peer.map_or_else(|| "nobody".to_owned(), |peer| peer.to_string()),
        Err(refusal) => refusal.reason.code().to_owned(),
    }
}

#[test]
fn each_proxy_is_believed_as_it_is_configured() {
    let authn = in_mesh(mesh());
    let forged = format!("URI={NOTEBOOK}");
    let own = format!("By={WAYPOINT};URI={SIDECAR}");
    let behind = format!("{forged},{own}");
    let of_gateway = format!("By={GATEWAY};URI={SIDECAR}");
    let two = format!("{own};URI={NOTEBOOK}");
    let foreign = "URI=spiffe://evil.example/x".to_owned();
    let open = format!("URI={NOTEBOOK};Subject=\",{own}");
    let long = format!("URI={NOTEBOOK};Subject=\"{}\",{own}", "x".repeat(70_000));
    let cases: [(Option<&str>, &str, &[&str], &str); 24] = [
        (Some(GATEWAY), NOTEBOOK, &[], NOTEBOOK),
        (Some(GATEWAY), NOTEBOOK, &[&own], NOTEBOOK),
        (Some(GATEWAY), "", &[&own], "PEER_MISSING"),
        (Some(WAYPOINT), "", &[&own], SIDECAR),
        (Some(WAYPOINT), NOTEBOOK, &[&own], SIDECAR),
        (Some(WAYPOINT), NOTEBOOK, &[], "PEER_MISSING"),
        (Some(WAYPOINT), NOTEBOOK, &[""], "PEER_MISSING"),
        (Some(WAYPOINT), "", &[&behind], SIDECAR),
        (Some(WAYPOINT), "", &[&forged, &own], SIDECAR),
        (Some(WAYPOINT), "", &[&of_gateway], "PEER_INVALID"),
        (Some(WAYPOINT), "", &[&two], "PEER_INVALID"),
        (Some(WAYPOINT), "", &["By=x"], "PEER_INVALID"),
        (Some(WAYPOINT), "", &["URI="], "PEER_INVALID"),
        (Some(WAYPOINT), "", &["nonsense"], "PEER_INVALID"),
        (Some(WAYPOINT), "", &[&open], "PEER_INVALID"),
        (Some(WAYPOINT), "", &[&long], "PEER_INVALID"),
        (Some(WAYPOINT), "", &[&foreign], "PEER_INVALID"),
        (Some(SIDECAR), NOTEBOOK, &[&forged], SIDECAR),
        (Some(SIDECAR), "", &[], SIDECAR),
        // who is not listed is believed as all others are, and nobody's XFCC counts but a waypoint's
        (Some("spiffe://cluster.local/ns/istio-egress/sa/other"), NOTEBOOK, &[&own], NOTEBOOK),
        (Some("spiffe://cluster.local/ns/istio-egress/sa/other"), "", &[&own], "PEER_MISSING"),
        (None, NOTEBOOK, &[&own], NOTEBOOK),
        (None, "", &[&own], "PEER_MISSING"),
        (Some("spiffe://old.example/ns/istio-egress/sa/waypoint"), "", &["URI=spiffe://old.example/ns/ml/sa/trainer"], SIDECAR),
    ];
    for (asking, principal, xfcc, expected) in cases {
        let asking = asking.map(proxy);
        assert_eq!(told(authn.peer(&asked(asking.as_ref(), principal, xfcc))), expected, "{asking:?} {principal} {xfcc:?}");
    }
}

/// The gateway behind a waypoint sees the waypoint: which workload it was is lost, and must not be taken for the waypoint.
#[test]
fn a_proxy_is_no_workload() {
    let authn = in_mesh(mesh());
    let gateway = proxy(GATEWAY);
    for lost in [WAYPOINT, GATEWAY, "spiffe://old.example/ns/istio-egress/sa/waypoint"] {
        let refusal = authn.peer(&asked(Some(&gateway), lost, &[])).unwrap_err();
        assert_eq!(refusal.reason, Reason::PeerInvalid, "{lost}");
        assert!(refusal.detail.contains("is that of a proxy") && refusal.detail.contains("have that proxy ask"), "{}", refusal.detail);
    }
    // a sidecar that asks for itself is its workload, and stays it at the gateway
    assert_eq!(told(authn.peer(&asked(Some(&gateway), SIDECAR, &[]))), SIDECAR);
    assert_eq!(told(authn.peer_told(WAYPOINT.as_bytes())), "PEER_INVALID");
}

#[test]
fn without_certificates_one_source_is_for_all() {
    let others = |source| PeerConfig { others: belief(source), ..PeerConfig::new(vec!["cluster.local".to_owned()]) };
    let own = format!("By={WAYPOINT};URI={SIDECAR}");
    assert_eq!(told(in_mesh(others(PeerSource::Xfcc)).peer(&asked(None, NOTEBOOK, &[&own]))), SIDECAR);
    assert_eq!(told(in_mesh(others(PeerSource::Connection)).peer(&asked(None, NOTEBOOK, &[&own]))), "PEER_MISSING");
    assert_eq!(told(in_mesh(others(PeerSource::Connection)).peer(&asked(Some(&proxy(SIDECAR)), NOTEBOOK, &[&own]))), SIDECAR);
}

/// A trust domain that counts as another is that one, everywhere; what was presented is still known.
#[test]
fn an_old_trust_domain_counts_as_the_new_one() {
    let authn = in_mesh(mesh());
    let old = "spiffe://old.example/ns/dev/sa/notebook";
    let call = asked(None, old, &[]);
    assert_eq!(told(authn.peer(&call)), NOTEBOOK);
    assert_eq!(authn.presented_peer(&call).unwrap().as_str(), old);
    assert_eq!(authn.presented_peer(&asked(None, NOTEBOOK, &[])), None);
    assert_eq!(told(authn.peer_told(old.as_bytes())), NOTEBOOK);
    for stranger in
        ["spiffe://old.example.evil/ns/dev/sa/notebook", "spiffe://sub.old.example/ns/dev/sa/notebook", "spiffe://OLD.example/ns/dev/sa/notebook"]
    {
        assert_eq!(told(authn.peer(&asked(None, stranger, &[]))), "PEER_INVALID", "{stranger}");
    }
}

fn bound_to(peers: &[&str]) -> Binding {
    Binding { kind: None, claims: Vec::new(), peers: peers.iter().map(|peer| PeerTemplate::parse(peer).unwrap()).collect() }
}

/// A token that was stolen into another pod is worth nothing there, whether it was seen before or not.
#[tokio::test]
async fn a_token_is_good_in_its_own_workload_alone() {
    let (idp, _, clock) = corp().await;
    let mut bound = issuer("corp", &idp.url, Provider::Generic);
    bound.bindings = Some(vec![
        Binding { kind: Some(PrincipalKind::ServicePrincipal), ..bound_to(&["spiffe://cluster.local/ns/{ns}/sa/{name}"]) },
        Binding { kind: Some(PrincipalKind::User), ..bound_to(&["spiffe://cluster.local/ns/dev/sa/*"]) },
    ]);
    let peers = PeerConfig { required: false, ..mesh() };
    let config = super::super::Config { peers, ..config(vec![bound]) };
    let authn = Authenticator::new(config, client(), clock.clone(), None).unwrap();
    let forge = Forge::new(&idp.url, &CORP);
    let program = forge.clone().claims(&json!({ "sub": "p", "azp": "p", "ns": "ml", "name": "trainer" }));
    let as_peer = async |forge: &Forge<'_>, peer: &str| {
        let header = format!("Bearer {}", forge.token());
        match authn.authenticate(&call(peer.as_bytes(), Some(&header))).await {
            Ok(_) => "OK".to_owned(),
            Err(refusal) => refusal.reason.code().to_owned(),
        }
    };
    for _ in 0..2 {
        assert_eq!(as_peer(&program, SIDECAR).await, "OK");
        assert_eq!(as_peer(&program, NOTEBOOK).await, "TOKEN_NOT_FOR_PEER");
        assert_eq!(as_peer(&program, "spiffe://cluster.local/ns/ml/sa/other").await, "TOKEN_NOT_FOR_PEER");
        assert_eq!(as_peer(&program, "").await, "TOKEN_NOT_FOR_PEER", "nobody is no workload");
        assert_eq!(as_peer(&program, "spiffe://old.example/ns/ml/sa/trainer").await, "OK");
        assert_eq!(as_peer(&forge, NOTEBOOK).await, "OK");
        assert_eq!(as_peer(&forge, SIDECAR).await, "TOKEN_NOT_FOR_PEER");
    }
    let hole = program.clone().claims(&json!({ "ns": "ml/sa/x" }));
    assert_eq!(as_peer(&hole, "spiffe://cluster.local/ns/ml/sa/x").await, "TOKEN_NOT_FOR_PEER");
    let mut trail = Trail::default();
    let examined = authn.examine(&program.token(), &mut trail).await.unwrap();
    assert_eq!(trail.peers().unwrap().iter().map(SpiffePattern::as_str).collect::<Vec<_>>(), [SIDECAR]);
    assert!(examined.admit(Some(&SpiffeId::parse(NOTEBOOK).unwrap())).is_err() && trail.bound_to().is_empty());

    // what is told of a token goes by the same bindings, as far as it is told
    let now = clock.now();
    let claims = program.claims.to_string();
    let of_claims = |peer: &str| authn.caller_from_claims_at(claims.as_bytes(), Some(SpiffeId::parse(peer).unwrap()), now).map(drop);
    assert!(of_claims(SIDECAR).is_ok());
    assert_eq!(reason(of_claims(NOTEBOOK), "claims"), Reason::TokenNotForPeer);
    let user = authn.examine(&forge.token(), &mut Trail::default()).await.unwrap().token;
    let of_facts = |peer: &str| authn.caller_from_facts_at((*user).clone(), Some(SpiffeId::parse(peer).unwrap()), now).map(drop);
    assert!(of_facts(NOTEBOOK).is_ok());
    assert_eq!(reason(of_facts(SIDECAR), "facts"), Reason::TokenNotForPeer);
    // of a program's facts nobody says which claims `ns` and `name` are
    let told = crate::model::Token { kind: PrincipalKind::ServicePrincipal, ..(*user).clone() };
    assert!(authn.caller_from_facts_at(told, Some(SpiffeId::parse(NOTEBOOK).unwrap()), now).is_ok());
}

/// RFC 8705: a token with `cnf.x5t#S256` is worth something only to whoever has proven to have that certificate, to somebody who is believed.
#[tokio::test]
async fn a_bound_token_needs_its_certificate() {
    let (idp, _, clock) = corp().await;
    let key = rcgen::generate_simple_self_signed(["trainer".to_owned()]).unwrap();
    let (der, pem) = (key.cert.der().clone(), key.cert.pem());
    let thumbprint = digest::of(&der);
    let hex = thumbprint.iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
    let token = |digest: &[u8; 32]| {
        format!("Bearer {}", Forge::new(&idp.url, &CORP).claims(&json!({ "cnf": { "x5t#S256": super::world::b64(digest) } })).token())
    };
    let (bound, foreign) = (token(&thumbprint), token(&[7; 32]));
    let urlencoded = percent_encoding::utf8_percent_encode(&pem, percent_encoding::NON_ALPHANUMERIC).to_string();

    let belief = Belief { source: PeerSource::Principal, writes_xfcc: true };
    let mut peers = mesh();
    peers.proxies.push(ProxyConfig { spiffe: SpiffePattern::parse("spiffe://cluster.local/ns/istio-ingress/sa/*").unwrap(), belief });
    let config = super::super::Config { peers, ..config(vec![issuer("corp", &idp.url, Provider::Generic)]) };
    let authn = Authenticator::new(config, client(), clock, None).unwrap();
    let (egress, waypoint, writer) = (proxy(GATEWAY), proxy(WAYPOINT), proxy("spiffe://cluster.local/ns/istio-ingress/sa/gw"));
    let sidecar = Proxy { certificate: thumbprint, ..proxy(SIDECAR) };
    let element = |by: &Proxy, hash: &str, uri: &str| format!("By={};Hash={hash};Subject=\"\";URI={uri}", by.id);
    let xfcc = |by: &Proxy| element(by, &hex, SIDECAR);
    let zeros = "0".repeat(64);
    let twice = format!("{};Hash={zeros}", xfcc(&writer));

    // who asks, what it says of the caller's certificate, and what comes of the token that is bound to it
    let cases: Vec<(&Proxy, &str, String, Result<(), Reason>)> = vec![
        (&egress, "", String::new(), Err(Reason::ProofMissing)),
        (&egress, "", xfcc(&egress), Err(Reason::ProofMissing)),
        (&egress, &urlencoded, String::new(), Ok(())),
        (&egress, "nonsense", String::new(), Err(Reason::ProofInvalid)),
        (&egress, "-----BEGIN%20CERTIFICATE-----%0A", String::new(), Err(Reason::ProofInvalid)),
        (&writer, "", String::new(), Err(Reason::ProofMissing)),
        (&writer, "", xfcc(&writer), Ok(())),
        (&writer, "", xfcc(&writer).to_uppercase().replace(&hex.to_uppercase(), &hex), Err(Reason::ProofInvalid)),
        (&writer, "", xfcc(&writer).replace(&hex, &hex.to_uppercase()), Ok(())),
        (&writer, "", element(&writer, &zeros, SIDECAR), Err(Reason::ProofInvalid)),
        (&writer, "", element(&writer, "00", SIDECAR), Err(Reason::ProofInvalid)),
        (&writer, "", element(&writer, "", SIDECAR), Err(Reason::ProofInvalid)),
        (&writer, "", element(&writer, &hex, NOTEBOOK), Err(Reason::ProofInvalid)),
        (&writer, "", format!("By={};URI={SIDECAR}", writer.id), Err(Reason::ProofMissing)),
        (&writer, "", twice, Err(Reason::ProofInvalid)),
        (&writer, "", xfcc(&egress), Err(Reason::ProofInvalid)),
        (&writer, "", format!("{},{}", xfcc(&writer), element(&writer, &zeros, SIDECAR)), Err(Reason::ProofInvalid)),
        (&waypoint, "", xfcc(&waypoint), Ok(())),
        (&waypoint, &urlencoded, format!("By={WAYPOINT};URI={SIDECAR}"), Err(Reason::ProofMissing)),
        (&sidecar, "", String::new(), Ok(())),
    ];
    for (asking, certificate, xfcc, expected) in &cases {
        let headers: &[&str] = if xfcc.is_empty() { &[] } else { &[xfcc] };
        let as_token = |token| {
            let mut call = asked(Some(asking), SIDECAR, headers);
            (call.certificate, call.headers.authorization) = (certificate.as_bytes(), Some(token));
            call
        };
        let what = format!("{} {certificate} {xfcc}", asking.id);
        for _ in 0..2 {
            let got = authn.authenticate(&as_token(bound.as_str())).await.map(drop).map_err(|refusal| (refusal.reason, refusal.challenge));
            // RFC 8705, section 3: no proof by a key would help.
            assert_eq!(got, expected.map_err(|reason| (reason, Some("Bearer error=\"invalid_token\""))), "{what}");
        }
        let got = authn.authenticate(&as_token(foreign.as_str())).await.map(drop).map_err(|refusal| refusal.reason);
        assert_eq!(got, if expected.is_ok() { Err(Reason::ProofInvalid) } else { *expected }, "{what}");
    }
    let mut trail = Trail::default();
    assert!(authn.examine(bound.strip_prefix("Bearer ").unwrap(), &mut trail).await.is_ok() && trail.bound_to() == ["certificate"]);
}
