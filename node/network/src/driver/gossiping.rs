//! Move gossip between the swarm and the application.

use bytes::Bytes;
use libp2p::PeerId;
use libp2p::gossipsub::{self, MessageAcceptance, PublishError};

use super::Driver;
use crate::gossip::{GossipMessage, Judged, Publish, Verdict};
use crate::identity::peer_key_of;
use crate::score::Offence;

impl Driver {
    pub(super) fn publish(&mut self, publish: Publish) {
        let Some(end) = self.topics.get(publish.topic) else {
            return;
        };
        let topic = end.topic.clone();
        let gossip = &mut self.swarm.behaviour_mut().gossip;
        match gossip.publish(topic, publish.data.to_vec()) {
            Ok(_) => {
                end.meters.published.inc();
            }
            // Known already, or nobody there: nothing to tell anyone.
            Err(PublishError::Duplicate | PublishError::NoPeersSubscribedToTopic) => {}
            Err(error) => {
                tracing::warn!(%error, topic = end.spec.name, "a message was not published")
            }
        }
    }

    pub(super) fn on_gossip_event(&mut self, event: gossipsub::Event) {
        match event {
            gossipsub::Event::Message {
                propagation_source,
                message_id,
                message,
            } => self.on_gossip(propagation_source, message_id, message),
            gossipsub::Event::SlowPeer { peer_id, .. } => {
                tracing::debug!(peer = %peer_id, "a peer is too slow for gossip");
            }
            _ => {}
        }
    }

    fn on_gossip(
        &mut self,
        forwarder: PeerId,
        id: gossipsub::MessageId,
        message: gossipsub::Message,
    ) {
        let hash = message.topic;
        let number = self.topics.iter().position(|end| end.topic.hash() == hash);
        let Some((number, end)) = number.and_then(|at| Some((at, self.topics.get(at)?))) else {
            return;
        };
        // Until something else is known, the message is of no use.
        let verdict = Verdict::new(number, id, forwarder, self.verdicts.0.clone());
        if message.data.len() > end.spec.message_bytes_max as usize {
            verdict.reject();
            return;
        }
        let Some(key) = peer_key_of(&forwarder) else {
            return;
        };
        let message = GossipMessage {
            data: Bytes::from(message.data),
            forwarder: key,
            verdict,
        };
        // When the application is behind, the message is dropped, and its verdict with it.
        drop(end.messages.try_send(message));
    }

    pub(super) fn on_verdict(&mut self, judged: Judged) {
        let Some(end) = self.topics.get(judged.topic) else {
            return;
        };
        let rejected = matches!(judged.acceptance, MessageAcceptance::Reject);
        match judged.acceptance {
            MessageAcceptance::Accept => end.meters.accepted.inc(),
            MessageAcceptance::Ignore => end.meters.ignored.inc(),
            MessageAcceptance::Reject => end.meters.rejected.inc(),
        };
        let gossip = &mut self.swarm.behaviour_mut().gossip;
        gossip.report_message_validation_result(
            &judged.message,
            &judged.forwarder,
            judged.acceptance,
        );
        if rejected {
            self.penalise(judged.forwarder, Offence::InvalidGossip);
        }
    }
}
