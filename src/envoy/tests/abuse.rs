//! Clients that break HTTP/2's manners, written frame by frame (RFC 9113 §6).

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::{super::Config, world::*};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;

const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

const REFUSED_STREAM: u32 = 7;
const ENHANCE_YOUR_CALM: u32 = 11;

/// `POST http://a/`, in HPACK's static table.
const POST: &[u8] = &[0x83, 0x86, 0x84, 0x01, 0x01, b'a'];

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("short").to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// A connection past its preface.
async fn rude(server: &Server) -> TcpStream {
    let mut stream = TcpStream::connect(server.address).await.expect("a connection");
    stream.write_all(&[PREFACE, &frame(SETTINGS, 0, 0, &[])].concat()).await.expect("written");
    stream
}

/// The next frame: kind, stream and payload; `None` where the server has closed.
async fn next(stream: &mut TcpStream) -> Option<(u8, u32, Vec<u8>)> {
    let mut head = [0; 9];
    stream.read_exact(&mut head).await.ok()?;
    let mut payload = vec![0; usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2])];
    stream.read_exact(&mut payload).await.ok()?;
    Some((head[3], u32::from_be_bytes([head[5], head[6], head[7], head[8]]), payload))
}

/// The error code of the GOAWAY by which the server ends the connection; `None` where it just closed.
async fn farewell(mut stream: TcpStream) -> Option<u32> {
    while let Some((kind, _, payload)) = next(&mut stream).await {
        if kind == GOAWAY {
            return payload.get(4..8).map(|code| u32::from_be_bytes(code.try_into().expect("four")));
        }
    }
    None
}

/// Writes until the server hangs up, in pieces of `make(stream id)`.
async fn flood(stream: &mut TcpStream, count: u32, make: impl Fn(u32) -> Vec<u8>) {
    for chunk in 0..count.div_ceil(100) {
        let frames: Vec<u8> = (chunk * 100..(chunk + 1) * 100).flat_map(|n| make(2 * n + 1)).collect();
        if stream.write_all(&frames).await.is_err() {
            return;
        }
    }
}

#[tokio::test]
async fn streams_beyond_the_cap_are_refused_one_by_one() {
    let server = Server::start(Config { streams: 3, ..loopback() }).await;
    let mut stream = rude(&server).await;
    flood(&mut stream, 1, |id| if id < 20 { frame(HEADERS, END_HEADERS, id, POST) } else { Vec::new() }).await;
    let mut refused = Vec::new();
    while refused.len() < 7 {
        let (kind, id, payload) = next(&mut stream).await.expect("still open");
        if kind == RST_STREAM {
            assert_eq!(payload, REFUSED_STREAM.to_be_bytes());
            refused.push(id);
        }
    }
    assert_eq!(refused, [7, 9, 11, 13, 15, 17, 19]);
}

#[tokio::test]
async fn a_storm_of_resets_ends_the_connection() {
    let server = Server::start(loopback()).await;
    let mut stream = rude(&server).await;
    // CVE-2023-44487: the client opens and resets.
    flood(&mut stream, 5000, |id| [frame(HEADERS, END_HEADERS | END_STREAM, id, POST), frame(RST_STREAM, 0, id, &[0, 0, 0, 8])].concat()).await;
    assert!(matches!(farewell(stream).await, Some(ENHANCE_YOUR_CALM) | None));
    assert_eq!(ask(&server.client().await, "/").await, ALLOWED);
}

#[tokio::test]
async fn a_client_that_makes_us_reset_is_sent_away() {
    let server = Server::start(loopback()).await;
    let mut stream = rude(&server).await;
    // CVE-2025-8671: each stream's window overflows, and the reset is ours.
    let overflow = |id| [frame(HEADERS, END_HEADERS, id, POST), frame(WINDOW_UPDATE, 0, id, &[0x7f, 0xff, 0xff, 0xff])].concat();
    flood(&mut stream, 20_000, overflow).await;
    assert!(matches!(farewell(stream).await, Some(ENHANCE_YOUR_CALM) | None));
    assert_eq!(ask(&server.client().await, "/").await, ALLOWED);
}

#[tokio::test]
async fn a_flood_of_pings_does_not_stop_others() {
    let server = Server::start(loopback()).await;
    let client = server.client().await;
    let (mut reads, mut writes) = rude(&server).await.into_split();
    let drain = tokio::spawn(async move { tokio::io::copy(&mut reads, &mut tokio::io::sink()).await });
    let storm = tokio::spawn(async move {
        let pings = frame(PING, 0, 0, &[0; 8]).repeat(1000);
        while writes.write_all(&pings).await.is_ok() {}
    });
    for _ in 0..20 {
        assert_eq!(ask(&client, "/").await, ALLOWED);
    }
    storm.abort();
    drain.abort();
}
