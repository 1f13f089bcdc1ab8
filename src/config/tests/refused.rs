use super::*;

/// `(what is replaced in GOOD, by what, what the report must say)`
fn table(cases: &[(&str, &str, &[&str])]) {
    for (from, to, expected) in cases {
        assert!(GOOD.contains(from), "{from}");
        let report = faults(&GOOD.replacen(from, to, 1));
        for text in *expected {
            assert!(report.contains(text), "`{to}` should say `{text}`, and says:\n{report}");
        }
    }
}

#[test]
fn all_faults_are_reported_at_once_each_in_its_place() {
    let text =
        GOOD.replace("listen:", "listn:").replace("audiences:", "audiencs:").replace("hosts: [stage", "hosts: [Stage").replace("staging", "x y");
    let expected = "\
1:1 the file lacks `listen`; add `listen:`
2:1 unknown key `listn`; did you mean `listen`?
7:5 `issuers[0]` lacks `audiences`; add it, as in `audiences: [\"lakegate\"]`
10:5 unknown key `audiencs`; did you mean `audiences`?
13:13 `Stage.cloud.databricks.com` is not a host in the form it is compared in; write `stage.cloud.databricks.com`
15:18 `x y` is not a name; write 1 to 63 of `a-z`, `0-9` and `-`";
    assert_eq!(faults(&text), expected);
}

#[test]
fn the_form_of_the_file() {
    table(&[
        ("version: 1", "version: 2", &["1:10 version `2` is not known; write `1`"]),
        ("version: 1", "version: \"1\"", &["`version` is a text, not a whole number"]),
        ("version: 1", "version: -1", &["`version` is a number, not a whole number"]),
        ("version: 1\n", "", &["the file lacks `version`; add it, as in `version: 1`"]),
        ("version: 1\n", "version: 1\nversion: 1\n", &["2:1 `version` stands twice, first in line 1; remove one of them"]),
        ("version: 1\n", "version: 1\nlimits:\n", &["2:7 `limits` has no value; write one, or remove the key"]),
        ("version: 1\n", "version: 1\nlimits: []\n", &["`limits` is a list, not a mapping of keys"]),
        ("version: 1\n", "version: 1\nlimits: {body: 16}\n", &["`limits.body` is a number, not a size; write the unit too, as `16MiB`"]),
        ("version: 1\n", "version: 1\nlimits: {body: 16MB}\n", &["2:16 `16MB` is not a size; write a whole number and `B`, `KiB`, `MiB` or `GiB`"]),
        ("version: 1\n", "version: 1\nfaults: {visible_after: 20}\n", &["not a duration; write the unit too, as `60s`"]),
        ("version: 1\n", "version: 1\nfaults: {visible_after: soon}\n", &["`soon` is not a duration"]),
        ("version: 1\n", "version: 1\nexplain_to_caller: ful\n", &["`ful` is not a value of `explain_to_caller`; did you mean `full`?"]),
        ("[cluster.local]", "cluster.local", &["`peers.trust_domains` is a text, not a list; write `[cluster.local]`"]),
        (
            "\"1111111111111111\"",
            "1111111111111111",
            &["`workspaces[0].workspace_id` is a number, not a text; put it in quotes: `\"1111111111111111\"`"],
        ),
        ("provider: generic", "provider: keyclok", &["`keyclok` is not a value of `issuers[0].provider`; did you mean `keycloak`?"]),
        ("provider: generic", "provider: generic\n    algorithms: [HS256]", &["`HS256` is not a value of `issuers[0].algorithms[0]`"]),
        ("  dir: policies", "  dir: policies\n  mode: yes", &["`yes` is not a value of `policy.mode`; write `enforce` or `shadow`"]),
        (
            "  trust_domains: [cluster.local]",
            "  trust_domains: [cluster.local]\n  required: yes",
            &["`peers.required` is a text, not a boolean; write `true` or `false`, without quotes"],
        ),
    ]);
}

#[test]
fn yaml_that_hides_what_it_means() {
    table(&[
        ("dir: policies", "dir: &a policies", &["17:11 anchors, aliases and tags are not read; write the value itself"]),
        ("[lakegate]", "[*a]", &["anchors, aliases and tags are not read"]),
        ("dir: policies", "dir: *a", &["anchors, aliases and tags are not read"]),
        ("dir: policies", "dir: !!str policies", &["anchors, aliases and tags are not read"]),
        ("dir: policies", "dir: policies\n  <<: {mode: shadow}", &["merge keys are not read; write the keys out"]),
        ("dir: policies", "dir: policies\n  ? [a]\n  : b", &["a key must be a word"]),
        ("dir: policies\n", "dir: policies\n---\nversion: 1\n", &["18:1 a second document begins; one file holds one document"]),
        ("  dir: policies", "\tdir: policies", &["the YAML cannot be read"]),
        ("dir: policies", "dir: [", &["the YAML cannot be read"]),
        ("dir: policies", "dir: \"policies", &["the YAML cannot be read"]),
    ]);
    let one = faults(&GOOD.replace("dir: policies", "dir: *a").replace("[lakegate]", "[*a, &b c]"));
    assert_eq!(one.lines().count(), 3, "what is refused is not missing too: {one}");
    for empty in ["", "\n\n", "# a comment\n", "---\n", "---\n...\n", "null"] {
        assert!(faults(empty).contains("the file is empty; begin with `version: 1`"), "{empty:?}");
    }
    assert!(faults("just words").contains("the file is a text, not a mapping of keys"), "{}", faults("just words"));
    let deep = format!("version: {}", "[".repeat(100_000));
    assert!(faults(&deep).contains("the YAML cannot be read"));
}

#[test]
fn what_this_version_does_not_have() {
    table(&[
        (
            "version: 1",
            "version: 1\nservices: [{ name: a, hosts: [a.example.com], environment: dev, catalog: soap }, { name: b, hosts: [b.example.com], environment: dev, catalog: no.yaml }]",
            &["2:74 `soap` is no catalog; write one of `mlflow`, `openai`, `generic`", "`no.yaml` cannot be read"],
        ),
        ("version: 1", "version: 1\ncatalog: { dir: nowhere, extra: [none.yaml] }", &["`nowhere` cannot be read", "`none.yaml` cannot be read"]),
        (
            "listen:",
            "listen:\n  control: 127.0.0.1:9193",
            &["3:12 an address as `listen.control`, `127.0.0.1:9193`, is not available in this version; name a Unix socket, as `lakegate.sock`"],
        ),
        ("listen:", "listen:\n  control: \"[::1]:9193\"", &["an address as `listen.control`, `[::1]:9193`, is not available in this version"]),
        ("listen:", "listen:\n  control: localhost:9193", &["an address as `listen.control`, `localhost:9193`, is not available"]),
    ]);
}

/// `GOOD` with mutual TLS, a second trust domain, and `peers`.
fn with_tls(peers: &str) -> String {
    let tls = "peers:\n  trust_domains: [cluster.local]";
    let listen = "  check: 127.0.0.1:9191";
    let listening = format!("{listen}\n  tls: {{ cert: tls.crt, key: tls.key, client_ca: ca.crt, allow: [\"spiffe://cluster.local/ns/x/sa/y\"] }}");
    GOOD.replace(listen, &listening).replace(tls, &format!("peers:\n  trust_domains: [cluster.local, b.example]\n{peers}"))
}

#[test]
fn many_may_vouch_for_workloads() {
    let good = [
        "  source: xfcc",
        "  source: connection",
        "  writes_xfcc: true",
        "  aliases: { old.example: cluster.local, older.example: b.example }",
        "  proxies: [{ spiffe: \"spiffe://cluster.local/ns/a/sa/*\", source: xfcc }, { spiffe: \"spiffe://cluster.local/ns/b/sa/*\", source: principal, writes_xfcc: true }]",
    ];
    for peers in good {
        assert!(parse(&with_tls(peers)).is_ok(), "{peers}: {}", faults(&with_tls(peers)));
    }
}

/// Who is believed about callers: what could never be, and what would be two things.
#[test]
fn who_vouches_for_workloads() {
    let two = |one: &str, other: &str| format!("  proxies: [{{ spiffe: \"{one}\", source: xfcc }}, {{ spiffe: \"{other}\", source: principal }}]");
    let aliased =
        format!("  aliases: {{ old.example: cluster.local }}\n{}", two("spiffe://old.example/ns/a/sa/b", "spiffe://cluster.local/ns/a/sa/*"));
    let bad = [
        (
            "  aliases: { old.example: other.example }",
            "`other.example` is none of the trust domains; `peers.trust_domains` has `cluster.local`, `b.example`",
        ),
        ("  aliases: { b.example: cluster.local }", "`b.example` is one of `peers.trust_domains` itself; remove it from one of the two"),
        (
            "  aliases: { a.example: old.example, old.example: b.example }",
            "7:25 `old.example` is an alias itself; write what it counts as: `b.example`",
        ),
        ("  aliases: { cluster.local: cluster.local }", "`cluster.local` is one of `peers.trust_domains` itself"),
        ("  aliases: { Old.example: cluster.local }", "`Old.example` is not a trust domain"),
        ("  aliases: { old.example: \"spiffe://cluster.local\" }", "`spiffe://cluster.local` is not a trust domain; write `cluster.local`"),
        ("  aliases: [old.example]", "`peers.aliases` is a list, not a mapping of keys"),
        ("  source: principle", "did you mean `principal`?"),
        ("  source: xfcc\n  writes_xfcc: false", "`source: xfcc` believes what the proxy itself writes there; remove `writes_xfcc`"),
        ("  source: connection\n  writes_xfcc: true", "`source: connection` reads nothing that a proxy writes; remove `writes_xfcc`"),
        ("  proxies: [{ spiffe: x, source: xfcc }]", "`x` is not a pattern of SPIFFE IDs"),
        ("  proxies: [{ source: xfcc }]", "`peers.proxies[0]` lacks `spiffe`"),
        ("  proxies: [{ spiffe: \"spiffe://cluster.local/a\" }]", "`peers.proxies[0]` lacks `source`"),
        (
            &two("spiffe://cluster.local/ns/a/sa/*", "spiffe://cluster.local/ns/*/sa/b"),
            "a proxy may be of both `spiffe://cluster.local/ns/*/sa/b` and `spiffe://cluster.local/ns/a/sa/*`",
        ),
        (&two("spiffe://cluster.local/a", "spiffe://cluster.local/a"), "have no two entries match the same identity"),
        (&aliased, "a proxy may be of both `spiffe://cluster.local/ns/a/sa/*` and `spiffe://cluster.local/ns/a/sa/b`"),
    ];
    for (peers, expected) in bad {
        let report = faults(&with_tls(peers));
        assert!(report.contains(expected), "`{peers}` should say `{expected}`, and says:\n{report}");
    }
}

#[test]
fn without_certificates_no_proxy_proves_who_it_is() {
    table(&[
        (
            "peers:",
            "peers:\n  source: connection",
            &["5:11 without `listen.tls` the connection of a proxy shows no certificate; add `listen.tls`, or write `principal`"],
        ),
        (
            "peers:",
            "peers:\n  proxies: [{ spiffe: \"spiffe://cluster.local/a\", source: xfcc }]",
            &["without `listen.tls` no proxy proves who it is, so that no entry could be about one; add `listen.tls`"],
        ),
        (
            "  dir: policies",
            "  dir: policies\n  shadow: { namespaces: [old.example/x] }\n",
            &["no caller is of the trust domain `old.example`; `peers.trust_domains` has `cluster.local`"],
        ),
    ]);
    assert!(parse(&GOOD.replace("peers:", "peers:\n  source: xfcc")).is_ok(), "one source for all needs no certificates");
    let shadow = GOOD
        .replace("peers:", "peers:\n  aliases: { old.example: cluster.local }")
        .replace("dir: policies", "dir: policies\n  shadow: { namespaces: [old.example/x] }");
    assert!(
        faults(&shadow).contains("no caller is of the trust domain `old.example`; it counts as `cluster.local`: write that"),
        "{}",
        faults(&shadow)
    );
}

#[test]
fn whose_tokens_may_be_presented_where() {
    let bindings = |text: &str| GOOD.replace("    audiences: [lakegate]", &format!("    audiences: [lakegate]\n    bindings: {text}"));
    let good = [
        "none",
        "[{ peers: [\"spiffe://cluster.local/ns/ml/sa/*\"] }]",
        "[{ when: { kind: service-principal, team: [ml, bi], a.b: x, \"https://corp.example/x\": y }, peers: [\"spiffe://cluster.local/ns/{a.b}/sa/x\"] }]",
    ];
    for text in good {
        assert!(parse(&bindings(text)).is_ok(), "{text}: {}", faults(&bindings(text)));
    }
    let bad = [
        ("all", "`all` is not a value of `issuers[0].bindings`; write `none`"),
        ("[]", "the list is empty, so that no workload could present a token; name at least one, or write `none` where any may"),
        ("[{}]", "`issuers[0].bindings[0]` lacks `peers`"),
        ("[{ peers: [] }]", "`issuers[0].bindings[0].peers` is empty"),
        ("[{ peer: [\"spiffe://cluster.local/ns/ml/sa/*\"] }]", "unknown key `peer`; did you mean `peers`?"),
        ("[{ peers: [\"spiffe://other.example/ns/ml/sa/*\"] }]", "no caller is of the trust domain `other.example`"),
        ("[{ peers: [\"spiffe://cluster.local/ns/{team}-x/sa/y\"] }]", "a claim in braces is not one whole segment of its path; write"),
        ("[{ peers: [\"spiffe://cluster.local/ns/{a.*}/sa/y\"] }]", "`*` in the path of a claim could be any of its members"),
        ("[{ when: {}, peers: [\"spiffe://cluster.local/a\"] }]", "it names no token; name a `kind` or a claim"),
        ("[{ when: { kind: users }, peers: [\"spiffe://cluster.local/a\"] }]", "did you mean `user`?"),
        ("[{ when: { team: [] }, peers: [\"spiffe://cluster.local/a\"] }]", "`issuers[0].bindings[0].when.team` is empty"),
        ("[{ when: { team: 7 }, peers: [\"spiffe://cluster.local/a\"] }]", "`issuers[0].bindings[0].when.team` is a number, not a text or a list"),
        ("[{ when: { a..b: x }, peers: [\"spiffe://cluster.local/a\"] }]", "is no path of claims"),
        ("[{ when: { \"a.*\": x }, peers: [\"spiffe://cluster.local/a\"] }]", "`a.*` leads to many claims"),
    ];
    for (text, expected) in bad {
        let report = faults(&bindings(text));
        assert!(report.contains(expected), "`{text}` should say `{expected}`, and says:\n{report}");
    }
}

#[test]
fn where_it_listens_and_who_may_ask() {
    let tls = |allow: &str| format!("check: 0.0.0.0:9191\n  tls: {{cert: tls.crt, key: tls.key, client_ca: ca.crt, allow: {allow}}}");
    let open = &["can be reached from elsewhere, and nothing says who may ask; add `tls` with `client_ca` and `allow`"];
    table(&[
        ("127.0.0.1:9191", "0.0.0.0:9191", open),
        ("127.0.0.1:9191", "\"[::]:9191\"", open),
        ("127.0.0.1:9191", "10.0.0.1:9191", open),
        (
            "check: 127.0.0.1:9191",
            "check: 0.0.0.0:9191\n  tls: {cert: tls.crt, key: tls.key}",
            &["`listen.tls` lacks `client_ca`", "`listen.tls` lacks `allow`"],
        ),
        ("check: 127.0.0.1:9191", &tls("[]"), &["`listen.tls.allow` is empty; name at least one"]),
        (
            "check: 127.0.0.1:9191",
            &tls("[\"spiffe://cluster.local/ns/a*/sa/b\"]"),
            &["is not a pattern of SPIFFE IDs", "`*` stands for one whole segment"],
        ),
        ("check: 127.0.0.1:9191", &tls("[\"spiffe://*/ns/a/sa/b\"]"), &["is not a pattern of SPIFFE IDs"]),
        ("check: 127.0.0.1:9191", &tls("[\"*\"]"), &["is not a pattern of SPIFFE IDs"]),
        ("check: 127.0.0.1:9191", &(tls("[\"spiffe://cluster.local/*\"]") + "\n  insecure: true"), &["`insecure` and `tls` contradict each other"]),
        (
            "check: 127.0.0.1:9191",
            &tls("[\"spiffe://a/*\"]").replace("tls.key", "none.key"),
            &["`none.key` cannot be read: entity not found; relative paths are relative"],
        ),
        ("127.0.0.1:9191", "localhost:9191", &["`localhost:9191` is not an address and a port; write an IP address and a port"]),
        ("127.0.0.1:9191", "127.0.0.1", &["is not an address and a port"]),
        ("127.0.0.1:9191", "127.0.0.1:9192", &["`127.0.0.1:9192` has the port of `listen.check`"]),
        ("127.0.0.1:9191", "127.0.0.1:9191\n  admin: 0.0.0.0:9191", &["has the port of `listen.check`; give each a port of its own"]),
    ]);
    for good in [
        "check: 0.0.0.0:9191\n  insecure: true",
        "check: \"[::1]:9191\"",
        "check: 127.0.0.1:0\n  admin: 127.0.0.1:0",
        &tls("[\"spiffe://cluster.local/ns/*/sa/*\"]"),
    ] {
        parse(&GOOD.replace("check: 127.0.0.1:9191", good)).unwrap_or_else(|faults| panic!("{good}: {faults:?}"));
    }
}

#[test]
fn peers_and_issuers() {
    let second = |lines: &str| format!("audiences: [lakegate]\n  - {lines}\n    provider: generic\n    audiences: [lakegate]");
    table(&[
        ("[cluster.local]", "[]", &["`peers.trust_domains` is empty"]),
        ("[cluster.local]", "[Cluster.local]", &["5:19 `Cluster.local` is not a trust domain"]),
        ("[cluster.local]", "[\"spiffe://cluster.local\"]", &["is not a trust domain; write `cluster.local`"]),
        ("[cluster.local]", "[a/b]", &["is not a trust domain"]),
        ("[cluster.local]", "[a, a]", &["5:22 `a` stands twice in the list"]),
        ("name: corp", "name: Corp", &["`Corp` is not a name"]),
        ("https://corp", "http://corp", &["`http://corp.example.com` is not encrypted; write `https:`; `http:` is for loopback alone"]),
        ("https://corp.example.com", "corp.example.com", &["is not a URL that can be used here"]),
        ("https://corp.example.com", "https://a@corp.example.com", &["is not a URL that can be used here"]),
        ("https://corp.example.com", "\"https://corp.example.com#x\"", &["is not a URL that can be used here"]),
        ("https://corp.example.com", "https://corp.example.com?a=b", &["has a query"]),
        (
            "https://corp.example.com",
            "https://corp.example.com/.well-known/openid-configuration",
            &[
                "is where its discovery document stands, not the issuer; write the `iss` of its tokens, which is most likely `https://corp.example.com`",
            ],
        ),
        ("https://corp.example.com", "http://127.0.0.1.example.com", &["is not encrypted"]),
        ("[lakegate]", "[]", &["`issuers[0].audiences` is empty; name at least one"]),
        ("[lakegate]", "[\"\"]", &["can stand in no token"]),
        ("audiences: [lakegate]", &second("name: corp\n    issuer: https://b.example.com"), &["11:11 an earlier issuer has the name `corp` too"]),
        (
            "audiences: [lakegate]",
            &second("name: b\n    issuer: https://corp.example.com"),
            &["an earlier issuer has the issuer `https://corp.example.com` too"],
        ),
        ("provider: generic", "provider: generic\n    jwks_uri: http://corp.example.com/keys", &["is not encrypted"]),
        (
            "provider: generic",
            "provider: generic\n    jwks_uri: https://a/k\n    jwks_file: corp.jwks.json",
            &["`jwks_uri` and `jwks_file` exclude each other"],
        ),
        ("provider: generic", "provider: generic\n    jwks_file: none.json", &["`none.json` cannot be read"]),
        ("provider: generic", "provider: generic\n    jwks_file: policies", &["`policies` is not a file; name a file, not a folder"]),
        ("provider: generic", "provider: generic\n    leeway: 6m", &["the leeway is longer than 5m"]),
        (
            "provider: generic",
            "provider: generic\n    token_types: [application/AT+JWT]",
            &["write it in lower case without `application/`: `at+jwt`"],
        ),
        ("provider: generic", "provider: generic\n    algorithms: []", &["no token could be accepted"]),
        ("provider: generic", "provider: generic\n    roles_claim: []", &["`issuers[0].roles_claim` is empty"]),
        ("provider: generic", "provider: generic\n    subject_claim: \"\"", &["can stand in no token"]),
        ("provider: generic", "provider: generic\n    session: {}", &["it sets no limit; say `longest`, `idle` or both"]),
        (
            "provider: generic",
            "provider: generic\n    longest_token: 30s\n    session: { longest: 401d, idle: 0s }",
            &["10:20 it is not between 1m and 400d", "11:25 it is not between 1m and 400d", "11:37 it is not between 1m and 400d"],
        ),
        ("provider: generic", "provider: generic\n    logout: {}", &["`issuers[0].logout` lacks `audience`"]),
        ("provider: generic", "provider: generic\n    logout: { audience: \"\" }", &["can stand in no token"]),
    ]);
}

#[test]
fn targets_and_their_hosts() {
    let second = |lines: &str| format!("environment: staging\n  - {lines}");
    table(&[
        (
            "stage.cloud.databricks.com",
            "\"stage.cloud.databricks.com:443\"",
            &["is not a host in the form it is compared in; write `stage.cloud.databricks.com`"],
        ),
        ("stage.cloud.databricks.com", "https://stage.cloud.databricks.com/", &["write `stage.cloud.databricks.com`"]),
        ("stage.cloud.databricks.com", "stage.cloud.databricks.com.", &["write `stage.cloud.databricks.com`"]),
        ("stage.cloud.databricks.com", "\"a,b\"", &["write a host name in lower case"]),
        ("stage.cloud.databricks.com", "\"*.databricks.com\"", &["write a host name in lower case"]),
        // No request is found to be for such a host.
        ("stage.cloud.databricks.com", "sta_ge.cloud.databricks.com", &["write a host name in lower case"]),
        ("stage.cloud.databricks.com", "\"stage.cloud.databricks.com:443\"", &["write `stage.cloud.databricks.com`"]),
        ("stage.cloud.databricks.com", "a, a", &["`a` stands twice in the list"]),
        ("stage.cloud.databricks.com", "", &["`workspaces[0].hosts` is empty"]),
        ("\"1111111111111111\"", "\"0111\"", &["`0111` is not a workspace id; write the plain decimal number"]),
        ("\"1111111111111111\"", "\"+1\"", &["is not a workspace id"]),
        ("\"1111111111111111\"", "\"99999999999999999999\"", &["is not a workspace id"]),
        ("environment: staging", "environment: Staging", &["`Staging` is not a name"]),
        ("    environment: staging\n", "", &["`workspaces[0]` lacks `environment`"]),
        (
            "environment: staging",
            "environment: staging\n    account_id: 0A1B2C3D-4e5f-6071-8293-a4b5c6d7e8f9",
            &["is not an account id; write the UUID in lower case"],
        ),
        ("environment: staging", "environment: staging\n    trust: []", &["the list is empty; write `none`"]),
        ("environment: staging", "environment: staging\n    trust: some", &["`some` is not a value of `workspaces[0].trust`"]),
        ("environment: staging", &second("{name: stage, hosts: [b], environment: dev}"), &["the name `stage` stands twice"]),
        (
            "environment: staging",
            &second("{name: b, hosts: [stage.cloud.databricks.com], environment: dev}"),
            &["the host `stage.cloud.databricks.com` belongs to `workspaces[0]` too; several"],
        ),
        (
            "environment: staging",
            &second("{name: b, hosts: [b], environment: dev, workspace_id: \"1111111111111111\"}"),
            &["workspace_id `1111111111111111` stands twice"],
        ),
        (
            "policy:",
            "accounts: [{name: stage, hosts: [stage.cloud.databricks.com], account_id: 0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9}]\npolicy:",
            &["belongs to `workspaces[0]` too"],
        ),
    ]);
    let without = GOOD.split("workspaces:").next().unwrap().to_owned() + "policy: {dir: policies}\n";
    assert!(faults(&without).contains("no host is guarded; add `workspaces:` with at least one"));
}

#[test]
fn the_rest() {
    table(&[
        ("  dir: policies", "  mode: enforce", &["`policy` lacks `dir`"]),
        (
            "  dir: policies",
            "  dir: policies\n  candidate: policies",
            &["18:14 the folders of `dir` and `candidate` are one, or one is in the other"],
        ),
        ("  dir: policies", "  dir: policies\n  candidate: policies/next", &["the folders of `dir` and `candidate` are one, or one is in the other"]),
        ("  dir: policies", "  dir: policies\n  candidate: .", &["the folders of `dir` and `candidate` are one, or one is in the other"]),
        (
            "  dir: policies",
            "  dir: policies\n  shadow: {namespaces: [ml-dev]}",
            &["`ml-dev` is not a namespace of a trust domain; write `<trust domain>/<namespace>`"],
        ),
        ("  dir: policies", "  dir: policies\n  shadow: {namespaces: [cluster.local/ns/ml-dev]}", &["is not a namespace of a trust domain"]),
        ("  dir: policies", "  dir: policies\n  shadow: {namespaces: [\"cluster.local/*\"]}", &["is not a namespace of a trust domain"]),
        (
            "  dir: policies",
            "  dir: policies\n  shadow: {namespaces: [cluster.lokal/x]}",
            &["no caller is of the trust domain `cluster.lokal`; `peers.trust_domains` has `cluster.local`"],
        ),
        ("  dir: policies", "  dir: policies\n  shadow: {namespaces: [cluster.local/x, cluster.local/x]}", &["stands twice in the list"]),
        ("dir: policies", "dir: none", &["`none` cannot be read: entity not found"]),
        ("dir: policies", "dir: ca.crt", &["`ca.crt` is not a folder; name a folder, not a file"]),
        ("dir: policies", "dir: policies\n  entities: none.json", &["`none.json` cannot be read"]),
        ("version: 1", "version: 1\ntrust: {prefix: lakegate-}", &["`lakegate-` is not a prefix of trust headers; write `x-`"]),
        ("version: 1", "version: 1\ntrust: {prefix: x-Lake-}", &["is not a prefix of trust headers"]),
        ("version: 1", "version: 1\ntrust: {prefix: x-}", &["is not a prefix of trust headers"]),
        ("version: 1", "version: 1\ntrust: {prefix: x-databricks-}", &["claims headers of others"]),
        ("  check:", "  control: none/x.sock\n  check:", &["3:12 there is no folder"]),
        ("  check:", "  control: policies\n  check:", &["3:12 `policies` is a folder, not a file"]),
        ("  check:", "  control: ca.crt\n  check:", &["3:12 `ca.crt` is there and is no socket; name a file that lakegate may make"]),
        ("version: 1", "version: 1\naudit: {file: none/audit.jsonl}", &["there is no folder"]),
        ("version: 1", "version: 1\naudit: {file: policies}", &["`policies` is a folder, not a file"]),
        ("version: 1", "version: 1\nhelp_url: \"https://w/{id}\"", &["has an unknown placeholder; the only placeholder is `{decision}`"]),
        ("version: 1", "version: 1\nhelp_url: \"javascript:alert(1)\"", &["is not a URL that can be used here"]),
        ("version: 1", "version: 1\ntelemetry: {otlp: \"otel:4317\"}", &["is not a URL that can be used here"]),
        ("version: 1", "version: 1\nlimits: {body: 0B}", &["`limits.body` is 0B, out of bounds; write 1KiB to 256MiB"]),
        ("version: 1", "version: 1\nlimits: {body: 32MiB, bodies: 16MiB}", &["`limits.bodies` is 16MiB, out of bounds; write 32MiB to 16GiB"]),
        ("version: 1", "version: 1\nlimits: {token: 32KiB, headers: 16KiB}", &["`limits.headers` is 16KiB, out of bounds; write 32KiB to 1MiB"]),
        ("version: 1", "version: 1\nlimits: {streams: 0, connections: 100000}", &["`limits.streams` is 0", "`limits.connections` is 100000"]),
        ("version: 1", "version: 1\nfaults: {visible_after: 1h}", &["longer than 10m"]),
    ]);
}

#[test]
fn scopes() {
    let with = |scope: &str| format!("environment: staging\n    credentials: {{ mode: exchange, subject: caller, scope: {scope} }}");
    for scope in ["\"\"", "sql  jobs", "\"sql \"", "narrowest sql", "'sql\"'"] {
        table(&[("environment: staging", &with(scope), &["is not a list of scopes; write `narrowest`, or scopes with one space between each"])]);
    }
    for (scope, want) in [("narrowest", None), ("all-apis", Some("all-apis")), ("sql jobs", Some("sql jobs"))] {
        let config = parse(&GOOD.replacen("environment: staging", &with(scope), 1)).unwrap_or_else(|faults| panic!("{scope}: {faults:?}"));
        let Credentials::Minted(minted) = &config.targets[0].credentials else { panic!("{scope}: {config:?}") };
        assert_eq!(minted.scope.as_deref(), want, "{scope}");
    }
    let unused = "environment: staging\n    credentials: { mode: strip, scope: all-apis }";
    table(&[("environment: staging", unused, &["`scope` is of no use with `mode: strip`"])]);
}

#[test]
fn the_name_of_a_socket_is_as_long_as_the_system_takes() {
    let folder = folder();
    let longest = 107 - folder.path().as_os_str().len() - 1;
    for (length, good) in [(longest, true), (longest + 1, false), (250, false)] {
        let name = "s".repeat(length);
        let parsed = Config::parse(&folder.path().join("lakegate.yaml"), &GOOD.replacen("  check:", &format!("  control: {name}\n  check:"), 1));
        match parsed {
            Ok(config) => assert!(good && config.listen.control == Some(folder.path().join(name)), "{length}"),
            Err(faults) => {
                let said = faults.iter().map(ToString::to_string).collect::<String>();
                assert!(
                    !good && said.contains("bytes; the name of a socket has at most 107") && said.contains("write a shorter path"),
                    "{length}: {said}"
                );
            }
        }
    }
    // what the system itself says of it
    let bind = |length: usize| std::os::unix::net::UnixListener::bind(folder.path().join("s".repeat(length)));
    assert!(bind(longest).is_ok() && bind(longest + 1).is_err());
}

#[test]
fn what_is_echoed_is_escaped_and_cut() {
    let report = faults(&GOOD.replace("name: corp", &format!("name: \"\\e[31m{}\"", "a".repeat(5000))));
    assert!(report.contains("`\\u{1b}[31maaa") && report.contains('…') && report.len() < 400, "{report}");
    assert!(!report.contains('\u{1b}'));
}

#[test]
fn files_that_are_none() {
    let folder = folder();
    let load = |path: &Path| Config::load(path).expect_err("it should be refused").iter().map(ToString::to_string).collect::<String>();
    assert!(load(&folder.path().join("none.yaml")).contains("it cannot be read: entity not found"));
    assert!(load(folder.path()).contains("it is not a file"));
    let path = folder.path().join("lakegate.yaml");
    fs::write(&path, b"version: 1\nx: \xff").unwrap();
    assert!(load(&path).contains("lakegate.yaml:2: it is not UTF-8; save it as UTF-8"), "{}", load(&path));
    fs::write(&path, "#".repeat((1 << 20) + 1)).unwrap();
    assert!(load(&path).contains("it is longer than 1MiB"));
    fs::write(&path, GOOD).unwrap();
    let link = folder.path().join("link.yaml");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    assert!(Config::load(&link).is_ok(), "Kubernetes mounts files through links");
}

#[test]
fn introspection() {
    let with = |keys: &str| format!("provider: generic\n    introspection: {{ when: opaque, client_id: lakegate, {keys} }}");
    let cases: &[(&str, &str)] = &[
        ("auth: basic", "the client has no secret; name `secret_file` or `secret_env`"),
        ("secret_file: ca.crt, secret_env: X", "`secret_file` and `secret_env` exclude each other"),
        ("secret_file: not-there", "`not-there` cannot be read"),
        ("secret_env: LAKEGATE_TEST_NOT_SET", "the environment variable `LAKEGATE_TEST_NOT_SET` is not set; set it, or name `secret_file`"),
        ("secret_env: a-b", "`a-b` is not the name of an environment variable"),
        ("secret: s3cret", "unknown key `secret`"),
        ("auth: private_key_jwt", "`auth: private_key_jwt` needs a `key`"),
        ("auth: private_key_jwt, key: tls.key, secret_file: ca.crt", "`secret_file` does not go with this `auth`: `private_key_jwt` has no secret"),
        ("secret_file: ca.crt, key: tls.key", "`key` does not go with this `auth`: a key is for `auth: private_key_jwt`"),
        ("secret_file: ca.crt, key_id: k", "`key_id` does not go with this `auth`"),
        ("secret_file: ca.crt, window: 0s", "it is not 1s to 5m in whole seconds"),
        ("secret_file: ca.crt, window: 6m", "it is not 1s to 5m in whole seconds"),
        ("secret_file: ca.crt, window: 1500ms", "it is not 1s to 5m in whole seconds"),
        ("secret_file: ca.crt, endpoint: \"http://idp.example/introspect\"", "is not encrypted"),
        ("auth: none, secret_file: ca.crt", "`none` is not a value of `issuers[0].introspection.auth`"),
    ];
    for (keys, expected) in cases {
        table(&[("provider: generic", &with(keys), &[expected])]);
    }
    table(&[
        ("provider: generic", "provider: generic\n    introspection: {}", &["lacks `when`", "lacks `client_id`", "the client has no secret"]),
        ("provider: generic", "provider: generic\n    possession: always", &["`always` is not a value of `issuers[0].possession`"]),
    ]);
    let two = "provider: generic\n    introspection: { when: always, client_id: c, secret_file: ca.crt }\n    audiences: [lakegate]\n  - name: second\n    \
               issuer: https://second.example.com\n    provider: generic\n    introspection: { when: opaque, client_id: c, secret_file: ca.crt }";
    table(&[(
        "provider: generic",
        two,
        &["an earlier issuer is asked about opaque tokens too, and they do not say whose they are; write `when: signed`"],
    )]);
    assert!(parse(&GOOD.replacen("provider: generic", &two.replace("when: opaque", "when: signed"), 1)).is_ok());
}
