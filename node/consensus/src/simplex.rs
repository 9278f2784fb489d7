//! Order blocks among many validators with Commonware's Simplex, and deliver what is decided in order.
//!
//! Three parts of the engine work here: `simplex` votes, one instance per epoch; `marshal` keeps proposed and
//! decided blocks on disk, fetches those that are missing and delivers them in order; `broadcast` sends a proposed
//! block to everybody. They run in the environment that is given to [`run`] (clock, randomness, tasks, disk) and over
//! the channels that are given to it, so the same code runs in production and in the simulator.
//!
//! What is durable when: a vote is in the engine's journal before it is sent, and the block it is for in a cache; the
//! chain has executed and stored a decided block and its certificate before they are acknowledged. What was delivered
//! and not acknowledged is delivered again after a restart.

use std::num::{NonZeroU16, NonZeroU64, NonZeroUsize};
use std::sync::Arc;
use std::time::Duration;

use commonware_consensus::types::ViewDelta;
use commonware_p2p::{Blocker, Manager, Receiver, Sender};
use commonware_runtime::{Clock, Metrics, Spawner, Storage};
use kumiki_protocol::{Block, Certificate, Genesis, SecretKey, ValidatorSet, limits};
use rand_core::CryptoRng;
use tokio::sync::watch;

pub use application::Pace;
pub use block::{Digest, OrderedBlock, digest_of};
pub use scheme::{PeerKey, Scheme, participants, peer_key, public_key, scheme};

use crate::{Application, Ended};
use parts::Parts;

mod announce;
mod application;
mod archives;
mod block;
mod by_epoch;
mod guard;
mod parts;
mod progress;
mod scheme;
mod tasks;
#[cfg(test)]
mod tests;
mod witness;

/// Messages that an engine's mailbox holds before its own policy for full ones applies.
const MAILBOX: NonZeroUsize = NonZeroUsize::new(1_024).expect("not zero");
/// Views behind the newest finalization whose votes are kept: for peers that ask, and to notice double votes.
const VIEWS_KEPT: ViewDelta = ViewDelta::new(256);
const PAGE_BYTES: NonZeroU16 = NonZeroU16::new(4_096).expect("not zero");
const PAGES_CACHED: NonZeroUsize = NonZeroUsize::new(2_048).expect("not zero");
const BUFFER_BYTES: NonZeroUsize = NonZeroUsize::new(256 * 1_024).expect("not zero");
/// Proposed blocks kept per validator until they are decided or not.
const PROPOSALS_PER_PEER: usize = 16;
/// Bytes that a block's header takes at most beside its transactions, generously.
const HEADER_BYTES_MAX: usize = 4_096;

/// How long a validator waits for others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// For a leader's proposal. Longer than the heartbeat: an idle leader is not a dead one.
    pub leader: Duration,
    /// For a view to be certified. Longer than `leader`.
    pub certification: Duration,
    /// Before saying again that a view is over.
    pub retry: Duration,
    /// A leader that has not been heard for this long is skipped at once. Longer than `certification` and `retry`.
    pub skip: Duration,
    /// For a peer to answer a request.
    pub fetch: Duration,
}

impl Timeouts {
    /// Timeouts that fit a network whose idle leaders propose every `heartbeat`.
    #[must_use]
    pub fn for_heartbeat(heartbeat: Duration) -> Self {
        let leader = heartbeat + Duration::from_millis(1_000);
        let certification = leader + Duration::from_millis(1_000);
        Self {
            leader,
            certification,
            retry: Duration::from_millis(500),
            skip: certification * 2,
            fetch: Duration::from_millis(1_000),
        }
    }
}

/// Where a node's chain begins.
#[derive(Clone, Debug)]
pub enum Beginning {
    /// With block 0.
    Genesis(Arc<Block>),
    /// With a decided block whose state was fetched: nothing below it is here, nor asked for.
    Fetched {
        /// The validators that signed it.
        validators: ValidatorSet,
        /// Their certificate.
        certificate: Certificate,
    },
}

/// What a driver is started with.
#[derive(Clone)]
pub struct SimplexConfig {
    /// This node's key: it votes in the epochs in which it has a seat.
    pub key: SecretKey,
    /// The chain.
    pub genesis: Arc<Genesis>,
    /// Where this node's chain begins.
    pub beginning: Beginning,
    /// When leaders propose.
    pub pace: Pace,
    /// How long to wait for others.
    pub timeouts: Timeouts,
    /// What the names of this node's files on the environment's disk begin with; nodes may share a disk.
    pub partition_prefix: String,
    /// Turns true when this node has caught up with what its peers decide, and false when it falls behind.
    pub keeps_up: watch::Sender<bool>,
}

impl std::fmt::Debug for SimplexConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SimplexConfig")
            .field("node", &self.key.public_key())
            .field("chain", &self.genesis.chain_id)
            .field("pace", &self.pace)
            .field("timeouts", &self.timeouts)
            .finish_non_exhaustive()
    }
}

/// The two ends of one channel to all peers.
pub type Channel<S, R> = (S, R);

/// The channels a driver speaks over, in order of urgency.
#[derive(Debug)]
pub struct Channels<S, R> {
    /// Votes of single validators.
    pub votes: Channel<S, R>,
    /// Certificates: many votes in one.
    pub certificates: Channel<S, R>,
    /// Requests for certificates of views that were missed, and answers.
    pub views: Channel<S, R>,
    /// Proposed blocks.
    pub proposals: Channel<S, R>,
    /// Requests for decided blocks that were missed, and answers.
    pub blocks: Channel<S, R>,
    /// The newest finalization, from and to every peer.
    pub news: Channel<S, R>,
}

/// What the engine needs of the world around it.
pub trait Environment: Clock + CryptoRng + Spawner + Storage + Metrics + Send + Sync {}

impl<E> Environment for E where E: Clock + CryptoRng + Spawner + Storage + Metrics + Send + Sync {}

/// The network as the engine knows it.
#[derive(Clone, Debug)]
pub struct Peers<M, B> {
    /// Who the peers are: the validators of this epoch and everybody else.
    pub manager: M,
    /// Whom to shun.
    pub blocker: B,
}

/// The most bytes that a message on any channel of a chain has.
#[must_use]
pub fn message_bytes_max(genesis: &Genesis) -> usize {
    let certificate = 256 + limits::VALIDATORS_MAX * 80;
    block_bytes_max(genesis) + certificate + 256
}

fn block_bytes_max(genesis: &Genesis) -> usize {
    let transactions = usize::try_from(genesis.parameters.block_bytes_max).unwrap_or(usize::MAX);
    // An empty set of transactions has a length too, and each has its own.
    transactions.saturating_add(HEADER_BYTES_MAX)
}

/// Orders blocks until `stop` turns true or its sender goes away.
pub async fn run<E, A, M, B, S, R>(
    env: E,
    config: SimplexConfig,
    application: Arc<A>,
    peers: Peers<M, B>,
    channels: Channels<S, R>,
    mut stop: watch::Receiver<bool>,
) -> Ended
where
    E: Environment,
    A: Application,
    M: Manager<PublicKey = PeerKey>,
    B: Blocker<PublicKey = PeerKey>,
    S: Sender<PublicKey = PeerKey>,
    R: Receiver<PublicKey = PeerKey>,
{
    let mut parts = Parts::start(&env, config, application, peers, channels).await;
    let ended = tokio::select! {
        biased;
        _ = stop.wait_for(|stop| *stop) => Ended::Stopped,
        ended = parts.order(&env) => ended,
    };
    parts.abort();
    ended
}

fn epoch_blocks(genesis: &Genesis) -> NonZeroU64 {
    NonZeroU64::new(u64::from(genesis.parameters.epoch_blocks)).unwrap_or(NonZeroU64::MIN)
}

/// A secret key's public key is always a point of the curve.
fn node_key(key: &SecretKey) -> PeerKey {
    peer_key(&key.public_key()).expect("a key made from a seed is valid")
}
