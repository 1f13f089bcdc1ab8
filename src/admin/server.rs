//! HTTP/1 for anyone who reaches a listener: few connections at a time, and none for long.

use std::{
    collections::VecDeque,
    io,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::Router;
use hyper::{Request, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    task::AbortHandle,
    time::{Instant, sleep, timeout},
};
use tokio_util::task::TaskTracker;
use tower::Service as _;

use crate::lifecycle::Drain;

/// Where connections come from: the admin port, or the control socket, which knows who is at the other end.
pub(super) trait Accept: Send + 'static {
    type Stream: AsyncRead + AsyncWrite + Send + Unpin + 'static;
    /// Who asks; an extension of each of their requests.
    type Client: Clone + Send + Sync + 'static;

    /// # Errors
    /// The system's.
    fn accept(&self) -> impl Future<Output = io::Result<(Self::Stream, Self::Client)>> + Send;
}

/// What one listener may cost.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Open connections, beside those that a [`Hold`] keeps. One more ends the oldest: whoever asks in earnest has long been answered, so that silent
    /// ones keep nobody out.
    pub connections: usize,
    /// How old a connection is at least that is ended for another: many that come at once are read before they are in each other's way.
    pub grace: Duration,
    /// For the head of a request, from when it may begin.
    pub head: Duration,
    /// For a connection, however busy it is.
    pub life: Duration,
    /// For the answer that is under way when a connection has to end.
    pub farewell: Duration,
}

/// Keeps the connection of a request from being ended for another; an extension of each request.
#[derive(Clone, Debug, Default)]
pub(super) struct Hold(Arc<AtomicBool>);

/// A connection stays as long as this is there.
#[derive(Debug)]
pub(super) struct Held(Arc<AtomicBool>);

/// One that was accepted.
struct Open {
    task: AbortHandle,
    hold: Hold,
    since: Instant,
}

/// Bytes of a request's head, and of an answer that waits to be written.
const BUFFER: usize = 16 * 1024;

/// How long to wait when no connection can be accepted: the usual cause is the limit of open files, which only time cures.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// How long to wait for a connection to end by itself before one that is old enough is looked for again.
const ROOM_PAUSE: Duration = Duration::from_millis(5);

// === impl TcpListener ===

impl Accept for TcpListener {
    type Stream = TcpStream;
    type Client = ();

    async fn accept(&self) -> io::Result<(TcpStream, ())> {
        Self::accept(self).await.map(|(stream, _)| (stream, ()))
    }
}

// === impl Limits ===

impl Limits {
    /// Of the control socket: a reload of many policies takes its time, and only those who may end lakegate anyway can take it.
    pub(super) const CONTROL: Self = Self { connections: 64, life: Duration::from_mins(5), ..Self::ADMIN };
    /// Of the admin port.
    pub(super) const ADMIN: Self = Self {
        connections: 512,
        grace: Duration::from_millis(500),
        head: Duration::from_secs(5),
        life: Duration::from_secs(30),
        farewell: Duration::from_millis(500),
    };
}

// === impl Hold ===

impl Hold {
    pub(super) fn keep(&self) -> Held {
        self.0.store(true, Ordering::Relaxed);
        Held(Arc::clone(&self.0))
    }

    fn is_kept(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

/// Serves `router` until `drain` begins, and then until the answers under way are out or [`Limits::farewell`] has passed.
pub(super) async fn serve(listener: impl Accept, router: Router, limits: Limits, drain: Drain) {
    let tasks = TaskTracker::new();
    let mut open = VecDeque::with_capacity(limits.connections);
    let mut ends = pin!(drain.clone().begun());
    let mut failing = false;
    loop {
        let accepted = tokio::select! {
            () = &mut ends => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, client)) => {
                failing = false;
                tokio::select! {
                    () = &mut ends => break,
                    () = room(&mut open, limits) => {}
                }
                let hold = Hold::default();
                let task = tasks.spawn(converse(stream, (client, hold.clone()), router.clone(), limits, drain.clone())).abort_handle();
                open.push_back(Open { task, hold, since: Instant::now() });
            }
            Err(error) => {
                if !std::mem::replace(&mut failing, true) {
                    tracing::warn!(%error, "connections to the admin port or the control socket cannot be accepted");
                }
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    tasks.close();
    tasks.wait().await;
}

/// Waits until there is room for one more connection, and ends the oldest that may be ended where none ends by itself.
async fn room(open: &mut VecDeque<Open>, limits: Limits) {
    loop {
        open.retain(|open| !open.task.is_finished());
        let mut counted = open.iter().enumerate().filter(|(_, open)| !open.hold.is_kept());
        let oldest = counted.next();
        if counted.count().saturating_add(1) < limits.connections {
            return;
        }
        let ending = oldest.filter(|(_, open)| open.since.elapsed() >= limits.grace).map(|(place, _)| place);
        if let Some(oldest) = ending.and_then(|place| open.remove(place)) {
            oldest.task.abort();
            return;
        }
        sleep(ROOM_PAUSE).await;
    }
}

async fn converse(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    (client, hold): (impl Clone + Send + Sync + 'static, Hold),
    router: Router,
    limits: Limits,
    drain: Drain,
) {
    // An axum router is always ready.
    let service = service_fn(|mut request: Request<Incoming>| {
        request.extensions_mut().insert(client.clone());
        request.extensions_mut().insert(hold.clone());
        router.clone().call(request)
    });
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(limits.head).max_buf_size(BUFFER);
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
    tokio::select! {
        // One that breaks is its client's affair.
        _ = &mut connection => return,
        () = drain.begun() => {}
        () = sleep(limits.life) => {}
    }
    connection.as_mut().graceful_shutdown();
    let _ = timeout(limits.farewell, connection).await;
}

#[cfg(test)]
mod tests {
    use std::{net::SocketAddr, sync::Arc};

    use axum::{Extension, routing::get};
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        sync::Semaphore,
        task::JoinHandle,
    };

    use super::*;
    use crate::lifecycle::{self, DrainTrigger};

    /// Long enough for any machine; a test that passes never waits for it.
    const PATIENCE: Duration = Duration::from_mins(1);

    /// Limits that no test reaches by itself.
    const WIDE: Limits = Limits { connections: 64, grace: Duration::from_millis(100), head: PATIENCE, life: PATIENCE, farewell: PATIENCE };

    struct Server {
        address: SocketAddr,
        /// What `/gate` waits for, once it has said so.
        gate: Arc<Semaphore>,
        arrived: Arc<Semaphore>,
        drain: DrainTrigger,
        done: JoinHandle<()>,
    }

    async fn start(limits: Limits) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let [gate, arrived] = [0, 0].map(|permits| Arc::new(Semaphore::new(permits)));
        let waits = |keeps: bool| {
            let (held, seen) = (Arc::clone(&gate), Arc::clone(&arrived));
            async move |Extension(hold): Extension<Hold>| {
                let _kept = keeps.then(|| hold.keep());
                seen.add_permits(1);
                drop(held.acquire().await);
                "through\n"
            }
        };
        let router = Router::new().route("/livez", get(async || "ok\n")).route("/gate", get(waits(false))).route("/kept", get(waits(true)));
        let (trigger, drain) = lifecycle::drain();
        let done = tokio::spawn(serve(listener, router, limits, drain));
        Server { address, gate, arrived, drain: trigger, done }
    }

    async fn connect(server: &Server, said: &str) -> TcpStream {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        stream.write_all(said.as_bytes()).await.unwrap();
        stream
    }

    /// What comes until the server closes.
    async fn rest(mut stream: TcpStream) -> String {
        let mut text = Vec::new();
        // A connection that is cut may end in a reset.
        let _ = timeout(PATIENCE, stream.read_to_end(&mut text)).await.expect("the server closes");
        String::from_utf8_lossy(&text).into_owned()
    }

    async fn ask(server: &Server, path: &str) -> String {
        rest(connect(server, &format!("GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")).await).await
    }

    #[tokio::test]
    async fn silent_connections_keep_nobody_out_and_are_never_many() {
        let server = start(WIDE).await;
        let mut silent = VecDeque::new();
        for _ in 0..200 {
            silent.push_back(connect(&server, "").await);
        }
        assert!(ask(&server, "/livez").await.ends_with("ok\n"));
        // All but the youngest 63, beside which the question stood.
        for stream in silent.drain(..137) {
            assert_eq!(rest(stream).await, "");
        }
        for stream in &mut silent {
            assert!(timeout(Duration::from_millis(1), stream.read(&mut [0])).await.is_err(), "still open");
        }
    }

    #[tokio::test]
    async fn what_is_held_stays_however_many_come() {
        let server = start(WIDE).await;
        let request = |path: &str| format!("GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
        let loose = connect(&server, &request("/gate")).await;
        let mut kept = Vec::new();
        for _ in 0..100 {
            kept.push(connect(&server, &request("/kept")).await);
        }
        server.arrived.acquire_many(101).await.unwrap().forget();
        let mut silent = Vec::new();
        for _ in 0..100 {
            silent.push(connect(&server, "").await);
        }
        assert_eq!(rest(loose).await, "", "it made room");
        assert!(ask(&server, "/livez").await.ends_with("ok\n"));
        server.gate.add_permits(1);
        for stream in kept {
            assert!(rest(stream).await.ends_with("through\n"));
        }
    }

    #[tokio::test]
    async fn those_that_come_at_once_are_all_answered() {
        let server = start(Limits { connections: 4, grace: PATIENCE, ..WIDE }).await;
        let answers = futures::future::join_all((0..200).map(|_| ask(&server, "/livez"))).await;
        assert!(answers.iter().all(|answer| answer.ends_with("ok\n")), "{answers:?}");
    }

    #[tokio::test]
    async fn a_head_that_does_not_come_is_cut() {
        let server = start(Limits { head: Duration::from_millis(100), ..WIDE }).await;
        let kept = "GET /livez HTTP/1.1\r\nhost: a\r\n\r\n";
        for said in ["", "G", "GET /livez HTTP/1.1\r\nhost: a", "GET /livez HTTP/1.1\r\nhost: a\r\nx: ", kept] {
            let got = rest(connect(&server, said).await).await;
            assert_eq!(got.ends_with("ok\n"), said == kept, "{said:?}: {got}");
        }
    }

    #[tokio::test]
    async fn a_head_that_is_too_long_is_refused() {
        let server = start(WIDE).await;
        let got = rest(connect(&server, &format!("GET /livez HTTP/1.1\r\nhost: a\r\nx: {}", "x".repeat(2 * BUFFER))).await).await;
        assert!(!got.contains("200 OK"), "{got}");
    }

    #[tokio::test]
    async fn a_busy_connection_ends_with_its_life() {
        let server = start(Limits { life: Duration::from_millis(200), ..WIDE }).await;
        let mut stream = connect(&server, "").await;
        let ends = async {
            while stream.write_all(b"GET /livez HTTP/1.1\r\nhost: a\r\n\r\n").await.is_ok()
                && stream.read(&mut [0; 1024]).await.is_ok_and(|read| read > 0)
            {}
        };
        timeout(PATIENCE, ends).await.expect("the server closes");
    }

    #[tokio::test]
    async fn an_answer_under_way_outlives_its_connection_only_by_the_farewell() {
        let server = start(Limits { life: Duration::from_millis(50), farewell: Duration::from_millis(50), ..WIDE }).await;
        assert_eq!(ask(&server, "/gate").await, "");
    }

    #[tokio::test]
    async fn draining_lets_the_answer_under_way_out_and_takes_no_more() {
        let server = start(Limits { head: Duration::from_millis(100), ..WIDE }).await;
        let asked = connect(&server, "GET /gate HTTP/1.1\r\nhost: a\r\n\r\n").await;
        drop(server.arrived.acquire().await);
        let silent = connect(&server, "").await;
        server.drain.fire();
        assert_eq!(rest(silent).await, "");
        assert!(!server.done.is_finished());
        server.gate.add_permits(1);
        assert!(rest(asked).await.ends_with("through\n"));
        timeout(PATIENCE, server.done).await.expect("the server ends").unwrap();
        assert!(TcpStream::connect(server.address).await.is_err());
    }
}
