//! One gRPC message in, one out (gRPC HTTP/2 protocol mapping), without tonic's codec: what tonic would answer with a gRPC error is answered with
//! a deny, so the reader of frames has to say what was wrong.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::{Buf, Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue};
use http_body::{Body, Frame};
use http_body_util::BodyExt;

use super::meter::{Meter, Share};

/// The compression flag and the length.
const PREFIX: usize = 5;

/// Why no message could be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unreadable {
    /// It is longer than one message may be.
    TooLong,
    /// All messages in memory together are longer than they may be.
    NoRoom,
    /// It is cut, compressed, followed by another one, or the stream broke.
    Malformed,
}

/// One whole message with the room it takes.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) bytes: Bytes,
    pub(super) room: Share,
}

/// The body of a response: one message, then `grpc-status: 0`.
#[derive(Debug)]
pub(super) struct Reply {
    message: Option<Bytes>,
    ended: bool,
}

/// What has arrived of a message. The usual one comes in a single DATA frame and is never copied.
#[derive(Debug)]
struct Gathering {
    share: Share,
    first: Bytes,
    rest: BytesMut,
}

/// Reads `body` to its end: exactly one uncompressed message of at most `limit` bytes, metered by `room` as it arrives.
///
/// A message that is refused is read to the end all the same (and dropped): answered earlier, the stream would be reset, and a caller that still
/// writes could lose the answer. The check's deadline bounds how long that takes.
pub(super) async fn read<B>(mut body: B, limit: usize, room: &Meter) -> Result<Message, Unreadable>
where
    B: Body<Data = Bytes> + Unpin,
{
    let mut gathering = Ok(Gathering { share: room.take(0).ok_or(Unreadable::NoRoom)?, first: Bytes::new(), rest: BytesMut::new() });
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Unreadable::Malformed)?;
        if let (Ok(data), Ok(so_far)) = (frame.into_data(), &mut gathering)
            && let Err(refused) = so_far.add(data, limit)
        {
            gathering = Err(refused);
        }
    }
    gathering?.finish()
}

// === impl Gathering ===

impl Gathering {
    fn add(&mut self, data: Bytes, limit: usize) -> Result<(), Unreadable> {
        let so_far = self.first.len() + self.rest.len();
        if data.len() > limit.saturating_add(PREFIX).saturating_sub(so_far) {
            return Err(Unreadable::TooLong);
        }
        if !self.share.grow(data.len()) {
            return Err(Unreadable::NoRoom);
        }
        if so_far == 0 {
            self.first = data;
        } else {
            if self.rest.is_empty() {
                self.rest.extend_from_slice(&std::mem::take(&mut self.first));
            }
            self.rest.extend_from_slice(&data);
        }
        self.announced(limit)
    }

    /// Refuses an announced length over the limit as soon as it is known.
    fn announced(&self, limit: usize) -> Result<(), Unreadable> {
        let seen: &[u8] = if self.rest.is_empty() { &self.first } else { &self.rest };
        match seen.get(1..PREFIX).and_then(|length| <[u8; 4]>::try_from(length).ok()) {
            Some(length) if usize::try_from(u32::from_be_bytes(length)).is_ok_and(|length| length <= limit) => Ok(()),
            Some(_) => Err(Unreadable::TooLong),
            None => Ok(()),
        }
    }

    fn finish(self) -> Result<Message, Unreadable> {
        let mut bytes = if self.rest.is_empty() { self.first } else { self.rest.freeze() };
        if bytes.len() < PREFIX || bytes.get_u8() != 0 || usize::try_from(bytes.get_u32()) != Ok(bytes.len()) {
            return Err(Unreadable::Malformed);
        }
        Ok(Message { bytes, room: self.share })
    }
}

// === impl Reply ===

impl Reply {
    /// `frame` is a message with its prefix.
    pub(super) fn new(frame: Bytes) -> Self {
        Self { message: Some(frame), ended: false }
    }
}

impl Body for Reply {
    type Data = Bytes;
    type Error = tonic::Status;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, tonic::Status>>> {
        if let Some(message) = self.message.take() {
            return Poll::Ready(Some(Ok(Frame::data(message))));
        }
        if std::mem::replace(&mut self.ended, true) {
            return Poll::Ready(None);
        }
        let trailers = HeaderMap::from_iter([(HeaderName::from_static("grpc-status"), HeaderValue::from_static("0"))]);
        Poll::Ready(Some(Ok(Frame::trailers(trailers))))
    }

    fn is_end_stream(&self) -> bool {
        self.ended
    }
}

#[cfg(test)]
mod tests;
