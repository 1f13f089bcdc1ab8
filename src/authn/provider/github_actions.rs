use super::{Algorithm, HOUR, JWTS, KindRule, Place, Profile, Reach};

/// ID tokens of jobs (GitHub, *OpenID Connect reference*). The subject is as GitHub or the repository's owner composes it: with ids
/// (`repo:acme@65/ml@74:ref:…`) since 2026-07-15, with names alone before. Branch names and environments are attributes, so that a policy need not take
/// the subject apart. `environment` is there only for a job that names one; `head_ref` and `base_ref` are empty but for pull requests and left out.
pub(super) const PROFILE: Profile = Profile {
    token_types: JWTS,
    algorithms: &[Algorithm::RS256],
    // Minutes; never longer than a job.
    longest_token_s: 6 * HOUR,
    subject: "sub",
    groups: None,
    roles: &[],
    clients: &[],
    ids: &["jti"],
    kind: KindRule::ServicePrincipal,
    attributes: &[
        ("actor", &["actor"]),
        ("actor_id", &["actor_id"]),
        ("enterprise", &["enterprise"]),
        ("environment", &["environment"]),
        ("event_name", &["event_name"]),
        ("job_workflow_ref", &["job_workflow_ref"]),
        ("ref", &["ref"]),
        ("ref_type", &["ref_type"]),
        ("repository", &["repository"]),
        ("repository_id", &["repository_id"]),
        ("repository_owner", &["repository_owner"]),
        ("repository_owner_id", &["repository_owner_id"]),
        ("repository_visibility", &["repository_visibility"]),
        ("run_attempt", &["run_attempt"]),
        ("run_id", &["run_id"]),
        ("runner_environment", &["runner_environment"]),
        ("sha", &["sha"]),
        ("workflow", &["workflow"]),
        ("workflow_ref", &["workflow_ref"]),
    ],
    id_tokens: false,
    // Not `job_workflow_ref`, since everybody may call a public reusable workflow, nor `sub`, whose form each repository's owner chooses.
    pins: &[&["repository_owner"], &["repository_owner_id"], &["repository"], &["repository_id"], &["enterprise"], &["enterprise_id"]],
};

/// `https://token.actions.githubusercontent.com` serves every repository of github.com; with an enterprise's slug behind it (*Customizing the issuer
/// value for an enterprise*), on `ghe.com` and on GitHub Enterprise Server (`https://<host>/_services/token`) it serves one enterprise.
pub(super) fn reach(place: &Place<'_>) -> Result<Reach, &'static str> {
    let resident = place.host.starts_with("token.actions.") && place.host.ends_with(".ghe.com");
    match (place.host, place.segments().as_slice()) {
        ("token.actions.githubusercontent.com", []) => Ok(Reach::Anyone),
        ("token.actions.githubusercontent.com", [slug]) if !slug.is_empty() => Ok(Reach::Own),
        (_, []) if resident => Ok(Reach::Own),
        (_, [slug]) if resident && !slug.is_empty() => Ok(Reach::Own),
        (_, ["_services", "token"]) => Ok(Reach::Own),
        _ if place.is_loopback() => Ok(Reach::Anyone),
        _ => Err(
            "write `https://token.actions.githubusercontent.com`, the same with `/<enterprise>` behind it, `https://token.actions.<name>.ghe.com`, or \
            `https://<host>/_services/token` for GitHub Enterprise Server",
        ),
    }
}
