//! The composition root: a configuration becomes bound listeners, and bound listeners become a running service.

mod background;
mod decide;
mod watch;

use std::{io, net::SocketAddr, path::Path, sync::Arc, time::Duration};

use tokio::net::TcpListener;

use crate::{
    admin::{self, Admin, Control, Controls},
    audit::{self, Auditor},
    clock::Clock,
    config::{AuditSink, Config, Fsync, LogFormat, OnFailure},
    envoy::{self, BindError, Listener, Tls, TlsConfig, TlsError},
    lifecycle::{self, Drain, Guard, Readiness},
    model::{Fault, SpiffePattern},
    net,
    pipeline::Pipeline,
    reload::{self, Compiled, Compiler, Published, Watcher},
    telemetry::{self, logs, trace::Tracer},
};

/// A service whose ports are bound and whose configuration is whole, but which answers nobody yet.
#[derive(Debug)]
pub struct Bound {
    pub addresses: Addresses,
    listener: Listener,
    admin: Admin,
    control: Option<Control>,
    pipeline: Arc<Pipeline>,
    published: Arc<Published>,
    compiler: Compiler,
    config: Config,
    writer: audit::Writer,
    readiness: Readiness,
    guard: Guard,
    tracer: Tracer,
    causes: watch::Causes,
}

/// Where it listens, with the ports that the system chose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Addresses {
    pub check: SocketAddr,
    pub admin: SocketAddr,
}

/// Why a service did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// What the operator wrote cannot be served.
    #[error("the configuration cannot be served")]
    Invalid(Vec<Fault>),
    /// The machine does not give what is asked for: a port in use, a file that cannot be opened.
    #[error("{what}: {cause}")]
    Failed { what: String, cause: String },
}

/// How long requests in flight may take to end.
const DRAIN: Duration = Duration::from_secs(8);

/// How long connections that are cut off may take to be gone.
const CUT: Duration = Duration::from_secs(1);

/// How long the last records and spans may take to be written.
const WRITE_OUT: Duration = Duration::from_secs(3);

/// Bytes that one check may have beside its body: headers, names, addresses.
const ENVELOPE: usize = 256 * 1024;

/// Checks that may be decided at once; more are shed.
const CONCURRENCY: usize = 4096;

/// Records that may wait for the audit writer.
const AUDIT_QUEUE: usize = 16 * 1024;

/// Reads the configuration at `file`, compiles what it names and binds its ports.
///
/// # Errors
/// [`StartError::Invalid`] with every fault found, or [`StartError::Failed`] with what the machine refused.
pub async fn build(file: &Path, clock: Clock) -> Result<Bound, StartError> {
    let client = net::Client::new(&net::Config::default()).map_err(|error| failed("the outbound client cannot be made", error))?;
    let compiler = Compiler::new(file, client, clock.clone()).map_err(StartError::Invalid)?;
    let watcher = Watcher::new(Config::load(file).map_err(StartError::Invalid)?.watched());
    let Compiled { config, snapshot, warnings } = compiler.compile(None).map_err(StartError::Invalid)?;
    logs::start(config.telemetry.log.as_str(), config.telemetry.log_format == LogFormat::Json)
        .map_err(|error| failed("logging cannot start", error))?;
    let mut registry = telemetry::registry();
    let metrics = envoy::Metrics::default();
    metrics.register(&mut registry);
    let listener = Listener::bind(check(&config)?, metrics).await.map_err(|error| unbound(&config, error))?;
    let admin = config.listen.admin;
    let admin = TcpListener::bind(admin).await.map_err(|error| failed(&format!("listen.admin `{admin}` cannot be opened"), error))?;
    let (trigger, requests) = reload::requests();
    // A process that drains may hold the folder still, and blocks nobody by it but this start.
    let authenticator = Arc::clone(&snapshot.authenticator);
    let held = tokio::task::spawn_blocking(move || authenticator.keep_revocations()).await;
    held.map_err(|error| error.to_string()).and_then(|held| held).map_err(|error| failed("state_dir", error))?;
    // Only a service that has its ports asks anybody for anything.
    snapshot.authenticator.register(&mut registry);
    snapshot.authorizer.register(&mut registry);
    snapshot.broker.register(&mut registry);
    snapshot.authenticator.refresh();
    let (auditor, writer) = Auditor::start(&audit(&config), clock.clone(), &mut registry).map_err(|error| failed("audit.file", error))?;
    let published = Arc::new(Published::new(snapshot, warnings, clock.clone(), &mut registry));
    watch::load_candidate(&config, &published, None);
    let tracer = match &config.telemetry.otlp {
        Some(endpoint) => Tracer::otlp(endpoint).map_err(|error| failed("telemetry.otlp", error))?,
        None => Tracer::default(),
    };
    let pipeline = Arc::new(Pipeline::new(published.cell(), auditor.clone(), clock.clone(), tracer.clone(), &mut registry));
    let controls = Controls { published: Arc::clone(&published), trigger, clock: clock.clone() };
    let control = config.listen.control.as_deref().map(|path| control(path, controls)).transpose()?;
    let readiness = Readiness::default();
    let guard = readiness.hold("listeners");
    let sources = admin::Sources { readiness: readiness.clone(), published: Arc::clone(&published), auditor, registry, clock };
    let admin = Admin::new(admin, sources);
    let addresses = Addresses { check: listener.local_addr(), admin: admin.local_addr().map_err(|error| failed("listen.admin", error))? };
    let causes = watch::Causes { watcher, requests };
    Ok(Bound { addresses, listener, admin, control, pipeline, published, compiler, config, writer, readiness, guard, tracer, causes })
}

// === impl Bound ===

impl Bound {
    /// Serves until `stop` returns; then is unready, lets requests in flight end, writes every record, and returns.
    ///
    /// # Errors
    /// What ended the service early, or that records could not be written.
    pub async fn run(self, stop: impl Future<Output = ()>) -> io::Result<()> {
        let Self { listener, admin, control, pipeline, published, compiler, config, writer, readiness, guard, tracer, causes, addresses } = self;
        let (trigger, drain) = lifecycle::drain();
        let (end_admin, admin_drain) = lifecycle::drain();
        let (health, tls, connections) = (listener.health(), listener.tls(), listener.connections());
        let mut watching = tokio::spawn(watch::follow(compiler, config, published, causes, tls, drain.clone()));
        let telling = tokio::spawn(tell_health(readiness.clone(), health, drain.clone()));
        let mut checks = tokio::spawn(listener.serve(pipeline, drain.clone().begun()));
        let mut admins = tokio::spawn(serve_admin(admin, control, admin_drain));
        tracing::info!(check = %addresses.check, admin = %addresses.admin, "lakegate serves");
        drop(guard);
        // A part that ends by itself takes the process with it: a half-dead service would stay ready.
        let early = tokio::select! {
            () = stop => Ok(()),
            ended = &mut checks => Err(early("the check listener", ended)),
            ended = &mut admins => Err(early("the admin listener", ended)),
            ended = &mut watching => Err(early("the watch over the files", ended.map(Ok))),
        };
        readiness.drain();
        tokio::time::sleep(lifecycle::LAME_DUCK).await;
        trigger.fire();
        if !checks.is_finished() && tokio::time::timeout(DRAIN, &mut checks).await.is_err() {
            tracing::warn!("requests in flight outlived the drain deadline and are cut off");
            // Every record that is still open is closed by this, as aborted.
            let _ = tokio::time::timeout(CUT, connections.cut()).await;
            let _ = tokio::time::timeout(CUT, &mut checks).await;
        }
        watching.abort();
        telling.abort();
        end_admin.fire();
        if !admins.is_finished() {
            let _ = tokio::time::timeout(Duration::from_secs(1), &mut admins).await;
        }
        let ended = tokio::task::spawn_blocking(move || {
            tracer.shutdown();
            writer.finish()
        });
        let written = tokio::time::timeout(WRITE_OUT, ended).await;
        tracing::info!("lakegate has stopped");
        early.and(match written {
            Ok(Ok(Ok(()))) => Ok(()),
            Ok(Ok(Err(lost))) => Err(io::Error::other(format!("{lost} audit records could not be written"))),
            Ok(Err(_)) | Err(_) => Err(io::Error::other("audit records could not be written in time")),
        })
    }
}

/// The admin port, and the control socket where there is one.
async fn serve_admin(admin: Admin, control: Option<Control>, drain: Drain) -> io::Result<()> {
    let controlled = async {
        if let Some(control) = control {
            control.serve(drain.clone()).await;
        }
    };
    tokio::join!(admin.serve(drain.clone()), controlled).0
}

fn early(what: &str, ended: Result<io::Result<()>, tokio::task::JoinError>) -> io::Error {
    let cause = match ended {
        Ok(Ok(())) => "it ended by itself".to_owned(),
        Ok(Err(error)) => error.to_string(),
        Err(error) => error.to_string(),
    };
    tracing::error!(what, cause, "a part of lakegate failed; it stops");
    io::Error::other(format!("{what}: {cause}"))
}

/// Tells gRPC health checks what readiness is.
async fn tell_health(readiness: Readiness, health: envoy::Health, drain: Drain) {
    let mut state = readiness.follow();
    let follow = async {
        loop {
            let ready = *state.borrow_and_update();
            health.set(ready).await;
            if state.changed().await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        () = follow => {}
        () = drain.begun() => health.set(false).await,
    }
}

/// Whether the files of `listen.tls` hold what they should. Their names are in the configuration; what is in them only a listener would notice.
///
/// # Errors
/// The file that cannot be used, and why.
pub fn certificates(config: &Config) -> Result<(), Vec<Fault>> {
    let Some(tls) = &config.listen.tls else { return Ok(()) };
    // Who may ask is another matter, and the pattern of each was read with the configuration.
    let files = TlsConfig { cert: tls.cert.clone(), key: tls.key.clone(), client_ca: tls.client_ca.clone(), allow: Vec::new() };
    Tls::load(files).map(drop).map_err(|error| vec![tls_fault(error)])
}

fn check(config: &Config) -> Result<envoy::Config, StartError> {
    let tls = config.listen.tls.as_ref().map(|tls| {
        let allow: Result<Vec<_>, _> = tls.allow.iter().map(|pattern| SpiffePattern::parse(pattern)).collect();
        Ok(TlsConfig {
            cert: tls.cert.clone(),
            key: tls.key.clone(),
            client_ca: tls.client_ca.clone(),
            allow: allow.map_err(|error| failed("listen.tls.allow", error))?,
        })
    });
    let limits = &config.limits;
    Ok(envoy::Config {
        tls: tls.transpose()?,
        insecure: config.listen.insecure,
        streams: limits.streams,
        connections: limits.connections,
        message: limits.body.saturating_add(ENVELOPE),
        // One message has its envelope beside the body, and must find room.
        bodies: limits.bodies.max(limits.body.saturating_add(ENVELOPE)),
        headers: u32::try_from(limits.headers).unwrap_or(u32::MAX),
        concurrency: CONCURRENCY,
        ..envoy::Config::new(config.listen.check)
    })
}

fn audit(config: &Config) -> audit::Config {
    audit::Config {
        sink: match &config.audit.sink {
            AuditSink::File(path) => audit::Sink::File(path.clone()),
            AuditSink::Stdout => audit::Sink::Stdout,
        },
        on_failure: match config.audit.on_failure {
            OnFailure::Deny => audit::OnFailure::Deny,
            OnFailure::Allow => audit::OnFailure::Allow,
        },
        fsync: match config.audit.fsync {
            Fsync::Batch => audit::Fsync::Batch,
            Fsync::Always => audit::Fsync::Always,
        },
        queue: AUDIT_QUEUE,
    }
}

fn control(path: &Path, controls: Controls) -> Result<Control, StartError> {
    Control::bind(path, controls).map_err(|error| failed(&format!("listen.control `{}` cannot be opened", path.display()), error))
}

/// A certificate file that is no good is the operator's; an address that cannot be had is the machine's.
fn unbound(config: &Config, error: BindError) -> StartError {
    match error {
        BindError::Tls(error) => StartError::Invalid(vec![tls_fault(error)]),
        BindError::Socket(address, cause) => failed(&format!("listen.check `{address}` cannot be opened"), cause),
        other => failed(&format!("listen.check `{}`", config.listen.check), other),
    }
}

fn tls_fault(error: TlsError) -> Fault {
    let help =
        "`listen.tls` wants the chain in `cert`, leaf first, its private key in `key` and the authorities of the proxies in `client_ca`, all in PEM";
    Fault { file: error.file, line: None, column: None, message: error.message, help: Some(help.to_owned()) }
}

fn failed(what: &str, cause: impl std::fmt::Display) -> StartError {
    StartError::Failed { what: what.to_owned(), cause: cause.to_string() }
}
