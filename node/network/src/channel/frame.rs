//! Write frames to a peer's stream, and read them with limits that hold before anything is kept.
//!
//! A frame is its length in 4 bytes, little-endian, and that many bytes. A stream carries frames from the peer that
//! opened it to the other, one way only.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use commonware_p2p::Message;
use commonware_runtime::IoBuf;
use futures_util::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

use super::roster::{Link, Roster, message_pace};
use crate::identity::PeerKey;
use crate::pace::Pace;

#[cfg(test)]
mod tests;

/// Frames are written in pieces of this size, so that those of other channels get in between.
const WRITE_PIECE_BYTES: usize = 16 * 1024;
/// A frame's buffer grows by at most this beyond what has arrived.
const READ_PIECE_BYTES: usize = 64 * 1024;
const LENGTH_BYTES: usize = 4;

/// Why a stream ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StreamEnd {
    /// The peer or the connection closed it, or it stalled.
    Closed,
    /// The peer sent what no honest peer sends.
    Malformed,
}

/// One direction of one channel with one peer.
#[derive(Debug, Clone)]
pub(crate) struct Lane {
    pub(crate) peer: PeerKey,
    pub(crate) channel: usize,
    pub(crate) roster: Arc<Roster>,
    pub(crate) stall_timeout: Duration,
}

/// Writes what waits for the peer until the stream ends.
pub(crate) async fn write_frames(
    stream: impl AsyncRead + AsyncWrite + Send,
    lane: Lane,
    link: Arc<Link>,
) -> StreamEnd {
    let (mut read, mut write) = stream.split();
    let queue = link.queue(lane.channel);
    let mut unexpected = [0];
    loop {
        let message = tokio::select! {
            message = queue.pop() => message,
            // The other side only reads: this is how its end of the stream shows.
            received = read.read(&mut unexpected) => return match received {
                Ok(0) | Err(_) => StreamEnd::Closed,
                Ok(_) => StreamEnd::Malformed,
            },
        };
        let Some(message) = message else {
            // Nobody waits for the outcome: the peer is gone or going.
            drop(timeout(lane.stall_timeout, write.close()).await);
            return StreamEnd::Closed;
        };
        if write_frame(&mut write, &message, lane.stall_timeout)
            .await
            .is_err()
        {
            lane.roster.meters(lane.channel).dropped.inc();
            return StreamEnd::Closed;
        }
        lane.roster.meters(lane.channel).sent.inc();
    }
}

async fn write_frame(
    write: &mut (impl AsyncWrite + Unpin),
    message: &Bytes,
    stall_timeout: Duration,
) -> io::Result<()> {
    let length = u32::try_from(message.len()).map_err(io::Error::other)?;
    let (first, rest) = message.split_at(message.len().min(WRITE_PIECE_BYTES - LENGTH_BYTES));
    let mut start = Vec::with_capacity(LENGTH_BYTES + first.len());
    start.extend_from_slice(&length.to_le_bytes());
    start.extend_from_slice(first);
    let pieces = std::iter::once(start.as_slice()).chain(rest.chunks(WRITE_PIECE_BYTES));
    for piece in pieces {
        timeout(stall_timeout, write.write_all(piece)).await??;
    }
    timeout(stall_timeout, write.flush()).await?
}

/// Reads frames of the peer into `messages` until the stream ends.
///
/// A peer that exceeds its quota, and everyone when the receiver is slow, is read later: the waiting happens on its
/// side, and waiting peers get their turn in order.
pub(crate) async fn read_frames(
    mut stream: impl AsyncRead + Unpin + Send,
    lane: Lane,
    messages: mpsc::Sender<Message<PeerKey>>,
) -> StreamEnd {
    let now = Instant::now();
    let spec = lane.roster.spec(lane.channel);
    let meters = lane.roster.meters(lane.channel);
    let mut message_pace = message_pace(spec, now);
    let bytes_per_second = spec.quota.bytes_per_second.get();
    let burst = bytes_per_second.max(u64::from(spec.message_bytes_max));
    let mut byte_pace = Pace::new(bytes_per_second, burst, now);
    loop {
        let length = match read_length(&mut stream, lane.stall_timeout).await {
            Ok(Some(length)) => length,
            Ok(None) | Err(_) => return StreamEnd::Closed,
        };
        if length > spec.message_bytes_max {
            return StreamEnd::Malformed;
        }
        let now = Instant::now();
        let wait = message_pace
            .spend(1, now)
            .max(byte_pace.spend(u64::from(length), now));
        if !wait.is_zero() {
            sleep(wait).await;
        }
        let Ok(payload) = read_payload(&mut stream, length as usize, lane.stall_timeout).await
        else {
            return StreamEnd::Closed;
        };
        meters.received.inc();
        let heard = lane.roster.may_use(&lane.peer, lane.channel);
        let message = (lane.peer.clone(), IoBuf::from(payload));
        if !heard || messages.send(message).await.is_err() {
            meters.dropped.inc();
        }
    }
}

/// The length of the next frame; none when the stream ends before it.
async fn read_length(
    stream: &mut (impl AsyncRead + Unpin),
    stall_timeout: Duration,
) -> io::Result<Option<u32>> {
    let mut length = [0; LENGTH_BYTES];
    let (first, rest) = length.split_at_mut(1);
    if stream.read(first).await? == 0 {
        return Ok(None);
    }
    timeout(stall_timeout, stream.read_exact(rest)).await??;
    Ok(Some(u32::from_le_bytes(length)))
}

async fn read_payload(
    stream: &mut (impl AsyncRead + Unpin),
    length: usize,
    stall_timeout: Duration,
) -> io::Result<Vec<u8>> {
    let mut payload = Vec::new();
    while payload.len() < length {
        let have = payload.len();
        let piece = (length - have).min(READ_PIECE_BYTES);
        payload.resize(have + piece, 0);
        let (_, space) = payload.split_at_mut(have);
        let received = timeout(stall_timeout, stream.read(space)).await??;
        if received == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        payload.truncate(have + received);
    }
    Ok(payload)
}
