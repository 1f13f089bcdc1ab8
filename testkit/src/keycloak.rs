//! A real Keycloak, one for all tests of a process, with a realm of its own for each test that asks.
//!
//! `make identity-tools` installs it. Users, clients and roles of a realm stand in `testkit/keycloak/*.json`; every password and secret in there is
//! [`SECRET`].

mod admin;
mod federation;
mod realm;
mod server;

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::OnceCell;

use crate::form;
pub use realm::{Realm, Tokens};
use server::Server;

/// The password of every user and the secret of every client; only ever used on loopback.
pub const SECRET: &str = "not-a-secret";

const ML: &str = include_str!("../keycloak/ml.json");
const PARTNER: &str = include_str!("../keycloak/partner.json");

static SHARED: OnceCell<Server> = OnceCell::const_new();
static REALMS: AtomicUsize = AtomicUsize::new(0);

/// The way to the running Keycloak.
#[derive(Clone, Debug)]
pub struct Keycloak {
    port: u16,
    http: reqwest::Client,
}

// === impl Keycloak ===

impl Keycloak {
    /// The Keycloak of this process, started by whoever asks first; it ends with the process.
    ///
    /// # Errors
    /// When it is not installed or does not start; the message has what it wrote.
    pub async fn shared() -> io::Result<Self> {
        let server = SHARED.get_or_try_init(Server::start).await?;
        // a client of its own: connections live in the runtime of the test that made them
        let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_mins(4)).build().map_err(io::Error::other)?;
        Ok(Self { port: server.port(), http })
    }

    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// A new realm out of `ml.json`: alice, bob, and the clients `notebook`, `ci`, `agent`, `elsewhere` and `lakegate`.
    ///
    /// # Errors
    /// When Keycloak refuses it.
    pub async fn ml(&self) -> io::Result<Realm> {
        self.realm(ML).await
    }

    /// A new realm out of `partner.json`: another organization's, with the user paula.
    ///
    /// # Errors
    /// When Keycloak refuses it.
    pub async fn partner(&self) -> io::Result<Realm> {
        self.realm(PARTNER).await
    }

    async fn realm(&self, file: &str) -> io::Result<Realm> {
        let mut facts: Value = serde_json::from_str(file)?;
        let name = format!("{}-{}", admin::text(&facts, "realm")?, REALMS.fetch_add(1, Ordering::SeqCst) + 1);
        admin::merge(&mut facts, &json!({ "realm": name }));
        let token = admin::token(&self.http, self.port).await?;
        let url = format!("http://127.0.0.1:{}/admin/realms", self.port);
        form::done("a new realm", self.http.post(url).bearer_auth(token).json(&facts)).await?;
        Ok(Realm::new(self.http.clone(), self.port, name))
    }
}
