//! Keep one stream open to each peer for each channel, and read those that peers open.

use std::time::{Duration, Instant};

use libp2p::PeerId;
use libp2p::swarm::Stream;
use tokio::task::{Id, JoinError};

use super::Driver;
use super::peer::Writer;
use crate::channel::frame::{self, StreamEnd, read_frames, write_frames};
use crate::channel::streams::StreamEvent;
use crate::score::Offence;

/// First wait before a stream that failed is opened again; it doubles each time.
const REOPEN_DELAY_MIN: Duration = Duration::from_millis(200);
const REOPEN_DELAY_MAX: Duration = Duration::from_secs(30);
/// A stream that was open for this long counts as a success.
const LASTED: Duration = Duration::from_secs(10);

/// How a stream's task ended.
#[derive(Debug)]
pub(super) struct StreamReport {
    peer: PeerId,
    channel: usize,
    writer: bool,
    end: StreamEnd,
}

impl Driver {
    /// Opens the streams that are due.
    pub(super) fn open_streams(&mut self, now: Instant) {
        for (id, peer) in &mut self.peers {
            if peer.link.is_none() {
                continue;
            }
            for (channel, lane) in peer.lanes.iter_mut().enumerate() {
                if matches!(lane.writer, Writer::Idle(due) if due <= now) {
                    lane.writer = Writer::Asked;
                    self.swarm.behaviour_mut().streams.open(*id, channel);
                }
            }
        }
    }

    pub(super) fn on_stream_event(&mut self, id: PeerId, event: StreamEvent) {
        match event {
            StreamEvent::Inbound { channel, stream } => self.on_inbound(id, channel, stream),
            StreamEvent::Opened { channel, stream } => self.on_opened(id, channel, stream),
            StreamEvent::Failed { channel } => self.retry_later(id, channel, Instant::now()),
        }
    }

    fn on_inbound(&mut self, id: PeerId, channel: usize, stream: Stream) {
        let Some(peer) = self.peers.get_mut(&id) else {
            return;
        };
        let now = Instant::now();
        // An honest peer opens one of each, and again after a failure. Whoever opens more is not read.
        if !peer.openings.wait(now).is_zero() {
            return;
        }
        peer.openings.spend(1, now);
        let Some(lane) = peer.lanes.get_mut(channel) else {
            return;
        };
        lane.waiting = Some(stream);
        if peer.link.is_some() {
            self.read_waiting(id);
        }
    }

    /// Starts to read the streams that the admitted peer `id` has opened.
    pub(super) fn read_waiting(&mut self, id: PeerId) {
        let Some(peer) = self.peers.get_mut(&id) else {
            return;
        };
        for (channel, lane) in peer.lanes.iter_mut().enumerate() {
            let Some(messages) = self.channels.get(channel).cloned() else {
                continue;
            };
            let Some(stream) = lane.waiting.take() else {
                continue;
            };
            let reader = frame::Lane {
                peer: peer.key.clone(),
                channel,
                roster: self.roster.clone(),
                stall_timeout: self.config.limits.stall_timeout,
            };
            let task = self.streams.spawn(async move {
                let end = read_frames(stream, reader, messages).await;
                StreamReport {
                    peer: id,
                    channel,
                    writer: false,
                    end,
                }
            });
            // A peer has one stream per channel: a new one means that it has given up the old one.
            if let Some(old) = lane.reader.replace(task) {
                old.abort();
            }
        }
    }

    fn on_opened(&mut self, id: PeerId, channel: usize, stream: Stream) {
        let Some(peer) = self.peers.get_mut(&id) else {
            return;
        };
        let (Some(link), Some(lane)) = (peer.link.clone(), peer.lanes.get_mut(channel)) else {
            return;
        };
        let writer = frame::Lane {
            peer: peer.key.clone(),
            channel,
            roster: self.roster.clone(),
            stall_timeout: self.config.limits.stall_timeout,
        };
        let task = self.streams.spawn(async move {
            let end = write_frames(stream, writer, link).await;
            StreamReport {
                peer: id,
                channel,
                writer: true,
                end,
            }
        });
        if let Writer::Open(old, _) = &lane.writer {
            old.abort();
        }
        lane.writer = Writer::Open(task, Instant::now());
    }

    fn retry_later(&mut self, id: PeerId, channel: usize, now: Instant) {
        let peer = self.peers.get_mut(&id);
        let Some(lane) = peer.and_then(|peer| peer.lanes.get_mut(channel)) else {
            return;
        };
        lane.failures = lane.failures.saturating_add(1);
        let wait = REOPEN_DELAY_MIN.saturating_mul(1 << lane.failures.min(16).saturating_sub(1));
        lane.writer = Writer::Idle(now + wait.min(REOPEN_DELAY_MAX));
    }

    pub(super) fn on_stream_end(&mut self, ended: Result<(Id, StreamReport), JoinError>) {
        let (task, report) = match ended {
            Ok(ended) => ended,
            Err(error) => {
                if error.is_panic() {
                    tracing::error!(%error, "the task of a stream failed");
                }
                return;
            }
        };
        let now = Instant::now();
        if let Some(peer) = self.peers.get_mut(&report.peer)
            && let Some(lane) = peer.lanes.get_mut(report.channel)
        {
            if !report.writer {
                if lane.reader.as_ref().is_some_and(|one| one.id() == task) {
                    lane.reader = None;
                }
            } else if let Writer::Open(open, since) = &lane.writer
                && open.id() == task
            {
                if now.saturating_duration_since(*since) >= LASTED {
                    lane.failures = 0;
                }
                self.retry_later(report.peer, report.channel, now);
            }
        }
        if report.end == StreamEnd::Malformed {
            let channel = &self.roster.spec(report.channel).name;
            tracing::warn!(peer = %report.peer, channel, "a malformed frame");
            self.penalise(report.peer, Offence::MalformedFrame);
        }
    }
}
