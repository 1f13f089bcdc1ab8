//! The order of knowledge: a module may name only what stands before it. A crate of this size knots by itself otherwise.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use syn::visit::Visit;

/// Every module with all it may name beside itself. A new module, or a new edge, is a change of the plan and belongs here first.
const HOUSE: &[(&str, &[&str])] = &[
    ("text", &[]),
    ("model", &["text"]),
    ("clock", &[]),
    ("digest", &["model"]),
    ("json", &["text"]),
    ("signer", &["digest"]),
    ("yaml", &["text", "model"]),
    ("telemetry", &["model", "clock"]),
    ("lifecycle", &["model", "clock", "telemetry"]),
    ("net", &["model", "clock", "telemetry"]),
    ("normalize", &["model", "text", "json", "clock", "telemetry"]),
    ("authn", &["model", "text", "digest", "json", "signer", "clock", "telemetry", "net"]),
    ("classify", &["model", "text", "digest", "json", "clock", "telemetry"]),
    ("authz", &["model", "text", "digest", "json", "yaml", "clock", "telemetry"]),
    ("broker", &["model", "text", "digest", "json", "signer", "clock", "telemetry", "net", "authz::Permit", "authz::Ordered"]),
    ("respond", &["model", "text", "digest", "json", "signer", "clock", "telemetry", "broker::Grant", "broker::Credential"]),
    ("audit", &["model", "json", "clock", "telemetry"]),
    ("pipeline", &["model", "text", "json", "clock", "telemetry", "normalize", "authn", "classify", "authz", "broker", "respond", "audit"]),
    ("replay", &["model", "text", "authn", "authz", "audit"]),
    ("inquiry", &["model", "text", "json", "normalize", "authn", "classify", "authz", "broker::Wanted", "audit", "pipeline"]),
    ("config", &["model", "text", "clock", "yaml", "net", "normalize", "authn", "classify", "authz", "broker", "respond", "audit"]),
    (
        "reload",
        &[
            "model",
            "signer",
            "clock",
            "telemetry",
            "lifecycle",
            "net",
            "normalize",
            "authn",
            "classify",
            "authz",
            "broker",
            "respond",
            "audit",
            "pipeline",
            "config",
        ],
    ),
    ("envoy", &["model", "digest", "clock", "telemetry", "lifecycle", "pipeline"]),
    ("admin", &["model", "text", "clock", "telemetry", "lifecycle", "authn", "authz", "broker", "audit", "pipeline", "inquiry", "reload"]),
    ("app", &["model", "clock", "telemetry", "lifecycle", "net", "authn", "audit", "pipeline", "config", "reload", "envoy", "admin"]),
    (
        "cli",
        &[
            "model",
            "text",
            "json",
            "signer",
            "clock",
            "telemetry",
            "lifecycle",
            "net",
            "normalize",
            "authn",
            "classify",
            "authz",
            "broker",
            "respond",
            "audit",
            "pipeline",
            "replay",
            "inquiry",
            "config",
            "reload",
            "envoy",
            "admin",
            "app",
        ],
    ),
    ("main", &["cli"]),
];

/// Paths that begin with `crate::` (or with the crate's own name in `main`), as `module` and `module::Item`.
#[derive(Default)]
struct Named(BTreeSet<(String, String)>);

impl Named {
    fn add(&mut self, segments: &[String]) {
        if let [root, module, rest @ ..] = segments
            && (root == "crate" || root == "lakegate")
        {
            self.0.insert((module.clone(), rest.first().cloned().unwrap_or_default()));
        }
    }

    fn tree(&mut self, before: &[String], tree: &syn::UseTree) {
        let with = |ident: &syn::Ident| [before, &[ident.to_string()]].concat();
        match tree {
            syn::UseTree::Path(path) => self.tree(&with(&path.ident), &path.tree),
            syn::UseTree::Name(name) => self.add(&with(&name.ident)),
            syn::UseTree::Rename(name) => self.add(&with(&name.ident)),
            syn::UseTree::Glob(_) => self.add(before),
            syn::UseTree::Group(group) => group.items.iter().for_each(|item| self.tree(before, item)),
        }
    }
}

impl<'ast> Visit<'ast> for Named {
    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.tree(&[], &item.tree);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        self.add(&path.segments.iter().map(|segment| segment.ident.to_string()).collect::<Vec<_>>());
        syn::visit::visit_path(self, path);
    }

    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        // Tests may look around; the table is about what is shipped.
        if item.ident != "tests" {
            syn::visit::visit_item_mod(self, item);
        }
    }
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn src() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// `authn` for src/authn.rs and for src/authn/keys.rs.
fn module_of(file: &Path) -> String {
    let first = file.strip_prefix(src()).unwrap().components().next().unwrap();
    first.as_os_str().to_str().unwrap().trim_end_matches(".rs").to_owned()
}

fn is_test(file: &Path) -> bool {
    let name = file.file_stem().unwrap().to_str().unwrap();
    name == "tests" || name == "fuzz" || file.components().any(|part| part.as_os_str() == "tests")
}

#[test]
fn every_module_names_only_what_stands_before_it() {
    let house: BTreeMap<&str, &[&str]> = HOUSE.iter().copied().collect();
    for (index, (module, may)) in HOUSE.iter().enumerate() {
        for name in *may {
            let name = name.split("::").next().unwrap();
            assert!(HOUSE[..index].iter().any(|(before, _)| *before == name), "`{module}` may name `{name}`, which does not stand before it");
        }
    }
    let mut wrong = Vec::new();
    let mut seen = BTreeSet::new();
    for file in sources(&src()).into_iter().filter(|file| !is_test(file)) {
        let module = module_of(&file);
        if module == "lib" {
            continue;
        }
        let Some(may) = house.get(module.as_str()) else {
            wrong.push(format!("{}: the module `{module}` is not in the table", file.display()));
            continue;
        };
        seen.insert(module.clone());
        let mut named = Named::default();
        named.visit_file(&syn::parse_file(&fs::read_to_string(&file).unwrap()).unwrap());
        for (other, item) in named.0 {
            let known = house.contains_key(other.as_str()) && other != module;
            if known && !may.contains(&other.as_str()) && !may.contains(&format!("{other}::{item}").as_str()) {
                wrong.push(format!("{}: names `{other}::{item}`", file.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let listed: BTreeSet<String> = HOUSE.iter().map(|(module, _)| (*module).to_owned()).collect();
    assert_eq!(seen, listed, "the table and the folder differ");
}

#[test]
fn files_are_small_rooms() {
    let mut wrong = Vec::new();
    for file in sources(&src()).into_iter().filter(|file| !is_test(file)) {
        let text = fs::read_to_string(&file).unwrap();
        let shipped = text.split("#[cfg(test)]\nmod tests {").next().unwrap().lines().count();
        let most = if file.ends_with("src/main.rs") { 40 } else { 400 };
        if shipped > most {
            wrong.push(format!("{}: {shipped} lines, at most {most}", file.display()));
        }
        if file.file_name().unwrap() == "mod.rs" {
            wrong.push(format!("{}: `foo.rs` beside `foo/`, never `mod.rs`", file.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn protobuf_is_known_to_envoy_alone() {
    for file in sources(&src()).into_iter().filter(|file| !is_test(file)) {
        let module = module_of(&file);
        let text = fs::read_to_string(&file).unwrap();
        for word in ["prost::", "envoy_types", "tonic::"] {
            assert!(!text.contains(word) || matches!(module.as_str(), "envoy" | "admin" | "app"), "{} names `{word}`", file.display());
        }
    }
}
