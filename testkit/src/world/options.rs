use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::envoy::Envoy;
use crate::lakegate::Serve;

/// What a world is made of.
pub struct Options {
    /// The lakegate binary.
    pub lakegate: PathBuf,
    /// The Envoy binary.
    pub envoy: PathBuf,
    /// Where everything is written, and stays; a temporary folder if none is given.
    pub folder: Option<PathBuf>,
    /// The policy files: name and text.
    pub policies: Vec<(String, String)>,
    /// Changes to the configuration before it is written; none by default.
    pub configure: Box<dyn Fn(&mut Value) + Send + Sync>,
    /// Whether lakegate's clock can be moved (`World::move_clock`); needs a binary built with the feature `test-clock`.
    pub test_clock: bool,
    /// Whether the gateway asks over mTLS.
    pub check_tls: bool,
}

// === impl Options ===

impl Options {
    /// A world around this binary, with the policies of the demo and the Envoy that `make tools` installs.
    #[must_use]
    pub fn new(lakegate: impl Into<PathBuf>) -> Self {
        Self {
            lakegate: lakegate.into(),
            envoy: Envoy::installed(),
            folder: None,
            policies: vec![("demo.cedar".to_owned(), include_str!("../../demo/policies/demo.cedar").to_owned())],
            configure: Box::new(|_| {}),
            test_clock: false,
            check_tls: false,
        }
    }

    #[must_use]
    pub fn folder(mut self, folder: PathBuf) -> Self {
        self.folder = Some(folder);
        self
    }

    /// Other policies than the demo's.
    #[must_use]
    pub fn policies(mut self, files: &[(&str, &str)]) -> Self {
        self.policies = files.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
        self
    }

    /// Changes the configuration before it is written, for instance `|config| config["peers"]["required"] = json!(false)`.
    #[must_use]
    pub fn configure(mut self, change: impl Fn(&mut Value) + Send + Sync + 'static) -> Self {
        self.configure = Box::new(change);
        self
    }

    /// Lets the test move lakegate's clock.
    #[must_use]
    pub fn test_clock(mut self) -> Self {
        self.test_clock = true;
        self
    }

    /// Has lakegate serve its check port over mTLS, to the gateway alone; the files are `certificates/lakegate.crt`, `.key` and `ca.crt`.
    #[must_use]
    pub fn check_tls(mut self) -> Self {
        self.check_tls = true;
        self
    }

    pub(super) fn serve<'a>(&'a self, folder: &'a Path, config: &'a Path, clock: &'a Path, admin: u16) -> Serve<'a> {
        Serve { binary: &self.lakegate, folder, config, admin, test_clock: self.test_clock.then_some(clock) }
    }
}
