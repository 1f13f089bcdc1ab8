use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use axum::Router;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// An HTTP server of the testkit on a free loopback port; it stops listening when dropped.
#[derive(Debug)]
pub(crate) struct Server {
    address: SocketAddr,
    task: JoinHandle<()>,
}

// === impl Server ===

impl Server {
    /// Binds first and serves then, so that what is served may name the port.
    pub(crate) async fn bind() -> io::Result<(TcpListener, SocketAddr)> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        Ok((listener, address))
    }

    pub(crate) fn serve(listener: TcpListener, address: SocketAddr, router: Router) -> Self {
        let task = tokio::spawn(async move {
            // axum's server only ends with its task: accept errors are retried inside
            let _ = axum::serve(listener, router).await;
        });
        Self { address, task }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}
