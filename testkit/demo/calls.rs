use lakegate_testkit::authority::Identity;
use lakegate_testkit::issuer::{Signature, TokenSpec};
use lakegate_testkit::raw::Request;
use lakegate_testkit::world::{STAGE, Workloads};
use serde_json::json;

/// One request of the demo, and what must come of it.
pub(crate) struct Call {
    pub(crate) title: String,
    pub(crate) workload: Workload,
    /// The caller's token; none sends no `Authorization` at all.
    pub(crate) token: Option<TokenSpec>,
    pub(crate) request: Request,
    pub(crate) expected: Expected,
    /// What the workspace must have seen.
    pub(crate) seen: Vec<Seen>,
}

#[derive(Clone, Copy)]
pub(crate) enum Workload {
    Trainer,
    Notebook,
}

#[derive(Clone, Debug)]
pub(crate) enum Expected {
    /// It reaches the workspace, permitted by this policy.
    Allow { action: &'static str, resource: &'static str, policy: &'static str },
    /// It does not, for this reason; action and resource where the call is known.
    Deny { status: u16, reason: &'static str, action: Option<&'static str>, resource: Option<&'static str> },
}

/// A header as the workspace must have seen it: once with this value, or not at all.
pub(crate) struct Seen {
    pub(crate) header: &'static str,
    pub(crate) value: Option<&'static str>,
}

// === impl Workload ===

impl Workload {
    pub(crate) fn identity(self, workloads: &Workloads) -> &Identity {
        match self {
            Self::Trainer => &workloads.trainer,
            Self::Notebook => &workloads.notebook,
        }
    }

    /// Namespace and account.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Trainer => "ml-staging/trainer",
            Self::Notebook => "dev/notebook",
        }
    }
}

// === impl Call ===

impl Call {
    /// A call by alice, an ML engineer, from the trainer.
    fn new(title: &str, request: Request, expected: Expected) -> Self {
        Self { title: title.to_owned(), workload: Workload::Trainer, token: Some(TokenSpec::new()), request, expected, seen: Vec::new() }
    }

    fn token(mut self, token: TokenSpec) -> Self {
        self.token = Some(token);
        self
    }

    fn without_token(mut self) -> Self {
        self.token = None;
        self
    }

    fn from(mut self, workload: Workload) -> Self {
        self.workload = workload;
        self
    }

    fn sees(mut self, header: &'static str, value: Option<&'static str>) -> Self {
        self.seen.push(Seen { header, value });
        self
    }
}

const QUERY: &str = "serving_endpoints.query";

/// All calls, in the order in which they are told.
pub(crate) fn all() -> Vec<Call> {
    let mut calls = people();
    calls.extend(bad_tokens());
    calls.extend(requests());
    calls
}

/// Who calls, from where, about what.
fn people() -> Vec<Call> {
    let permitted = |resource| Expected::Allow { action: QUERY, resource, policy: "ml-query-staging" };
    let refused = |reason, action, resource| Expected::Deny { status: 403, reason, action: Some(action), resource: Some(resource) };
    vec![
        Call::new("alice queries an endpoint", query("sales"), permitted("stage/sales")),
        Call::new("the same from a foreign namespace", query("sales"), refused("POLICY_NO_PERMIT", QUERY, "stage/sales")).from(Workload::Notebook),
        Call::new("bob is in no group", query("sales"), refused("POLICY_NO_PERMIT", QUERY, "stage/sales")).token(TokenSpec::person("bob", &[])),
        Call::new("an endpoint closed to all", query("closed"), refused("POLICY_FORBIDS", QUERY, "stage/closed")),
        Call::new("no token", query("sales"), refused("POLICY_NO_PERMIT", QUERY, "stage/sales")).without_token(),
        Call::new(
            "no token, a policy for the workload",
            query("churn"),
            Expected::Allow { action: QUERY, resource: "stage/churn", policy: "trainer-queries-churn" },
        )
        .without_token(),
    ]
}

fn bad_tokens() -> Vec<Call> {
    let refused = |reason| Expected::Deny { status: 401, reason, action: None, resource: None };
    vec![
        Call::new("an expired token", query("churn"), refused("TOKEN_EXPIRED")).token(TokenSpec::expired()),
        Call::new("a forged token", query("churn"), refused("TOKEN_BAD_SIGNATURE")).token(TokenSpec::new().signed(Signature::Foreign)),
        Call::new("an unsigned token (alg: none)", query("churn"), refused("TOKEN_MALFORMED")).token(TokenSpec::unsigned()),
    ]
}

/// What a request says in odd places.
fn requests() -> Vec<Call> {
    let run = |job: i64| request("POST", "/api/2.2/jobs/run-now").json(&json!({ "job_id": job }));
    let refused = |status, reason| Expected::Deny { status, reason, action: None, resource: None };
    let spoofed =
        query("sales").header("x-lakegate-subject", "corp/admin").header("x_lakegate_subject", "corp/admin").header("x.lakegate.groups", "admins");
    vec![
        Call::new("spoofed trust headers", spoofed, Expected::Allow { action: QUERY, resource: "stage/sales", policy: "ml-query-staging" })
            .sees("x-lakegate-subject", Some("corp/alice"))
            .sees("x_lakegate_subject", None)
            .sees("x.lakegate.groups", None),
        Call::new(
            "an ambiguous path",
            request("POST", "/serving-endpoints/sales%5c..%5cclosed/invocations").json(&json!({ "inputs": [[1]] })),
            refused(400, "PATH_AMBIGUOUS"),
        ),
        Call::new("a job named in the body", run(42), Expected::Allow { action: "jobs.run_now", resource: "stage/42", policy: "ml-run-job-42" }),
        Call::new(
            "another job in the body",
            run(43),
            Expected::Deny { status: 403, reason: "POLICY_NO_PERMIT", action: Some("jobs.run_now"), resource: Some("stage/43") },
        ),
        Call::new("a call that nobody knows", request("GET", "/api/2.0/no-such-thing"), refused(403, "CALL_UNKNOWN")),
        Call::new(
            "a write",
            request("DELETE", "/api/2.0/serving-endpoints/sales"),
            Expected::Deny { status: 403, reason: "POLICY_NO_PERMIT", action: Some("serving_endpoints.delete"), resource: Some("stage/sales") },
        ),
    ]
}

fn request(method: &str, target: &str) -> Request {
    Request::new(method, STAGE.host, target)
}

fn query(endpoint: &str) -> Request {
    request("POST", &format!("/serving-endpoints/{endpoint}/invocations")).json(&json!({ "inputs": [[1, 2, 3]] }))
}
