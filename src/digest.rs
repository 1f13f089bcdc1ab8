//! SHA-256 over fields, so that no two lists of fields have the same bytes. No shorter hash will do where callers share what a digest stands for.

use aws_lc_rs::digest::{self, Context};

use crate::model::FieldValue;

/// A digest being made: every field is written behind its length, every list behind its count.
pub struct Fields(Context);

/// The digest of a whole text.
#[must_use]
pub fn of(text: &[u8]) -> [u8; 32] {
    bytes(&digest::digest(&digest::SHA256, text))
}

fn bytes(digest: &digest::Digest) -> [u8; 32] {
    let mut out = [0; 32];
    // SHA-256 is 32 bytes long, so that both sides agree.
    for (to, from) in out.iter_mut().zip(digest.as_ref()) {
        *to = *from;
    }
    out
}

// === impl Fields ===

impl Fields {
    #[must_use]
    pub fn new() -> Self {
        Self(Context::new(&digest::SHA256))
    }

    /// How many fields follow, where that is not always the same.
    pub fn count(&mut self, count: usize) -> &mut Self {
        self.0.update(&(count as u64).to_be_bytes());
        self
    }

    pub fn bytes(&mut self, field: &[u8]) -> &mut Self {
        self.count(field.len());
        self.0.update(field);
        self
    }

    pub fn text(&mut self, field: &str) -> &mut Self {
        self.bytes(field.as_bytes())
    }

    /// A field that may be absent, which is not the same as empty.
    pub fn option(&mut self, field: Option<&(impl AsRef<[u8]> + ?Sized)>) -> &mut Self {
        self.0.update(&[u8::from(field.is_some())]);
        self.bytes(field.as_ref().map(AsRef::as_ref).unwrap_or_default())
    }

    pub fn list(&mut self, items: &[impl AsRef<str>]) -> &mut Self {
        self.count(items.len());
        for item in items {
            self.text(item.as_ref());
        }
        self
    }

    /// A value behind the name of its kind, since a number and a text can have the same bytes.
    pub fn value(&mut self, value: &FieldValue) -> &mut Self {
        match value {
            FieldValue::Text(text) => self.text("text").text(text),
            FieldValue::Long(number) => self.text("long").bytes(&number.to_be_bytes()),
            FieldValue::Bool(yes) => self.text("bool").bytes(&[u8::from(*yes)]),
            FieldValue::Texts(texts) => self.text("texts").list(texts),
        }
    }

    #[must_use]
    pub fn finish(self) -> [u8; 32] {
        bytes(&self.0.finish())
    }
}

impl Default for Fields {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_fields(write: impl Fn(&mut Fields)) -> [u8; 32] {
        let mut fields = Fields::new();
        write(&mut fields);
        fields.finish()
    }

    #[test]
    fn other_fields_have_another_digest() {
        let all = [
            of_fields(|fields| _ = fields.text("ab").text("c")),
            of_fields(|fields| _ = fields.text("a").text("bc")),
            of_fields(|fields| _ = fields.text("abc")),
            of_fields(|fields| _ = fields.list(&["ab", "c"])),
            of_fields(|fields| _ = fields.option(Some("")).text("")),
            of_fields(|fields| _ = fields.option(None::<&str>).text("")),
            of_fields(|fields| _ = fields.value(&FieldValue::Text("1".to_owned()))),
            of_fields(|fields| _ = fields.value(&FieldValue::Long(1))),
            of_fields(|fields| _ = fields.value(&FieldValue::Bool(true))),
            of_fields(|fields| _ = fields.value(&FieldValue::Texts(vec!["1".to_owned()]))),
        ];
        let distinct: std::collections::HashSet<[u8; 32]> = all.into_iter().collect();
        assert_eq!(distinct.len(), all.len());
    }
}
