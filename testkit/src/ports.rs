//! Free TCP ports on loopback, for processes that cannot be asked which port they bound.

use std::io;
use std::net::{Ipv4Addr, TcpListener};

/// `N` different ports that were free a moment ago.
///
/// All are held until all are found, so they differ. Another process may still take one before it is used: whoever uses them starts again with
/// others when binding fails.
///
/// # Errors
/// When no socket can be bound.
pub fn free<const N: usize>() -> io::Result<[u16; N]> {
    let mut held = Vec::with_capacity(N);
    let mut ports = [0; N];
    for port in &mut ports {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        *port = listener.local_addr()?.port();
        held.push(listener);
    }
    Ok(ports)
}

#[cfg(test)]
mod tests {
    #[test]
    fn ports_differ_and_can_be_bound() {
        let mut ports = super::free::<8>().unwrap().to_vec();
        ports.sort_unstable();
        ports.dedup();
        assert_eq!(ports.len(), 8);
    }
}
