//! Order blocks among many validators with Commonware's Simplex, and deliver what is decided in order.
//!
//! Three parts of the engine work here: `simplex` votes, one instance per epoch; `marshal` keeps proposed and
//! decided blocks on disk, fetches those that are missing and delivers them in order; `broadcast` sends a proposed
//! block to everybody. They run in the environment that is given to [`run`] (clock, randomness, tasks, disk) and over
//! the channels that are given to it, so the same code runs in production and in the simulator.
//!
//! What is durable when: a vote is in the engine's journal before it is sent; a decided block is in the archive
//! before it is delivered; the chain has executed and stored it before it is acknowledged. What was delivered and not
//! acknowledged is delivered again after a restart.

use std::num::{NonZeroU16, NonZeroU64, NonZeroUsize};
use std::sync::Arc;
use std::time::Duration;

use commonware_broadcast::buffered;
use commonware_consensus::Reporters;
use commonware_consensus::marshal::core::{Actor, Mailbox};
use commonware_consensus::marshal::resolver::p2p as backfill;
use commonware_consensus::marshal::standard::{Inline, Standard};
use commonware_consensus::marshal::{self, Start};
use commonware_consensus::simplex::config::{ForwardPolicy, SkipBudget, SkipPolicy};
use commonware_consensus::simplex::elector::RoundRobin;
use commonware_consensus::simplex::{self, Floor};
use commonware_consensus::types::{Epoch, FixedEpocher, Height as EngineHeight, ViewDelta};
use commonware_p2p::utils::mux::{MuxHandle, Muxer};
use commonware_p2p::{Blocker, Manager, Receiver, Sender, TrackedPeers};
use commonware_parallel::Sequential;
use commonware_runtime::buffer::paged::CacheRef;
use commonware_runtime::{Clock, Handle, Metrics, Spawner, Storage};
use commonware_storage::archive::prunable;
use commonware_storage::translator::EightCap;
use commonware_utils::{Acknowledgement as _, NonZeroDuration};
use kumiki_protocol::{Block, Genesis, Hash, Height, SecretKey, limits};
use rand_core::CryptoRng;
use tokio::sync::{mpsc, watch};

pub use application::Pace;
pub use block::{Digest, OrderedBlock, digest_of};
pub use scheme::{PeerKey, Scheme, participants, peer_key, public_key};

use crate::{Application, Decided, Ended};
use announce::{Listener, News};
use application::{Deliveries, Delivery, Proposer};
use scheme::Schemes;
use witness::Witness;

mod announce;
mod application;
mod block;
mod scheme;
#[cfg(test)]
mod tests;
mod witness;

/// Messages that an engine's mailbox holds before its own policy for full ones applies.
const MAILBOX: NonZeroUsize = NonZeroUsize::new(1_024).expect("not zero");
/// Delivered blocks that may wait for the chain. More would only wait there.
const PENDING_BLOCKS: NonZeroUsize = NonZeroUsize::new(16).expect("not zero");
/// Heights fetched at a time by a node that lags.
const REPAIR_HEIGHTS: NonZeroUsize = NonZeroUsize::new(32).expect("not zero");
/// Views behind the newest finalization whose votes are kept: for peers that ask, and to notice double votes.
const VIEWS_KEPT: ViewDelta = ViewDelta::new(256);
/// Blocks or certificates per file of an archive.
const ITEMS_PER_SECTION: NonZeroU64 = NonZeroU64::new(4_096).expect("not zero");
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

/// What a driver is started with.
#[derive(Clone)]
pub struct SimplexConfig {
    /// This node's key: it votes in the epochs in which it has a seat.
    pub key: SecretKey,
    /// The chain.
    pub genesis: Arc<Genesis>,
    /// Block 0 of the chain.
    pub genesis_block: Arc<Block>,
    /// When leaders propose.
    pub pace: Pace,
    /// How long to wait for others.
    pub timeouts: Timeouts,
    /// What the names of this node's files on the environment's disk begin with; nodes may share a disk.
    pub partition_prefix: String,
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
    let parts = Parts::start(&env, config, application, peers, channels).await;
    let ended = tokio::select! {
        biased;
        _ = stop.wait_for(|stop| *stop) => Ended::Stopped,
        ended = parts.order(&env) => ended,
    };
    parts.abort();
    ended
}

type Voting<E, A> = Inline<E, Scheme, Proposer<A>, OrderedBlock, FixedEpocher>;

/// What lives for longer than an epoch.
struct Parts<E, A, M, B, S>
where
    E: Environment,
    A: Application,
    S: Sender<PublicKey = PeerKey>,
{
    config: SimplexConfig,
    genesis_hash: Hash,
    application: Arc<A>,
    peers: Peers<M, B>,
    schemes: Schemes,
    marshal: Mailbox<Scheme, Standard<OrderedBlock>>,
    voting: Voting<E, A>,
    news: News,
    witness: Witness<A>,
    votes: tokio::sync::Mutex<MuxHandle<S>>,
    certificates: tokio::sync::Mutex<MuxHandle<S>>,
    views: tokio::sync::Mutex<MuxHandle<S>>,
    /// The height that the chain has stored last.
    stored: watch::Receiver<Height>,
    pages: CacheRef,
    tasks: Vec<Handle<()>>,
}

impl<E, A, M, B, S> Parts<E, A, M, B, S>
where
    E: Environment,
    A: Application,
    M: Manager<PublicKey = PeerKey>,
    B: Blocker<PublicKey = PeerKey>,
    S: Sender<PublicKey = PeerKey>,
{
    async fn start<R>(
        env: &E,
        config: SimplexConfig,
        application: Arc<A>,
        peers: Peers<M, B>,
        channels: Channels<S, R>,
    ) -> Self
    where
        R: Receiver<PublicKey = PeerKey>,
    {
        let epochs = FixedEpocher::new(epoch_blocks(&config.genesis));
        let schemes = Schemes::default();
        let pages = CacheRef::new(PAGE_BYTES, PAGES_CACHED);
        let genesis_hash = config.genesis.hash();
        let mut tasks = Vec::new();
        let key = node_key(&config.key);
        let (broadcast, buffer) = buffered::Engine::new(
            env.child("broadcast"),
            buffered::Config {
                public_key: key.clone(),
                mailbox_size: MAILBOX,
                deque_size: PROPOSALS_PER_PEER,
                priority: false,
                codec_config: block_bytes_max(&config.genesis),
                peer_provider: peers.manager.clone(),
                strategy: Sequential,
            },
        );
        tasks.push(broadcast.start(channels.proposals));
        let resolver = backfill::init(
            env.child("backfill"),
            backfill::Config {
                public_key: key,
                peer_provider: peers.manager.clone(),
                blocker: peers.blocker.clone(),
                mailbox_size: MAILBOX,
                fetch_timeout: NonZeroDuration::new_panic(config.timeouts.fetch),
                fetch_retry_delay: Duration::from_millis(100),
                priority_requests: false,
                priority_responses: false,
            },
            channels.blocks,
        );
        let (actor, marshal) =
            open_marshal(env, &config, schemes.clone(), epochs.clone(), &pages).await;
        let (deliveries, delivered) = mpsc::unbounded_channel();
        let (stored_sender, stored) = watch::channel(application.tip().height);
        tasks.push(actor.start(Deliveries(deliveries), buffer, resolver));
        tasks.push(env.child("deliver").spawn({
            let (application, marshal) = (Arc::clone(&application), marshal.clone());
            move |_env| deliver(application, marshal, delivered, stored_sender)
        }));
        let news = News::new();
        let (news_sender, news_receiver) = channels.news;
        tasks.push(env.child("announce").spawn({
            let news = news.clone();
            move |env| announce::announce(env, news, news_sender)
        }));
        let listener = Listener {
            news: news.clone(),
            schemes: schemes.clone(),
            marshal: marshal.clone(),
            parameters: config.genesis.parameters,
            blocker: peers.blocker.clone(),
        };
        tasks.push(
            env.child("listen")
                .spawn(move |env| listener.listen(env, news_receiver)),
        );
        let voting = Inline::new(
            env.child("voting"),
            Proposer::new(Arc::clone(&application), config.pace),
            marshal.clone(),
            epochs,
        );
        let witness = Witness::new(Arc::clone(&application), schemes.clone(), genesis_hash);
        let mut mux = |name, (sender, receiver)| {
            let (mux, handle) = Muxer::new(env.child(name), sender, receiver);
            let running = mux.start();
            tasks.push(env.child("mux").spawn(move |_env| async move {
                // A channel that ended has said so where it ended.
                drop(running.await);
            }));
            tokio::sync::Mutex::new(handle)
        };
        let votes = mux("votes", channels.votes);
        let certificates = mux("certificates", channels.certificates);
        let views = mux("views", channels.views);
        Self {
            config,
            genesis_hash,
            application,
            peers,
            schemes,
            marshal,
            voting,
            news,
            witness,
            votes,
            certificates,
            views,
            stored,
            pages,
            tasks,
        }
    }

    fn abort(self) {
        for task in self.tasks {
            task.abort();
        }
    }

    /// Runs one epoch after the other. Returns where the chain or the engine has stopped.
    async fn order(&self, env: &E) -> Ended {
        let next = self.stored.borrow().saturating_add(1);
        let mut epoch = self.config.genesis.parameters.epoch_of(next);
        loop {
            let engine = match self.enter(env, epoch).await {
                Some(engine) => engine,
                None => return Ended::ApplicationGone,
            };
            let last = self.config.genesis.parameters.last_height(epoch);
            let mut stored = self.stored.clone();
            let ended = tokio::select! {
                biased;
                over = stored.wait_for(|height| *height >= last) => over.is_err(),
                _ended = engine => true,
            };
            if ended {
                return Ended::ApplicationGone;
            }
            epoch += 1;
        }
    }

    /// Starts voting in an epoch, where this node has a seat, and verifying its certificates anyway. The task ends
    /// when the engine does; it ends the engine when it is dropped. `None`: the chain has stopped.
    async fn enter(&self, env: &E, epoch: u64) -> Option<AbortOnDrop> {
        let first = self.config.genesis.parameters.first_height(epoch);
        let validators = self.application.validators(first.max(1))?;
        let participants = participants(&validators)?;
        let scheme = scheme::scheme(&self.genesis_hash, participants.clone(), &self.config.key);
        self.schemes.register(epoch, scheme.clone());
        let mut peers = self.peers.manager.clone();
        peers.track(epoch, TrackedPeers::primary(participants));
        let floor = self.floor(epoch, first).await?;
        if validators.position(&self.config.key.public_key()).is_none() {
            let idle = env.child("observer");
            return Some(AbortOnDrop(idle.spawn(|_env| std::future::pending())));
        }
        let timeouts = self.config.timeouts;
        let engine = simplex::Engine::new(
            env.child("simplex").with_attribute("epoch", epoch),
            simplex::Config {
                scheme,
                elector: RoundRobin::<commonware_cryptography::Sha256>::default(),
                blocker: self.peers.blocker.clone(),
                automaton: self.voting.clone(),
                relay: self.voting.clone(),
                reporter: Reporters::from((
                    self.voting.clone(),
                    Reporters::from((self.news.clone(), self.witness.clone())),
                )),
                track_historical_votes: true,
                strategy: Sequential,
                partition: format!("{}votes-{epoch}", self.config.partition_prefix),
                mailbox_size: MAILBOX,
                epoch: Epoch::new(epoch),
                floor,
                replay_buffer: BUFFER_BYTES,
                write_buffer: BUFFER_BYTES,
                page_cache: self.pages.clone(),
                leader_timeout: timeouts.leader,
                certification_timeout: timeouts.certification,
                timeout_retry: timeouts.retry,
                view_retention: VIEWS_KEPT,
                skip: SkipPolicy::Enabled {
                    timeout: timeouts.skip,
                    budget: SkipBudget::Participants,
                },
                fetch_timeout: NonZeroDuration::new_panic(timeouts.fetch),
                fetch_retry_delay: Duration::from_millis(100),
                forward: ForwardPolicy::SilentLeader,
            },
        );
        let votes = self.votes.lock().await.register(epoch).await.ok()?;
        let certificates = self.certificates.lock().await.register(epoch).await.ok()?;
        let views = self.views.lock().await.register(epoch).await.ok()?;
        Some(AbortOnDrop(engine.start(votes, certificates, views)))
    }

    /// Where an epoch starts from: its newest finalization that is stored here, else the last block before it.
    async fn floor(&self, epoch: u64, first: Height) -> Option<Floor<Scheme, Digest>> {
        let stored = *self.stored.borrow();
        if let Some(finalization) = self
            .marshal
            .get_finalization(EngineHeight::new(stored))
            .await
            && finalization.proposal.round.epoch().get() == epoch
        {
            return Some(Floor::Finalized(finalization));
        }
        let boundary = first.saturating_sub(1);
        if first == 0 {
            return Some(Floor::Genesis(digest_of(&self.config.genesis_block.hash())));
        }
        let blocks = self.application.blocks(boundary, 1).await.ok()?;
        let block = blocks.first()?;
        Some(Floor::Genesis(digest_of(&block.block.hash())))
    }
}

/// A task that ends when it is no longer waited for.
struct AbortOnDrop(Handle<()>);

impl Future for AbortOnDrop {
    type Output = ();

    fn poll(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<()> {
        std::pin::Pin::new(&mut self.0).poll(context).map(drop)
    }
}

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Hands decided blocks to the chain, one after the other, and acknowledges those that it has stored.
async fn deliver<A: Application>(
    application: Arc<A>,
    marshal: Mailbox<Scheme, Standard<OrderedBlock>>,
    mut delivered: mpsc::UnboundedReceiver<Delivery>,
    stored: watch::Sender<Height>,
) {
    while let Some(delivery) = delivered.recv().await {
        let height = delivery.block.header.height;
        let finalization = marshal.get_finalization(EngineHeight::new(height)).await;
        let decided = Decided {
            block: delivery.block,
            certificate: finalization.as_ref().and_then(scheme::certificate),
        };
        if application.commit(decided).await.is_err() {
            // The chain has stopped. What is not acknowledged comes again after the next start.
            return;
        }
        delivery.acknowledgement.acknowledge();
        stored.send_if_modified(|known| {
            let newer = height > *known;
            *known = height.max(*known);
            newer
        });
    }
}

type MarshalActor<E> = Actor<
    E,
    Standard<OrderedBlock>,
    Schemes,
    prunable::Archive<
        EightCap,
        E,
        Digest,
        commonware_consensus::simplex::types::Finalization<Scheme, Digest>,
    >,
    prunable::Archive<EightCap, E, Digest, Arc<OrderedBlock>>,
    FixedEpocher,
    Sequential,
>;

async fn open_marshal<E: Environment>(
    env: &E,
    config: &SimplexConfig,
    schemes: Schemes,
    epochs: FixedEpocher,
    pages: &CacheRef,
) -> (MarshalActor<E>, Mailbox<Scheme, Standard<OrderedBlock>>) {
    let block_bytes_max = block_bytes_max(&config.genesis);
    let certificates = prunable::Archive::init(
        env.child("certificate_archive"),
        archive(
            &format!("{}decided-certificates", config.partition_prefix),
            pages,
            usize::from(u16::MAX),
        ),
    )
    .await
    .expect("the archive of certificates opens");
    let blocks = prunable::Archive::init(
        env.child("block_archive"),
        archive(
            &format!("{}decided-blocks", config.partition_prefix),
            pages,
            block_bytes_max,
        ),
    )
    .await
    .expect("the archive of blocks opens");
    let genesis = OrderedBlock::digested(Arc::clone(&config.genesis_block));
    let (actor, mailbox, _floor) = Actor::init(
        env.child("marshal"),
        certificates,
        blocks,
        marshal::Config {
            provider: schemes,
            epocher: epochs,
            start: Start::Genesis(genesis),
            partition_prefix: format!("{}marshal", config.partition_prefix),
            mailbox_size: MAILBOX,
            view_retention: VIEWS_KEPT,
            prunable_items_per_section: ITEMS_PER_SECTION,
            page_cache: pages.clone(),
            replay_buffer: BUFFER_BYTES,
            key_write_buffer: BUFFER_BYTES,
            value_write_buffer: BUFFER_BYTES,
            block_codec_config: block_bytes_max,
            max_repair: REPAIR_HEIGHTS,
            max_pending_acks: PENDING_BLOCKS,
            strategy: Sequential,
        },
    )
    .await;
    (actor, mailbox)
}

fn archive<C>(name: &str, pages: &CacheRef, codec_config: C) -> prunable::Config<EightCap, C> {
    prunable::Config {
        translator: EightCap,
        metadata_partition: format!("{name}-marks"),
        key_partition: format!("{name}-keys"),
        key_page_cache: pages.clone(),
        value_partition: format!("{name}-values"),
        compression: None,
        codec_config,
        items_per_section: ITEMS_PER_SECTION,
        key_write_buffer: BUFFER_BYTES,
        value_write_buffer: BUFFER_BYTES,
        replay_buffer: BUFFER_BYTES,
    }
}

fn epoch_blocks(genesis: &Genesis) -> NonZeroU64 {
    NonZeroU64::new(u64::from(genesis.parameters.epoch_blocks)).unwrap_or(NonZeroU64::MIN)
}

/// A secret key's public key is always a point of the curve.
fn node_key(key: &SecretKey) -> PeerKey {
    peer_key(&key.public_key()).expect("a key made from a seed is valid")
}
