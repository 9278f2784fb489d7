//! Feed frames, good and bad, to the reader and the writer.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::num::{NonZeroU32, NonZeroU64};
use std::pin::Pin;
use std::sync::Mutex;
use std::task::{Context, Poll};

use futures_util::io::Cursor;
use kumiki_protocol::SecretKey;

use super::*;
use crate::channel::roster::Roster;
use crate::config::{Audience, ChannelQuota, ChannelSpec, WhenFull};
use crate::metrics::ChannelMeters;

const LIMIT: u32 = 1_000_000;
const STALL: Duration = Duration::from_secs(60);

fn key(seed: u8) -> PeerKey {
    let keypair = crate::identity::keypair(&SecretKey::from_seed([seed; 32])).unwrap();
    crate::peer_key_of(&keypair.public().to_peer_id()).unwrap()
}

fn lane(audience: Audience) -> Lane {
    let spec = ChannelSpec {
        name: "test".to_owned(),
        message_bytes_max: LIMIT,
        outbound_queue: 8,
        inbound_queue: 8,
        quota: ChannelQuota {
            messages_per_second: NonZeroU32::MAX,
            bytes_per_second: NonZeroU64::MAX,
        },
        when_full: WhenFull::DropNewest,
        audience,
    };
    Lane {
        peer: key(1),
        channel: 0,
        roster: Arc::new(Roster::new(vec![spec], vec![ChannelMeters::default()])),
        stall_timeout: STALL,
    }
}

fn frame(length: u32, payload: &[u8]) -> Vec<u8> {
    [&length.to_le_bytes(), payload].concat()
}

/// A stream that hands out `bytes` in small pieces and notes the largest buffer it was offered.
struct Watched<'a> {
    bytes: Cursor<Vec<u8>>,
    largest: &'a Mutex<usize>,
}

impl AsyncRead for Watched<'_> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let mut largest = this.largest.lock().unwrap();
        *largest = (*largest).max(buf.len());
        let (piece, _) = buf.split_at_mut(buf.len().min(7));
        Pin::new(&mut this.bytes).poll_read(cx, piece)
    }
}

#[tokio::test]
async fn frames_come_out_as_they_went_in_whatever_the_pieces() {
    let mut bytes = frame(3, b"abc");
    bytes.extend(frame(0, b""));
    bytes.extend(frame(20, &[9; 20]));
    let largest = Mutex::new(0);
    let stream = Watched {
        bytes: Cursor::new(bytes),
        largest: &largest,
    };
    let (sender, mut messages) = mpsc::channel(8);
    let end = read_frames(stream, lane(Audience::Everyone), sender).await;
    assert_eq!(end, StreamEnd::Closed);
    let mut payloads = Vec::new();
    while let Some((peer, payload)) = messages.recv().await {
        assert_eq!(peer, key(1));
        payloads.push(Vec::from(payload));
    }
    assert_eq!(payloads, [b"abc".to_vec(), Vec::new(), vec![9; 20]]);
}

#[tokio::test]
async fn an_oversized_frame_is_malformed_before_a_byte_of_it_is_kept() {
    for length in [LIMIT + 1, u32::MAX] {
        let largest = Mutex::new(0);
        let stream = Watched {
            bytes: Cursor::new(frame(length, &[0; 100])),
            largest: &largest,
        };
        let (sender, mut messages) = mpsc::channel(8);
        let end = read_frames(stream, lane(Audience::Everyone), sender).await;
        assert_eq!(end, StreamEnd::Malformed);
        assert!(messages.recv().await.is_none());
        assert!(*largest.lock().unwrap() <= LENGTH_BYTES);
    }
}

#[tokio::test]
async fn a_promised_frame_takes_memory_only_as_it_arrives() {
    let largest = Mutex::new(0);
    let stream = Watched {
        bytes: Cursor::new(frame(LIMIT, &[0; 100])),
        largest: &largest,
    };
    let (sender, mut messages) = mpsc::channel(8);
    let end = read_frames(stream, lane(Audience::Everyone), sender).await;
    assert_eq!(end, StreamEnd::Closed, "a cut stream is no offence");
    assert!(messages.recv().await.is_none());
    assert!(*largest.lock().unwrap() <= READ_PIECE_BYTES);
}

#[tokio::test]
async fn a_channel_of_validators_does_not_hear_others() {
    let lane = lane(Audience::Primary);
    let (sender, mut messages) = mpsc::channel(8);
    let stream = || Cursor::new(frame(1, b"x"));
    read_frames(stream(), lane.clone(), sender.clone()).await;
    assert!(messages.try_recv().is_err());
    lane.roster.set_primary([key(1)].into());
    read_frames(stream(), lane, sender).await;
    assert!(messages.try_recv().is_ok());
}

#[tokio::test]
async fn a_frame_is_written_in_pieces_that_read_back_whole() {
    let payload: Vec<u8> = (0..WRITE_PIECE_BYTES * 3 + 5)
        .map(|at| u8::try_from(at % 251).unwrap())
        .collect();
    let mut written = Cursor::new(Vec::new());
    write_frame(&mut written, &Bytes::from(payload.clone()), STALL)
        .await
        .unwrap();
    let length = u32::try_from(payload.len()).unwrap();
    assert_eq!(written.into_inner(), frame(length, &payload));
}
