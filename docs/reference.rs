//! Writes the pages of the documentation that are made from the code: `make docs`. Tests compare what is committed with what this writes.

use std::{fs, io, path::Path};

use lakegate::{classify::Catalog, cli, config, respond};

/// Where the written part of a page ends and the generated one begins.
const MARK: &str = "<!-- reference: generated from the JSON Schema; a test compares it -->\n\n";

fn main() -> io::Result<()> {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
    fs::write(docs.join("reasons.md"), respond::reference())?;
    fs::write(docs.join("lakegate.schema.json"), config::json_schema())?;
    fs::write(docs.join("policy-tests.schema.json"), cli::test_schema())?;
    let page = docs.join("configuration.md");
    let text = fs::read_to_string(&page)?;
    let (introduction, _) = text.split_once(MARK).ok_or_else(|| io::Error::other("docs/configuration.md has lost its mark"))?;
    fs::write(&page, format!("{introduction}{MARK}{}", config::reference()))?;
    let catalog = Catalog::embedded().map_err(|faults| io::Error::other(faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")))?;
    fs::write(docs.join("catalog.md"), catalog.reference())
}
