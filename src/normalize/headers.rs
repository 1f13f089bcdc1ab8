use super::{
    Config, connection,
    found::{Found, Partial},
    text, value,
};
use crate::{
    model::{HeaderForm, Headers, RawCall, Reason, Refusal, header},
    text::quoted_bytes,
};

/// The headers that decide something: each may stand once, under exactly this name.
pub(super) const DECIDING: [&str; 10] = [
    "authorization",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "host",
    "transfer-encoding",
    "upgrade",
    "x-databricks-org-id",
    "x-databricks-workspace-id",
];

/// A header that decides nothing: more than one is none (Trace Context, section 3.2), and no reason to refuse.
#[derive(Clone, Copy, Debug, Default)]
enum Lone<'r> {
    #[default]
    Unseen,
    Once(Option<&'r str>),
    Several,
}

/// One pass over the headers, and what it has found so far.
struct Reader<'r, 'c> {
    form: HeaderForm,
    trust_prefix: &'c str,
    headers: Headers<'r>,
    found: Found<'r>,
    request_id: Lone<'r>,
    traceparent: Lone<'r>,
}

/// Reads every header once, in either form. Only what decides is held to account; the rest is passed on as it is.
pub(super) fn read<'r>(raw: &'r RawCall, config: &Config) -> Result<(Headers<'r>, Found<'r>), Refusal> {
    if raw.header_form() == HeaderForm::Both {
        return Err(Refusal::new(Reason::HeaderAmbiguous, "the check holds its headers in two forms, and they may differ"));
    }
    let mut reader = Reader {
        form: raw.header_form(),
        trust_prefix: &config.trust_prefix,
        headers: Headers { all: Vec::with_capacity(raw.headers().size_hint().0), ..Headers::default() },
        found: Found::default(),
        request_id: Lone::default(),
        traceparent: Lone::default(),
    };
    let mut size = 0_usize;
    for (name, value) in raw.headers() {
        size = size.saturating_add(name.len()).saturating_add(value.len());
        if size > config.header_limit {
            let detail = format!("the headers are longer than the limit of {} bytes", config.header_limit);
            return Err(Refusal::new(Reason::RequestMalformed, detail));
        }
        reader.take(name, value)?;
    }
    Ok(reader.finish())
}

// === impl Reader ===

impl<'r> Reader<'r, '_> {
    fn take(&mut self, name: &'r [u8], value: &'r [u8]) -> Result<(), Refusal> {
        if let Some(pseudo) = name.strip_prefix(b":") {
            return self.pseudo(pseudo, value);
        }
        let name = header_name(name)?;
        if value.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0)) {
            return Err(refuse(name, "holds a line break or a NUL"));
        }
        self.headers.all.push((name, value));
        self.decide(name, value)
    }

    fn pseudo(&mut self, name: &[u8], value: &'r [u8]) -> Result<(), Refusal> {
        match name {
            b"method" => once(&mut self.found.method, ":method", value),
            b"path" => once(&mut self.found.path, ":path", value),
            b"scheme" => once(&mut self.found.scheme, ":scheme", value),
            b"authority" => once(&mut self.found.authority, ":authority", value),
            b"protocol" => once(&mut self.found.protocol, ":protocol", value::plain(self.form, ":protocol", value)?),
            _ => Err(refuse_name(name, "is not a pseudo-header of HTTP")),
        }
    }

    fn decide(&mut self, name: &'r str, value: &'r [u8]) -> Result<(), Refusal> {
        match name {
            "authorization" => {
                let credential = value::filled(self.form, name, value)?;
                once(&mut self.headers.authorization, name, credential)
            }
            "x-databricks-workspace-id" => once(&mut self.found.workspace_id, name, value::filled(self.form, name, value)?),
            "x-databricks-org-id" => once(&mut self.found.org_id, name, value::filled(self.form, name, value)?),
            "host" => once(&mut self.found.host, name, value),
            "content-type" => once(&mut self.found.content_type, name, value::plain(self.form, name, value)?),
            "content-length" => once(&mut self.found.content_length, name, value::length(value)?),
            "transfer-encoding" => once(&mut self.found.transfer_encoding, name, value::plain(self.form, name, value)?),
            "upgrade" => once(&mut self.found.upgrade, name, value::filled(self.form, name, value)?),
            // A list by its nature (RFC 9110, section 8.4): several codings are one more reason not to read the body.
            "content-encoding" => {
                self.found.encoded |= !value.eq_ignore_ascii_case(b"identity");
                Ok(())
            }
            "connection" => {
                self.found.switches |= connection::nominated(value, self.trust_prefix)?;
                Ok(())
            }
            "x-envoy-auth-partial-body" => {
                let whole = value == b"false" && self.found.partial.is_none();
                self.found.partial = Some(if whole { Partial::Whole } else { Partial::Cut });
                Ok(())
            }
            "x-request-id" => {
                self.request_id.see(value::request_id(value));
                Ok(())
            }
            "traceparent" => {
                self.traceparent.see(value::traceparent(value));
                Ok(())
            }
            "user-agent" => {
                self.headers.user_agent = value::user_agent(value);
                Ok(())
            }
            _ => alias(name),
        }
    }

    fn finish(mut self) -> (Headers<'r>, Found<'r>) {
        self.headers.workspace_ids = self.found.workspace_id.into_iter().chain(self.found.org_id).collect();
        self.headers.request_id = self.request_id.value();
        self.headers.traceparent = self.traceparent.value();
        (self.headers, self.found)
    }
}

// === impl Lone ===

impl<'r> Lone<'r> {
    fn see(&mut self, value: Option<&'r str>) {
        *self = if matches!(self, Self::Unseen) { Self::Once(value) } else { Self::Several };
    }

    fn value(self) -> Option<&'r str> {
        if let Self::Once(value) = self { value } else { None }
    }
}

fn once<T>(slot: &mut Option<T>, name: &str, value: T) -> Result<(), Refusal> {
    if slot.replace(value).is_some() { Err(refuse(name, "stands several times")) } else { Ok(()) }
}

/// A name in lower case, of the characters of a token (RFC 9110, section 5.1). Envoy lower-cases every name, so another case is not Envoy's.
fn header_name(name: &[u8]) -> Result<&str, Refusal> {
    let token = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_.!#$%&'*+^`|~".contains(byte);
    match text::visible(name) {
        Some(text) if !name.is_empty() && name.iter().all(token) => Ok(text),
        _ => Err(refuse_name(name, "is not the name of a header in lower case")),
    }
}

/// Refuses a name that another reader takes for a deciding one. Aliases of our own trust headers are removed later, and no reason to refuse.
fn alias(name: &str) -> Result<(), Refusal> {
    match DECIDING.iter().find(|deciding| header::same(name, deciding)) {
        Some(deciding) => Err(refuse(name, format_args!("is another spelling of `{deciding}`"))),
        None => Ok(()),
    }
}

#[cold]
fn refuse_name(name: &[u8], wrong: &str) -> Refusal {
    Refusal::new(Reason::HeaderAmbiguous, format!("{} {wrong}", quoted_bytes(name)))
}

/// Names the header, never its value: that may be a credential.
#[cold]
pub(super) fn refuse(name: &str, wrong: impl std::fmt::Display) -> Refusal {
    Refusal::new(Reason::HeaderAmbiguous, format!("the header {} {wrong}", quoted_bytes(name)))
}
