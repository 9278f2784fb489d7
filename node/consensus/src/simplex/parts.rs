//! Run what lives for longer than an epoch, and one engine for each epoch.

use std::sync::Arc;
use std::time::Duration;

use commonware_consensus::Reporters;
use commonware_consensus::marshal::core::Mailbox;
use commonware_consensus::marshal::standard::{Inline, Standard};
use commonware_consensus::simplex::config::{ForwardPolicy, SkipBudget, SkipPolicy};
use commonware_consensus::simplex::elector::RoundRobin;
use commonware_consensus::simplex::{self, Floor};
use commonware_consensus::types::{Epoch, FixedEpocher, Height as EngineHeight, Round, View};
use commonware_cryptography::certificate::Scheme as _;
use commonware_p2p::{Blocker, Manager, Receiver, Sender, TrackedPeers};
use commonware_parallel::Sequential;
use commonware_runtime::Handle;
use commonware_runtime::buffer::paged::CacheRef;
use commonware_utils::ordered::Quorum as _;
use commonware_utils::{N3f1, NonZeroDuration};
use kumiki_protocol::{Hash, Height};
use tokio::sync::{mpsc, watch};

use super::announce::{self, Listener, News};
use super::application::{Deliveries, Proposer};
use super::archives::open_marshal;
use super::block::{Digest, OrderedBlock, digest_of};
use super::by_epoch::ByEpoch;
use super::guard::{Answers, Guard, Heard, newest_own_vote};
use super::progress::Progress;
use super::scheme::{self, PeerKey, Scheme, Schemes, participants};
use super::tasks::{carry_blocks, deliver, spread_news};
use super::witness::Witness;
use super::{
    BUFFER_BYTES, Beginning, Channels, Environment, MAILBOX, PAGE_BYTES, PAGES_CACHED, Peers,
    SimplexConfig, VIEWS_KEPT, epoch_blocks,
};
use crate::{Application, Ended};

type Voting<E, A> = Inline<E, Scheme, Proposer<A>, OrderedBlock, FixedEpocher>;

/// What lives for longer than an epoch.
pub(crate) struct Parts<E, A, M, B, S>
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
    heard: Heard,
    answers: Answers,
    /// Where the others are asked for this node's votes; taken once that is done.
    questions: Option<S>,
    witness: Witness<A>,
    channels: ByEpoch<S>,
    /// The height that the chain has stored last.
    stored: watch::Receiver<Height>,
    pages: CacheRef,
    tasks: Vec<Handle<()>>,
}

/// Has the certificate of a fetched state verified before any epoch is entered.
fn know_base(config: &SimplexConfig, schemes: &Schemes) {
    if let Beginning::Fetched {
        validators,
        certificate,
    } = &config.beginning
        && let Some(participants) = participants(validators)
    {
        let scheme = scheme::scheme(&config.genesis.hash(), participants, &config.key);
        schemes.register(certificate.proposal.epoch, scheme);
    }
}

impl<E, A, M, B, S> Parts<E, A, M, B, S>
where
    E: Environment,
    A: Application,
    M: Manager<PublicKey = PeerKey>,
    B: Blocker<PublicKey = PeerKey>,
    S: Sender<PublicKey = PeerKey>,
{
    pub(crate) async fn start<R>(
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
        know_base(&config, &schemes);
        let (actor, marshal) = open_marshal(
            env,
            &config,
            &application,
            schemes.clone(),
            epochs.clone(),
            &pages,
        )
        .await;
        let (sender, delivered) = mpsc::unbounded_channel();
        let progress = Progress::new(application.tip().height, config.keeps_up.clone());
        let deliveries = Deliveries {
            sender,
            progress: progress.clone(),
        };
        let (stored_sender, stored) = watch::channel(application.tip().height);
        let (buffer, resolver, broadcast) =
            carry_blocks(env, &config, &peers, channels.proposals, channels.blocks);
        let mut tasks = vec![broadcast, actor.start(deliveries, buffer, resolver)];
        tasks.push(env.child("deliver").spawn({
            let (application, marshal) = (Arc::clone(&application), marshal.clone());
            let stored = (stored_sender, progress.clone());
            move |_env| deliver(application, marshal, delivered, stored)
        }));
        let news = News::new(progress);
        let (heard, answers) = (Heard::default(), Answers::default());
        let listener = Listener {
            news: news.clone(),
            schemes: schemes.clone(),
            marshal: marshal.clone(),
            parameters: config.genesis.parameters,
            blocker: peers.blocker.clone(),
            heard: heard.clone(),
            answers: answers.clone(),
            sender: channels.news.0.clone(),
        };
        let questions = channels.news.0.clone();
        tasks.extend(spread_news(env, listener, channels.news));
        let proposer = Proposer::new(Arc::clone(&application), config.pace);
        let voting = Inline::new(env.child("voting"), proposer, marshal.clone(), epochs);
        let witness = Witness::new(Arc::clone(&application), schemes.clone(), genesis_hash);
        let of_engine = [channels.votes, channels.certificates, channels.views];
        let channels = ByEpoch::start(env, of_engine, &mut tasks);
        Self {
            config,
            genesis_hash,
            application,
            peers,
            schemes,
            marshal,
            voting,
            news,
            heard,
            answers,
            questions: Some(questions),
            witness,
            channels,
            stored,
            pages,
            tasks,
        }
    }

    pub(crate) fn abort(self) {
        for task in self.tasks {
            task.abort();
        }
    }

    /// Runs one epoch after the other. Returns where the chain or the engine has stopped.
    pub(crate) async fn order(&mut self, env: &E) -> Ended {
        let stored = *self.stored.borrow();
        let next = stored.saturating_add(1);
        // A peer may miss just this one, and the others may have restarted too.
        let newest = EngineHeight::new(stored);
        if let Some(finalization) = self.marshal.get_finalization(newest).await {
            self.news.take(&finalization);
        }
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
    async fn enter(&mut self, env: &E, epoch: u64) -> Option<AbortOnDrop> {
        let channels = self.channels.enter(epoch).await?;
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
        let floor = self.wait_until_safe(env, epoch, &scheme, floor).await;
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
                    Reporters::from((
                        self.news.clone(),
                        Reporters::from((self.heard.clone(), self.witness.clone())),
                    )),
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
        let engine = engine.start(channels.votes, channels.certificates, channels.views);
        Some(AbortOnDrop(engine))
    }

    /// Before the first vote of this process: makes sure that no vote is cast twice. Gives back where to start from.
    async fn wait_until_safe(
        &mut self,
        env: &E,
        epoch: u64,
        scheme: &Scheme,
        floor: Floor<Scheme, Digest>,
    ) -> Floor<Scheme, Digest> {
        let Some(mut questions) = self.questions.take() else {
            return floor;
        };
        let partition = format!("{}votes-{epoch}", self.config.partition_prefix);
        let own = newest_own_vote(env, scheme, partition, &self.pages).await;
        let decided = match &floor {
            Floor::Finalized(finalization) => finalization.proposal.round,
            Floor::Genesis(_) => Round::new(Epoch::new(epoch), View::zero()),
        };
        let others = usize::try_from(scheme.participants().quorum::<N3f1>()).unwrap_or(1) - 1;
        let guard = Guard {
            answers: &self.answers,
            news: &self.news,
            quorum: others,
            known: own.map_or(decided, |own| own.max(decided)),
        };
        let was_old = guard.wait(env, || announce::ask(&mut questions)).await;
        match self.news.newest() {
            Some(newest) if was_old && newest.proposal.round.epoch().get() == epoch => {
                Floor::Finalized(newest)
            }
            _ => floor,
        }
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
        match &self.config.beginning {
            // Its state is there before the engine has fetched the block.
            Beginning::Fetched {
                validators,
                certificate,
            } if certificate.proposal.epoch == epoch => {
                return scheme::finalization(certificate, validators).map(Floor::Finalized);
            }
            Beginning::Genesis(block) if first == 0 => {
                return Some(Floor::Genesis(digest_of(&block.hash())));
            }
            _ => {}
        }
        let boundary = first.saturating_sub(1);
        let decided = self.application.decided(boundary)?;
        Some(Floor::Genesis(digest_of(&decided.block.hash())))
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
