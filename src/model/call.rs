use std::{borrow::Cow, net::IpAddr};

use smallvec::SmallVec;

use super::{Host, Proxy};

/// One request that can be read in one way only; what `normalize` makes of a [`RawCall`](super::RawCall).
#[derive(Debug)]
pub struct Call<'r> {
    /// An HTTP method: upper-case letters, digits, `-` or `_`.
    pub method: &'r str,
    pub host: Host<'r>,
    pub path: ApiPath<'r>,
    pub query: Query<'r>,
    pub headers: Headers<'r>,
    pub body: Body<'r>,
    pub upgrade: Option<Upgrade<'r>>,
    /// The mesh identity Envoy took from the caller's certificate, unparsed; `authn` decides what it is worth.
    pub principal: &'r [u8],
    /// The certificate that this was taken from, as URL-encoded PEM; empty unless Envoy is told to send it.
    pub certificate: &'r [u8],
    /// The proxy that asks; `None` where its connection proves nobody.
    pub proxy: Option<&'r Proxy>,
    /// The direct peer of Envoy.
    pub source_ip: Option<IpAddr>,
}

/// A path split at `/` and decoded once.
#[derive(Clone, Debug)]
pub struct ApiPath<'r> {
    /// As Envoy sent it, without the query.
    pub raw: &'r str,
    /// Every segment after the leading `/`. Only the last may be empty (a trailing slash); none is `.` or `..`.
    pub segments: SmallVec<[Segment<'r>; 12]>,
}

/// One path segment, percent-decoded once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment<'r> {
    pub text: Cow<'r, str>,
    /// Holds a `/` that was written `%2f`. Refused by `classify` wherever the endpoint does not take a path there.
    pub slashed: bool,
}

/// Decoded pairs of the query, in order. `+` is a space, as every Databricks client writes it.
#[derive(Clone, Debug, Default)]
pub struct Query<'r> {
    pub pairs: Vec<(Cow<'r, str>, Cow<'r, str>)>,
}

/// A key that must stand once stands several times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Repeated;

/// Every header of the request, names in lower case; the single-valued ones are known to stand at most once.
#[derive(Clone, Debug, Default)]
pub struct Headers<'r> {
    pub all: Vec<(&'r str, &'r [u8])>,
    /// `authorization`, visible ASCII, exactly one value.
    pub authorization: Option<&'r str>,
    /// `x-databricks-workspace-id` and its older spelling `x-databricks-org-id`, whichever are present.
    pub workspace_ids: SmallVec<[&'r str; 2]>,
    /// `x-request-id` where it is 1 to 128 visible ASCII characters.
    pub request_id: Option<&'r str>,
    /// W3C `traceparent` where it is well formed.
    pub traceparent: Option<&'r str>,
    /// `user-agent`: for the record only, never for a decision.
    pub user_agent: Option<&'r str>,
}

/// What can be known from the body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body<'r> {
    /// There is none.
    Absent,
    /// Complete and not encoded.
    Whole { bytes: &'r [u8], media: MediaType<'r> },
    /// There is one, but it can decide nothing.
    Unusable(BodyFault),
}

/// What the content type says, as far as it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MediaType<'r> {
    /// `application/json`, with no parameter but `charset=utf-8`.
    Json,
    /// `application/scim+json` (RFC 7644 §8.1), likewise.
    Scim,
    /// `application/x-www-form-urlencoded`.
    Form,
    /// `multipart/form-data` (RFC 7578), with no parameter but the boundary.
    FormData {
        /// 1 to 70 `bchars` (RFC 2046 §5.1.1), but no space and no comma.
        boundary: &'r str,
    },
    /// Anything else, or no content type.
    Other,
}

/// Why a body cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyFault {
    /// It is a form whose length nobody announced: more parts could stand behind what is seen.
    Unmeasured,
    /// Envoy sent only its beginning (`x-envoy-auth-partial-body`, or a length that does not agree), or it is over the limit.
    Cut,
    /// It has a `content-encoding`.
    Encoded,
}

/// The protocol that the client asks to switch to (`websocket`, …) or tunnel by (`CONNECT`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upgrade<'r>(pub Cow<'r, str>);

// === impl Query ===

impl Query<'_> {
    /// The value of `key` (compared after decoding), or `None` where it is absent.
    ///
    /// # Errors
    /// [`Repeated`] where the key stands more than once, whatever its values.
    pub fn single(&self, key: &str) -> Result<Option<&str>, Repeated> {
        let mut found = self.pairs.iter().filter(|(name, _)| name == key);
        let first = found.next().map(|(_, value)| value.as_ref());
        if found.next().is_some() { Err(Repeated) } else { Ok(first) }
    }
}

// === impl Headers ===

impl<'r> Headers<'r> {
    /// Every value of `name` (lower case), in order.
    pub fn values(&self, name: &str) -> impl Iterator<Item = &'r [u8]> {
        self.all.iter().filter(move |(have, _)| *have == name).map(|(_, value)| *value)
    }
}
