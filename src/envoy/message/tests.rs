use std::convert::Infallible;

use futures::stream;
use http_body_util::StreamBody;

use super::*;

/// `flag`, a length and `content`, cut into DATA frames of `size` bytes.
fn body(flag: u8, length: usize, content: &[u8], size: usize) -> impl Body<Data = Bytes, Error = Infallible> + Unpin {
    let mut wire = vec![flag];
    wire.extend_from_slice(&u32::try_from(length).expect("short").to_be_bytes());
    wire.extend_from_slice(content);
    let frames: Vec<_> = wire.chunks(size).map(|chunk| Ok(Frame::data(Bytes::copy_from_slice(chunk)))).collect();
    StreamBody::new(stream::iter(frames))
}

#[tokio::test]
async fn a_message_is_the_same_however_it_is_cut() {
    let content: Vec<u8> = (0..=255).collect();
    for size in [1, 2, 4, 5, 6, 100, 260, 1000] {
        let room = Meter::new(261);
        let message = read(body(0, 256, &content, size), 256, &room).await.expect("a message");
        assert_eq!(message.bytes, content, "{size}");
        assert_eq!(room.used(), 261, "held while the message is");
        drop(message);
        assert_eq!(room.used(), 0);
    }
}

#[tokio::test]
async fn what_is_not_one_message_is_refused() {
    let cases: [(&str, u8, usize, &[u8], Unreadable); 6] = [
        ("cut", 0, 5, b"four", Unreadable::Malformed),
        ("followed by more", 0, 3, b"four", Unreadable::Malformed),
        ("compressed", 1, 4, b"four", Unreadable::Malformed),
        ("an unknown flag", 2, 4, b"four", Unreadable::Malformed),
        ("over the limit", 0, 11, b"elevenbytes", Unreadable::TooLong),
        ("said to be over the limit", 0, 11, b"ten bytes!", Unreadable::TooLong),
    ];
    for (what, flag, length, content, expected) in cases {
        for size in [1, 7, 100] {
            let room = Meter::new(100);
            assert_eq!(read(body(flag, length, content, size), 10, &room).await.err(), Some(expected), "{what}, {size}");
            assert_eq!(room.used(), 0, "{what}");
        }
    }
    for size in [1, 7, 100] {
        let room = Meter::new(14);
        assert_eq!(read(body(0, 10, b"ten bytes!", size), 10, &room).await.err(), Some(Unreadable::NoRoom), "{size}");
        assert_eq!(room.used(), 0);
    }
    let empty = StreamBody::new(stream::iter(Vec::<Result<Frame<Bytes>, Infallible>>::new()));
    assert_eq!(read(empty, 10, &Meter::new(10)).await.err(), Some(Unreadable::Malformed));
}

#[tokio::test]
async fn a_reply_is_one_message_and_an_ok() {
    let collected = Reply::new(Bytes::from_static(b"message")).collect().await.expect("no error");
    assert_eq!(collected.trailers().and_then(|trailers| trailers.get("grpc-status")).map(HeaderValue::as_bytes), Some(&b"0"[..]));
    assert_eq!(collected.to_bytes(), "message");
}
