//! Whether a connection is alive: what came in, and what is being answered.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The 24 bytes every HTTP/2 client begins with and an empty SETTINGS frame (RFC 9113 §3.4).
const PREFACE: usize = 24 + 9;

/// One connection's counts. No clock is read per check: who waits compares counts.
#[derive(Debug, Default)]
pub(super) struct Pulse {
    /// Bytes read, saturating.
    received: AtomicUsize,
    /// Checks being answered.
    open: AtomicUsize,
    /// Checks begun and ended, wrapping.
    beats: AtomicUsize,
}

/// One check being answered.
pub(super) struct Turn<'p>(&'p Pulse);

/// A connection whose bytes are counted.
#[derive(Debug)]
pub(super) struct Counted<S> {
    stream: S,
    pulse: Arc<Pulse>,
}

// === impl Pulse ===

impl Pulse {
    pub(super) fn turn(&self) -> Turn<'_> {
        self.open.fetch_add(1, Ordering::Relaxed);
        self.beats.fetch_add(1, Ordering::Relaxed);
        Turn(self)
    }

    /// Whether the client has said enough to be an HTTP/2 client.
    pub(super) fn has_preface(&self) -> bool {
        self.received.load(Ordering::Relaxed) >= PREFACE
    }

    /// Waits until no check was open, begun or ended for a whole `interval`, which takes between one and two of them.
    pub(super) async fn quiet(&self, interval: Duration) {
        loop {
            let before = self.beats.load(Ordering::Relaxed);
            tokio::time::sleep(interval).await;
            if self.open.load(Ordering::Relaxed) == 0 && self.beats.load(Ordering::Relaxed) == before {
                return;
            }
        }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
        self.0.beats.fetch_add(1, Ordering::Relaxed);
    }
}

// === impl Counted ===

impl<S> Counted<S> {
    pub(super) fn new(stream: S, pulse: Arc<Pulse>) -> Self {
        Self { stream, pulse }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Counted<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if !self.pulse.has_preface() {
            // Only this task writes it, and only until the preface is there.
            self.pulse.received.fetch_add(buffer.filled().len().saturating_sub(before), Ordering::Relaxed);
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Counted<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
