//! Count the bytes of every connection, and hold the node to its upload and download caps.

use std::collections::HashMap;
use std::future::Future as _;
use std::io;
use std::num::NonZeroU64;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use futures_util::{AsyncRead, AsyncWrite};
use libp2p::PeerId;
use libp2p::core::muxing::{StreamMuxer, StreamMuxerEvent};
use tokio::time::Sleep;

use crate::pace::Pace;

/// Under a cap one read or write moves at most this much, so that connections take turns.
const PIECE_BYTES: usize = 16 * 1024;
/// The burst of a cap is what it passes in this part of a second.
const BURST_PART: u64 = 20;

/// A connection says goodbye for at most so long. Where nothing goes through, TCP would hold that back for minutes, and the
/// peer would count as connected all the while.
const GOODBYE: Duration = Duration::from_secs(1);

/// Bytes of one peer or of all.
#[derive(Debug, Default)]
pub(crate) struct ByteCount {
    received: AtomicU64,
    sent: AtomicU64,
}

impl ByteCount {
    /// Bytes that came in.
    pub(crate) fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }

    /// Bytes that went out.
    pub(crate) fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }
}

/// The bytes of the whole node and its caps.
#[derive(Debug)]
pub(crate) struct Bandwidth {
    total: ByteCount,
    download: Option<Mutex<Pace>>,
    upload: Option<Mutex<Pace>>,
    peers: Mutex<HashMap<PeerId, Weak<ByteCount>>>,
}

impl Bandwidth {
    pub(crate) fn new(upload: Option<NonZeroU64>, download: Option<NonZeroU64>) -> Self {
        let pace = |cap: NonZeroU64| {
            let cap = cap.get();
            Mutex::new(Pace::new(cap, cap / BURST_PART, Instant::now()))
        };
        Self {
            total: ByteCount::default(),
            download: download.map(pace),
            upload: upload.map(pace),
            peers: Mutex::default(),
        }
    }

    /// All bytes so far.
    pub(crate) fn total(&self) -> &ByteCount {
        &self.total
    }

    /// The count of `peer`, which lives as long as one of its connections.
    pub(crate) fn peer(&self, peer: PeerId) -> Arc<ByteCount> {
        let mut peers = self.peers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = peers.get(&peer).and_then(Weak::upgrade) {
            return count;
        }
        peers.retain(|_, count| count.strong_count() > 0);
        let count = Arc::new(ByteCount::default());
        peers.insert(peer, Arc::downgrade(&count));
        count
    }

    fn received(&self, bytes: usize) -> Duration {
        count(&self.total.received, bytes);
        spend(self.download.as_ref(), bytes)
    }

    fn sent(&self, bytes: usize) -> Duration {
        count(&self.total.sent, bytes);
        spend(self.upload.as_ref(), bytes)
    }
}

fn count(counter: &AtomicU64, bytes: usize) {
    counter.fetch_add(bytes as u64, Ordering::Relaxed);
}

fn spend(pace: Option<&Mutex<Pace>>, bytes: usize) -> Duration {
    pace.map_or(Duration::ZERO, |pace| {
        pace.lock()
            .unwrap_or_else(PoisonError::into_inner)
            .spend(bytes as u64, Instant::now())
    })
}

/// A byte stream whose bytes are counted and, with `node`, held to the node's caps.
pub(crate) struct Metered<S> {
    inner: S,
    node: Option<Arc<Bandwidth>>,
    peer: Option<Arc<ByteCount>>,
    read_pause: Option<Pin<Box<Sleep>>>,
    write_pause: Option<Pin<Box<Sleep>>>,
}

impl<S> Metered<S> {
    pub(crate) fn new(
        inner: S,
        node: Option<Arc<Bandwidth>>,
        peer: Option<Arc<ByteCount>>,
    ) -> Self {
        Self {
            inner,
            node,
            peer,
            read_pause: None,
            write_pause: None,
        }
    }
}

/// Waits out `pause`.
fn poll_pause(pause: &mut Option<Pin<Box<Sleep>>>, cx: &mut Context<'_>) -> Poll<()> {
    if let Some(sleep) = pause {
        ready!(sleep.as_mut().poll(cx));
        *pause = None;
    }
    Poll::Ready(())
}

fn pause_for(wait: Duration) -> Option<Pin<Box<Sleep>>> {
    (!wait.is_zero()).then(|| Box::pin(tokio::time::sleep(wait)))
}

impl<S: AsyncRead + Unpin> AsyncRead for Metered<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        ready!(poll_pause(&mut this.read_pause, cx));
        let capped = this
            .node
            .as_ref()
            .is_some_and(|node| node.download.is_some());
        let most = if capped { PIECE_BYTES } else { usize::MAX };
        let (piece, _) = buf.split_at_mut(buf.len().min(most));
        let bytes = ready!(Pin::new(&mut this.inner).poll_read(cx, piece))?;
        if let Some(node) = &this.node {
            this.read_pause = pause_for(node.received(bytes));
        }
        if let Some(peer) = &this.peer {
            count(&peer.received, bytes);
        }
        Poll::Ready(Ok(bytes))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Metered<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        ready!(poll_pause(&mut this.write_pause, cx));
        let capped = this.node.as_ref().is_some_and(|node| node.upload.is_some());
        let most = if capped { PIECE_BYTES } else { usize::MAX };
        let (piece, _) = buf.split_at(buf.len().min(most));
        let bytes = ready!(Pin::new(&mut this.inner).poll_write(cx, piece))?;
        if let Some(node) = &this.node {
            this.write_pause = pause_for(node.sent(bytes));
        }
        if let Some(peer) = &this.peer {
            count(&peer.sent, bytes);
        }
        Poll::Ready(Ok(bytes))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_flush(cx)
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_close(cx)
    }
}

/// A connection whose streams are [`Metered`].
pub(crate) struct MeteredMuxer<M> {
    inner: M,
    node: Option<Arc<Bandwidth>>,
    peer: Arc<ByteCount>,
    /// There once it is being closed.
    goodbye: Option<Pin<Box<Sleep>>>,
}

impl<M> MeteredMuxer<M> {
    pub(crate) fn new(inner: M, node: Option<Arc<Bandwidth>>, peer: Arc<ByteCount>) -> Self {
        Self {
            inner,
            node,
            peer,
            goodbye: None,
        }
    }

    fn metered<S>(&self, stream: S) -> Metered<S> {
        Metered::new(stream, self.node.clone(), Some(Arc::clone(&self.peer)))
    }
}

impl<M: StreamMuxer + Unpin> StreamMuxer for MeteredMuxer<M>
where
    M::Substream: Unpin,
{
    type Substream = Metered<M::Substream>;
    type Error = M::Error;

    fn poll_inbound(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Self::Substream, Self::Error>> {
        let this = self.get_mut();
        let stream = ready!(Pin::new(&mut this.inner).poll_inbound(cx))?;
        Poll::Ready(Ok(this.metered(stream)))
    }

    fn poll_outbound(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Self::Substream, Self::Error>> {
        let this = self.get_mut();
        let stream = ready!(Pin::new(&mut this.inner).poll_outbound(cx))?;
        Poll::Ready(Ok(this.metered(stream)))
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        let this = self.get_mut();
        let closed = Pin::new(&mut this.inner).poll_close(cx);
        if closed.is_ready() {
            return closed;
        }
        let goodbye = this
            .goodbye
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(GOODBYE)));
        goodbye.as_mut().poll(cx).map(Ok)
    }

    fn poll(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<StreamMuxerEvent, Self::Error>> {
        Pin::new(&mut self.get_mut().inner).poll(cx)
    }
}
