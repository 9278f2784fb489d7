//! Cut a connection whose other end takes nothing, or next to nothing, for too long.
//!
//! Without this, an answer to a client that never reads, or reads a byte now and then, is held for as long as the
//! client likes.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep};

/// What the other end takes at least while it is waited for.
const BYTES_PER_SECOND_MIN: u64 = 32 << 10;

/// How much longer the other end may be waited for. Time counts only while a write waits, so that a reader who
/// keeps up may be silent for as long as it likes.
#[derive(Debug)]
struct Patience {
    max: Duration,
    left: Duration,
    /// Bytes that have been taken since `left` was `max`.
    taken: u64,
    /// Bytes that buy it all back.
    taken_min: u64,
}

impl Patience {
    fn new(max: Duration) -> Self {
        let taken_min = u128::from(BYTES_PER_SECOND_MIN) * max.as_millis() / 1_000;
        Self {
            max,
            left: max,
            taken: 0,
            taken_min: u64::try_from(taken_min).unwrap_or(u64::MAX),
        }
    }

    fn waited(&mut self, time: Duration) {
        self.left = self.left.saturating_sub(time);
    }

    fn took(&mut self, bytes: usize) {
        self.taken = self
            .taken
            .saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX));
        if self.taken >= self.taken_min {
            self.taken = 0;
            self.left = self.max;
        }
    }
}

/// A socket whose writes must make progress.
#[derive(Debug)]
pub(crate) struct TimedIo {
    socket: TcpStream,
    patience: Patience,
    /// Runs while a write waits.
    deadline: Pin<Box<Sleep>>,
    waits_since: Option<Instant>,
    /// Writing took too long: nothing is read any more either, so that both halves of a connection end.
    stalled: bool,
    reader: Option<Waker>,
}

impl TimedIo {
    pub(crate) fn new(socket: TcpStream, stall_max: Duration) -> Self {
        Self {
            socket,
            patience: Patience::new(stall_max),
            deadline: Box::pin(sleep(stall_max)),
            waits_since: None,
            stalled: false,
            reader: None,
        }
    }

    fn timed(
        &mut self,
        poll: Poll<io::Result<usize>>,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        if let Poll::Ready(written) = poll {
            if let Some(since) = self.waits_since.take() {
                self.patience.waited(since.elapsed());
            }
            self.patience.took(*written.as_ref().unwrap_or(&0));
            return Poll::Ready(written);
        }
        if self.waits_since.is_none() {
            let now = Instant::now();
            self.waits_since = Some(now);
            self.deadline.as_mut().reset(now + self.patience.left);
        }
        ready!(self.deadline.as_mut().poll(context));
        self.stalled = true;
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for TimedIo {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.stalled {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        let poll = Pin::new(&mut self.socket).poll_read(context, buffer);
        if poll.is_pending() {
            self.reader = Some(context.waker().clone());
        }
        poll
    }
}

impl AsyncWrite for TimedIo {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let poll = Pin::new(&mut self.socket).poll_write(context, bytes);
        self.timed(poll, context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let poll = Pin::new(&mut self.socket).poll_write_vectored(context, slices);
        self.timed(poll, context)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    // A TCP socket has nothing to flush: what it took, the system has.
    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_byte_now_and_then_does_not_buy_time() {
        let mut patience = Patience::new(Duration::from_secs(10));
        patience.waited(Duration::from_secs(9));
        patience.took(1);
        assert_eq!(patience.left, Duration::from_secs(1));
        patience.waited(Duration::from_secs(9));
        assert_eq!(patience.left, Duration::ZERO);
    }

    #[test]
    fn a_reader_that_takes_its_bytes_is_waited_for_again() {
        let mut patience = Patience::new(Duration::from_secs(10));
        for _ in 0..100 {
            patience.waited(Duration::from_secs(9));
            for _ in 0..320 {
                patience.took(1 << 10);
            }
            assert_eq!(patience.left, Duration::from_secs(10));
        }
    }
}
