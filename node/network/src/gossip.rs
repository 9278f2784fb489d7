//! Publish and receive messages that every node passes on once its application has accepted them.

use std::collections::HashSet;
use std::time::Duration;

use bytes::Bytes;
use kumiki_protocol::sha2_256;
use libp2p::PeerId;
use libp2p::gossipsub::{
    self, ConfigBuilder, IdentTopic, MaxCountSubscriptionFilter, MessageAcceptance,
    MessageAuthenticity, MessageId, PeerScoreParams, PeerScoreThresholds, TopicScoreParams,
    ValidationMode, WhitelistSubscriptionFilter,
};
use tokio::sync::mpsc;

use crate::config::TopicSpec;
use crate::identity::PeerKey;
use crate::{NetworkConfig, NetworkError};

/// Messages of one topic that wait to be published.
pub(crate) const PUBLISH_QUEUE: usize = 256;
/// What surrounds a message on the wire, generously.
const ENVELOPE_BYTES: usize = 1024;
/// Mesh: peers of a topic that get whole messages at once.
const MESH: usize = 6;
const MESH_LOW: usize = 5;
const MESH_HIGH: usize = 12;
/// A message is known for this long, so that it is not delivered twice.
const DUPLICATE_TIME: Duration = Duration::from_secs(120);

pub(crate) type Gossip = gossipsub::Behaviour<gossipsub::IdentityTransform, GossipFilter>;
type GossipFilter = MaxCountSubscriptionFilter<WhitelistSubscriptionFilter>;

/// A topic's two ends.
#[derive(Debug)]
pub struct Topic {
    /// The name it was made with.
    pub name: String,
    /// Where this node's messages go in.
    pub publisher: Publisher,
    /// Where those of others come out.
    pub messages: GossipReceiver,
}

/// What waits to be published.
#[derive(Debug)]
pub(crate) struct Publish {
    pub(crate) topic: usize,
    pub(crate) data: Bytes,
}

/// Publishes to one topic.
#[derive(Debug, Clone)]
pub struct Publisher {
    topic: usize,
    message_bytes_max: u32,
    publishes: mpsc::Sender<Publish>,
}

/// Why a message was not published.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// It is longer than the topic allows.
    #[error("the message has {bytes} bytes, and the topic allows {limit}")]
    TooLong {
        /// Its length.
        bytes: usize,
        /// The limit.
        limit: u32,
    },
    /// Too many messages wait already.
    #[error("too many messages wait to be published")]
    Full,
    /// The network was shut down.
    #[error("the network has been shut down")]
    Closed,
}

impl Publisher {
    pub(crate) fn new(topic: usize, spec: &TopicSpec, publishes: mpsc::Sender<Publish>) -> Self {
        Self {
            topic,
            message_bytes_max: spec.message_bytes_max,
            publishes,
        }
    }

    /// Hands `data` to the peers of the topic. It does not wait, and whether anyone gets it is not known.
    ///
    /// # Errors
    /// When the message is too long or cannot be taken now.
    pub fn publish(&self, data: Bytes) -> Result<(), PublishError> {
        if data.len() > self.message_bytes_max as usize {
            return Err(PublishError::TooLong {
                bytes: data.len(),
                limit: self.message_bytes_max,
            });
        }
        let topic = self.topic;
        self.publishes
            .try_send(Publish { topic, data })
            .map_err(|error| match error {
                mpsc::error::TrySendError::Full(_) => PublishError::Full,
                mpsc::error::TrySendError::Closed(_) => PublishError::Closed,
            })
    }
}

/// Receives the messages of one topic.
#[derive(Debug)]
pub struct GossipReceiver(mpsc::Receiver<GossipMessage>);

impl GossipReceiver {
    pub(crate) fn new(messages: mpsc::Receiver<GossipMessage>) -> Self {
        Self(messages)
    }

    /// The next message; none when the network was shut down.
    pub async fn recv(&mut self) -> Option<GossipMessage> {
        self.0.recv().await
    }
}

/// A message, and the say over whether it goes on.
#[derive(Debug)]
pub struct GossipMessage {
    /// What was published.
    pub data: Bytes,
    /// The peer that it came from; who published it is not known.
    pub forwarder: PeerKey,
    /// To be used once the message has been judged.
    pub verdict: Verdict,
}

/// What the application found.
#[derive(Debug)]
pub(crate) struct Judged {
    pub(crate) topic: usize,
    pub(crate) message: MessageId,
    pub(crate) forwarder: PeerId,
    pub(crate) acceptance: MessageAcceptance,
}

/// Decides over one message. Dropped unused, it means [`Verdict::ignore`].
#[derive(Debug)]
pub struct Verdict {
    judged: Option<Judged>,
    verdicts: mpsc::UnboundedSender<Judged>,
}

impl Verdict {
    pub(crate) fn new(
        topic: usize,
        message: MessageId,
        forwarder: PeerId,
        verdicts: mpsc::UnboundedSender<Judged>,
    ) -> Self {
        let judged = Judged {
            topic,
            message,
            forwarder,
            acceptance: MessageAcceptance::Ignore,
        };
        Self {
            judged: Some(judged),
            verdicts,
        }
    }

    /// The message is good: pass it on.
    pub fn accept(self) {
        self.report(MessageAcceptance::Accept);
    }

    /// The message is of no use now, through no fault of the forwarder: do not pass it on.
    pub fn ignore(self) {
        self.report(MessageAcceptance::Ignore);
    }

    /// No honest node passes on such a message: do not pass it on, and penalise the forwarder.
    pub fn reject(self) {
        self.report(MessageAcceptance::Reject);
    }

    fn report(mut self, acceptance: MessageAcceptance) {
        if let Some(judged) = &mut self.judged {
            judged.acceptance = acceptance;
        }
    }
}

impl Drop for Verdict {
    fn drop(&mut self) {
        if let Some(judged) = self.judged.take() {
            // After a shutdown nobody asks.
            drop(self.verdicts.send(judged));
        }
    }
}

/// The topic of `spec` on this chain.
pub(crate) fn topic(config: &NetworkConfig, spec: &TopicSpec) -> IdentTopic {
    IdentTopic::new(format!(
        "{}/topic/{}/1",
        config.protocol_prefix(),
        spec.name
    ))
}

/// The behaviour behind `specs`, subscribed to all of them.
pub(crate) fn behaviour(
    config: &NetworkConfig,
    specs: &[TopicSpec],
) -> Result<Gossip, NetworkError> {
    let setup = |problem: String| NetworkError::Setup {
        part: "gossip",
        problem,
    };
    let topics: Vec<IdentTopic> = specs.iter().map(|spec| topic(config, spec)).collect();
    let mut builder = ConfigBuilder::default();
    let longest = specs.iter().map(|spec| spec.message_bytes_max).max();
    builder
        .protocol_id_prefix(format!("{}/gossip", config.protocol_prefix()))
        .max_transmit_size(longest.unwrap_or(0) as usize + ENVELOPE_BYTES)
        .mesh_n(MESH)
        .mesh_n_low(MESH_LOW)
        .mesh_n_high(MESH_HIGH)
        .duplicate_cache_time(DUPLICATE_TIME)
        .validation_mode(ValidationMode::Anonymous)
        .validate_messages()
        .message_id_fn(|message: &gossipsub::Message| {
            let topic = message.topic.as_str().as_bytes();
            MessageId::new(&sha2_256(&[topic, &[0], &message.data]).0)
        });
    for (spec, topic) in specs.iter().zip(&topics) {
        let bytes = spec.message_bytes_max as usize + ENVELOPE_BYTES;
        builder.max_transmit_size_for_topic(bytes, topic.hash());
    }
    let built = builder.build().map_err(|error| setup(error.to_string()))?;
    let allowed: HashSet<_> = topics.iter().map(IdentTopic::hash).collect();
    let filter = MaxCountSubscriptionFilter {
        filter: WhitelistSubscriptionFilter(allowed),
        max_subscribed_topics: topics.len().max(1),
        max_subscriptions_per_request: topics.len().max(1) * 2,
    };
    let mut gossip =
        Gossip::new_with_subscription_filter(MessageAuthenticity::Anonymous, built, filter)
            .map_err(|error| setup(error.to_owned()))?;
    gossip
        .with_peer_score(score_params(&topics), PeerScoreThresholds::default())
        .map_err(setup)?;
    for topic in &topics {
        gossip
            .subscribe(topic)
            .map_err(|error| setup(error.to_string()))?;
    }
    Ok(gossip)
}

/// Scores of the mesh: being the first with a message counts a little for a peer, an invalid one much against it.
fn score_params(topics: &[IdentTopic]) -> PeerScoreParams {
    let topic = TopicScoreParams {
        // Idle topics are normal: silence is no offence.
        mesh_message_deliveries_weight: 0.0,
        mesh_failure_penalty_weight: 0.0,
        first_message_deliveries_weight: 0.1,
        invalid_message_deliveries_weight: -10.0,
        invalid_message_deliveries_decay: gossipsub::score_parameter_decay(Duration::from_secs(
            600,
        )),
        ..TopicScoreParams::default()
    };
    PeerScoreParams {
        topics: topics
            .iter()
            .map(|one| (one.hash(), topic.clone()))
            .collect(),
        // The connection limits see to addresses.
        ip_colocation_factor_weight: 0.0,
        ..PeerScoreParams::default()
    }
}
