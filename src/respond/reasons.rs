//! docs/reasons.md, made from the enum so that it cannot lie.

use std::fmt::Write as _;

use super::deny::{error_code, status, title};
use crate::model::Reason;

/// The text of docs/reasons.md: every reason with its status, `error_code` and meaning.
#[must_use]
pub fn reference() -> String {
    let mut out = String::from(
        "# Reasons\n\nEvery refusal carries one of these codes: in `details[].reason` of the answer, in `reason` of the audit record and in the label `reason` \
         of `lakegate_decisions_total`. Codes are stable. This page is generated (`make docs`).\n\n\
         | reason | status | `error_code` | meaning |\n|---|---|---|---|\n",
    );
    for reason in Reason::ALL {
        let (now, later) = (status(reason, false), status(reason, true));
        let status = if now == later { now.code().to_string() } else { format!("{}, later {}", now.code(), later.code()) };
        let _ = writeln!(out, "| `{}` | {status} | `{}` | {} |", reason.code(), error_code(now), title(reason));
    }
    out.push_str(
        "\nA fault (503) carries `Retry-After: 1`, so that clients retry while a retry may help. Once it has lasted longer than `faults.visible_after` (20 s) it is \
         answered with 403, so that SDKs stop and show it. A hidden object (`POLICY_HIDES`) is answered as `RESOURCE_DOES_NOT_EXIST`; only the record has the reason.\n",
    );
    out
}
