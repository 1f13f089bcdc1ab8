//! A line to a provider that can be cut: what a caller sees of a provider that is down, while others go on asking it.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// A TCP port on loopback whose connections lead to another one; cut when dropped.
#[derive(Debug)]
pub struct Line {
    port: u16,
    taken: Arc<AtomicUsize>,
    up: watch::Sender<bool>,
    task: JoinHandle<()>,
}

// === impl Line ===

impl Line {
    /// A line to this port.
    ///
    /// # Errors
    /// When no socket can be bound.
    pub async fn to(port: u16) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let (up, seen) = watch::channel(true);
        let taken = Arc::new(AtomicUsize::new(0));
        let line = listener.local_addr()?.port();
        let task = tokio::spawn(serve(listener, (Ipv4Addr::LOCALHOST, port).into(), seen, Arc::clone(&taken)));
        Ok(Self { port: line, taken, up, task })
    }

    /// Where it begins.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// How many connections were made, those while it was cut included.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.taken.load(Ordering::SeqCst)
    }

    /// Ends every connection, and each new one at once.
    pub fn cut(&self) {
        self.up.send_replace(false);
    }

    /// Lets new connections through again.
    pub fn mend(&self) {
        self.up.send_replace(true);
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.cut();
        self.task.abort();
    }
}

async fn serve(listener: TcpListener, to: SocketAddr, up: watch::Receiver<bool>, taken: Arc<AtomicUsize>) {
    while let Ok((mut near, _)) = listener.accept().await {
        taken.fetch_add(1, Ordering::SeqCst);
        let mut up = up.clone();
        tokio::spawn(async move {
            let carried = async {
                let mut far = TcpStream::connect(to).await?;
                copy_bidirectional(&mut near, &mut far).await
            };
            // the end of either side, or of the line, ends both; nobody waits for how
            // (a line that is cut must not begin to connect)
            tokio::select! {
                biased;
                _ = up.wait_for(|up| !up) => {}
                _ = carried => {}
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn a_line_carries_until_it_is_cut() {
        let far = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let line = Line::to(far.local_addr().unwrap().port()).await.unwrap();
        let near = || TcpStream::connect((Ipv4Addr::LOCALHOST, line.port()));
        let mut one = near().await.unwrap();
        let (mut other, _) = far.accept().await.unwrap();
        other.write_all(b"hello").await.unwrap();
        let mut text = [0; 5];
        one.read_exact(&mut text).await.unwrap();
        assert_eq!(&text, b"hello");

        line.cut();
        assert!(one.read(&mut text).await.is_ok_and(|read| read == 0) && other.read(&mut text).await.is_ok_and(|read| read == 0));
        assert!(!near().await.unwrap().read(&mut text).await.is_ok_and(|read| read > 0));
        line.mend();
        near().await.unwrap().write_all(b"again").await.unwrap();
        let (mut other, _) = far.accept().await.unwrap();
        other.read_exact(&mut text).await.unwrap();
        assert_eq!((&text, line.connections()), (b"again", 3));
    }
}
