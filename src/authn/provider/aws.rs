use super::{Algorithm, Claims, HOUR, JWTS, KindRule, Place, Profile, Reach, Refusal, Value, bad, needed};

/// Tokens of `sts:GetWebIdentityToken` (AWS IAM, *Understanding token claims*). The subject is the ARN of the role or user that asked for it; account,
/// tags and where it ran stand in one claim whose name is a URL. People who come through IAM Identity Center share the role: `identity_store_user_id`
/// tells them apart. The role of the ARN is a role to policies. `request_tags` are what the caller says of itself and prove nothing.
pub(super) const PROFILE: Profile = Profile {
    token_types: JWTS,
    algorithms: &[Algorithm::RS256, Algorithm::ES384],
    // `GetWebIdentityToken` gives one hour at most (`DurationSeconds`).
    longest_token_s: 2 * HOUR,
    subject: "sub",
    groups: None,
    roles: &[],
    clients: &[],
    ids: &["jti"],
    kind: KindRule::ServicePrincipal,
    attributes: &[
        ("account", &[STS, "aws_account"]),
        ("identity_store_user_id", &[STS, "identity_store_user_id"]),
        ("instance_arn", &[STS, "ec2_source_instance_arn"]),
        ("lambda_arn", &[STS, "lambda_source_function_arn"]),
        ("org_id", &[STS, "org_id"]),
        ("ou_path", &[STS, "ou_path"]),
        ("region", &[STS, "source_region"]),
        ("source_identity", &[STS, "source_identity"]),
    ],
    id_tokens: false,
    pins: &[],
};

const STS: &str = "https://sts.amazonaws.com/";

/// `https://<uuid>.tokens.sts.global.api.aws`: each account has its own, so that naming it is naming the account.
pub(super) fn reach(place: &Place<'_>) -> Result<Reach, &'static str> {
    let own = place.path.is_empty() && place.host.split_once(".tokens.sts.").is_some_and(|(account, _)| !account.is_empty());
    if own || place.is_loopback() {
        return Ok(Reach::Own);
    }
    Err("write the account's own issuer, as `aws iam get-outbound-web-identity-federation-info` shows it: `https://<id>.tokens.sts.global.api.aws`")
}

/// The account of the claims is that of the ARN.
pub(super) fn admit(claims: &Claims<'_>) -> Result<(), Refusal> {
    let facts = claims.get(STS).and_then(Value::as_object).ok_or_else(|| bad("the token has no object `https://sts.amazonaws.com/`"))?;
    // arn:<partition>:<service>:<region>:<account>:<resource>
    let of_subject = needed(claims, "sub")?.split(':').nth(4).filter(|account| !account.is_empty());
    let of_claims = facts.get("aws_account").and_then(Value::as_text);
    if of_subject.is_some() && of_subject == of_claims { Ok(()) } else { Err(bad("the token's `sub` is no ARN of its `aws_account`")) }
}

/// The name of the role in the subject, which is unique in its account whatever path is before it: `arn:aws:iam::<account>:role/<path>/<name>`, or
/// `arn:aws:sts::<account>:assumed-role/<name>/<session>`. `None` for a user.
pub(super) fn role<'c>(claims: &'c Claims<'_>) -> Result<Option<&'c str>, Refusal> {
    let resource = needed(claims, "sub")?.splitn(6, ':').nth(5).unwrap_or_default();
    let name = match resource.split_once('/') {
        Some(("role", rest)) => rest.rsplit('/').next(),
        Some(("assumed-role", rest)) => rest.split('/').next(),
        _ => None,
    };
    Ok(name.filter(|name| !name.is_empty()))
}
