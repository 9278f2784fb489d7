//! Hold the messages that wait for one peer on one channel.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::Notify;

use crate::config::WhenFull;

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pushed {
    /// It waits.
    Taken,
    /// It waits in the place of an older one, which is lost.
    TookPlace,
    /// It is lost.
    Refused,
}

#[derive(Debug, Default)]
struct Waiting {
    urgent: VecDeque<Bytes>,
    normal: VecDeque<Bytes>,
    closed: bool,
}

impl Waiting {
    fn pop(&mut self) -> Option<Bytes> {
        self.urgent.pop_front().or_else(|| self.normal.pop_front())
    }
}

/// A bounded queue with one reader. Urgent messages overtake others.
#[derive(Debug)]
pub(crate) struct Queue {
    waiting: Mutex<Waiting>,
    arrived: Notify,
    most: usize,
    when_full: WhenFull,
}

impl Queue {
    pub(crate) fn new(most: usize, when_full: WhenFull) -> Self {
        Self {
            waiting: Mutex::default(),
            arrived: Notify::new(),
            most,
            when_full,
        }
    }

    /// Adds `message`, or does what the queue does when it is full.
    pub(crate) fn push(&self, message: Bytes, urgent: bool) -> Pushed {
        let mut waiting = self.lock();
        if waiting.closed {
            return Pushed::Refused;
        }
        let mut pushed = Pushed::Taken;
        if waiting.urgent.len() + waiting.normal.len() >= self.most {
            if self.when_full == WhenFull::DropNewest {
                return Pushed::Refused;
            }
            // What is not urgent goes first.
            if waiting.normal.pop_front().is_none() {
                waiting.urgent.pop_front();
            }
            pushed = Pushed::TookPlace;
        }
        if urgent {
            waiting.urgent.push_back(message);
        } else {
            waiting.normal.push_back(message);
        }
        drop(waiting);
        self.arrived.notify_one();
        pushed
    }

    /// The next message; none when the queue is closed. Cancelling loses nothing.
    pub(crate) async fn pop(&self) -> Option<Bytes> {
        loop {
            {
                let mut waiting = self.lock();
                if waiting.closed {
                    return None;
                }
                if let Some(message) = waiting.pop() {
                    return Some(message);
                }
            }
            self.arrived.notified().await;
        }
    }

    /// Drops what waits and takes nothing more.
    pub(crate) fn close(&self) {
        let mut waiting = self.lock();
        waiting.closed = true;
        waiting.urgent.clear();
        waiting.normal.clear();
        drop(waiting);
        self.arrived.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn push(queue: &Queue, text: &'static str, urgent: bool) -> Pushed {
        queue.push(Bytes::from_static(text.as_bytes()), urgent)
    }

    fn rest(queue: &Queue) -> Vec<Bytes> {
        std::iter::from_fn(|| queue.lock().pop()).collect()
    }

    #[test]
    fn a_full_queue_that_drops_the_newest_keeps_the_first() {
        let queue = Queue::new(2, WhenFull::DropNewest);
        assert_eq!(push(&queue, "a", false), Pushed::Taken);
        assert_eq!(push(&queue, "b", false), Pushed::Taken);
        assert_eq!(push(&queue, "c", false), Pushed::Refused);
        assert_eq!(rest(&queue), ["a", "b"]);
    }

    #[test]
    fn a_full_queue_that_drops_the_oldest_keeps_the_last_and_the_urgent() {
        let queue = Queue::new(2, WhenFull::DropOldest);
        push(&queue, "a", true);
        push(&queue, "b", false);
        assert_eq!(push(&queue, "c", false), Pushed::TookPlace);
        assert_eq!(rest(&queue), ["a", "c"]);
    }

    #[tokio::test]
    async fn urgent_messages_overtake_and_a_closed_queue_ends() {
        let queue = Queue::new(8, WhenFull::DropNewest);
        push(&queue, "a", false);
        push(&queue, "b", true);
        assert_eq!(queue.pop().await.as_deref(), Some(b"b".as_slice()));
        assert_eq!(queue.pop().await.as_deref(), Some(b"a".as_slice()));
        queue.close();
        assert_eq!(queue.pop().await, None);
        assert_eq!(push(&queue, "c", false), Pushed::Refused);
    }
}
