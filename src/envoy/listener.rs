//! The check port: bound first, served later.

use std::{
    future::Future,
    io,
    net::{SocketAddr, TcpListener},
    pin::pin,
    sync::Arc,
    time::Duration,
};

use socket2::{Domain, Protocol, Socket, Type};
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;

use super::{
    Connections, Decide, Health, Metrics, Tls, TlsConfig, TlsError,
    check::Check,
    connection::{self, Place, Shared},
    front::{self, Front},
    meter::Meter,
    metrics::Refused,
};

/// Where checks are taken, from whom, and how much of everything. Durations and sizes are of one check or connection unless said otherwise.
#[derive(Clone, Debug)]
pub struct Config {
    pub address: SocketAddr,
    /// Who may ask; `None` only on loopback, or where `insecure` is set.
    pub tls: Option<TlsConfig>,
    /// Anyone who reaches the port may ask.
    pub insecure: bool,
    /// Concurrent streams of one connection.
    pub streams: u32,
    /// Connections in all.
    pub connections: usize,
    /// Bytes of one `CheckRequest`.
    pub message: usize,
    /// Bytes of all `CheckRequest`s in memory.
    pub bodies: usize,
    /// Bytes of the gRPC request's own headers (not of the headers that are checked).
    pub headers: u32,
    /// For the TLS handshake, and again for the HTTP/2 preface.
    pub handshake: Duration,
    /// How long a connection may carry no check.
    pub idle: Duration,
    /// Checks being decided, in all.
    pub concurrency: usize,
    /// The longest a check may take, whatever its caller allows.
    pub deadline: Duration,
}

/// The bound check port, not yet serving.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    address: SocketAddr,
    config: Config,
    tls: Option<Tls>,
    health: Health,
    routes: Routes,
    metrics: Metrics,
    connections: Connections,
}

/// Why the check port cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    #[error("`{0}` can be reached from outside, so it needs `tls` with `client_ca` and `allow`, or `insecure: true`")]
    Exposed(SocketAddr),
    #[error("`{0}` cannot be opened")]
    Socket(SocketAddr, #[source] io::Error),
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error("the descriptors for reflection cannot be read")]
    Descriptors(#[from] tonic_reflection::server::Error),
}

/// How many connections may wait to be accepted.
const BACKLOG: i32 = 1024;

/// How long to wait when none can be accepted: the usual cause is the limit of open files, which only time cures.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

// === impl Config ===

impl Config {
    /// The defaults for `address`, without TLS.
    #[must_use]
    pub fn new(address: SocketAddr) -> Self {
        Self {
            address,
            tls: None,
            insecure: false,
            streams: 200,
            connections: 1024,
            message: 4 * 1024 * 1024,
            bodies: 64 * 1024 * 1024,
            headers: 96 * 1024,
            handshake: Duration::from_secs(5),
            idle: Duration::from_mins(10),
            concurrency: 1024,
            deadline: Duration::from_secs(2),
        }
    }
}

// === impl Listener ===

impl Listener {
    /// Opens the port and reads the certificates; connections wait until [`Self::serve`].
    ///
    /// # Errors
    /// [`BindError`] where the address is taken, a certificate file is no good, or anyone could ask and nobody said that they may.
    pub async fn bind(config: Config, metrics: Metrics) -> Result<Self, BindError> {
        if config.tls.is_none() && !config.insecure && !config.address.ip().to_canonical().is_loopback() {
            return Err(BindError::Exposed(config.address));
        }
        let tls = config.tls.clone().map(Tls::load).transpose()?;
        let health = Health::new().await;
        let routes = front::routes(&health)?;
        let (socket, address) = open(config.address).map_err(|error| BindError::Socket(config.address, error))?;
        Ok(Self { socket, address, config, tls, health, routes, metrics, connections: Connections::default() })
    }

    /// The real address, where the configured port was 0.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// What the port says about itself; not serving until it is told.
    #[must_use]
    pub fn health(&self) -> Health {
        self.health.clone()
    }

    /// The certificates, to reload them when their files change.
    #[must_use]
    pub fn tls(&self) -> Option<Tls> {
        self.tls.clone()
    }

    /// The connections, to cut those that outlive the time there is to end.
    #[must_use]
    pub fn connections(&self) -> Connections {
        self.connections.clone()
    }

    /// Answers checks until `shutdown`, then closes the port and returns once every open check has its answer (or its deadline), or the connections
    /// have been cut.
    ///
    /// # Errors
    /// Where the socket cannot be handed to the runtime. A connection that cannot be accepted is none: files run out and come back.
    pub async fn serve<D: Decide>(self, decide: Arc<D>, shutdown: impl Future<Output = ()>) -> io::Result<()> {
        let socket = tokio::net::TcpListener::from_std(self.socket)?;
        let check = Check::new(decide, &self.config, self.metrics.clone());
        let stop = CancellationToken::new();
        let connections = self.connections;
        let shared = Arc::new(Shared {
            front: Arc::new(Front::new(check, self.routes)),
            tls: self.tls,
            metrics: self.metrics,
            handshake: self.config.handshake,
            idle: self.config.idle,
            http2: connection::http2(&self.config, connections.clone()),
            stop: stop.clone(),
        });
        let places = Meter::new(self.config.connections);
        let mut shutdown = pin!(shutdown);
        let mut failing = false;
        loop {
            let accepted = tokio::select! {
                () = &mut shutdown => break,
                () = connections.are_cut() => break,
                accepted = socket.accept() => accepted,
            };
            match accepted {
                Ok((stream, _)) => {
                    failing = false;
                    if let Some(share) = places.take(1) {
                        let place = Place::new(&shared.metrics, share);
                        let shared = Arc::clone(&shared);
                        connections.spawn(async move { shared.run(stream, place).await });
                    } else {
                        // Closed at once: a proxy that is refused tries another replica, one that waits does not.
                        shared.metrics.refused(Refused::Full);
                    }
                }
                Err(error) => {
                    if !std::mem::replace(&mut failing, true) {
                        tracing::warn!(%error, "connections cannot be accepted");
                    }
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        drop(socket);
        stop.cancel();
        connections.have_ended().await;
        Ok(())
    }
}

fn open(address: SocketAddr) -> io::Result<(TcpListener, SocketAddr)> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // A restart must not wait for the old process's connections to time out; two listeners on one port still conflict.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    let socket = TcpListener::from(socket);
    let address = socket.local_addr()?;
    Ok((socket, address))
}
