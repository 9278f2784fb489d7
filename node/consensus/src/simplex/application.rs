//! Answer the engine from the chain: propose, verify, and hand decided blocks on in order.

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use commonware_actor::Feedback;
use commonware_consensus::Reporter;
use commonware_consensus::marshal::Update;
use commonware_consensus::marshal::ancestry::Ancestry;
use commonware_consensus::simplex::types::Context;
use commonware_cryptography::Digested;
use commonware_runtime::Clock;
use commonware_utils::acknowledgement::Exact;
use futures_util::StreamExt as _;
use kumiki_protocol::{Block, Hash};
use tokio::sync::mpsc;

use super::block::{Digest, OrderedBlock};
use super::progress::Progress;
use super::scheme::{PeerKey, Scheme, public_key};
use crate::{Application, BuildRequest, CheckRequest};

/// How far a block's time may lie ahead of this node's clock before it is voted for.
const CLOCK_DRIFT_MS: u64 = 500;
/// Pause before asking again where work waits and no block came of it.
const RETRY: Duration = Duration::from_millis(5);

/// When a leader proposes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// The least time between a block and its parent.
    pub block_time: Duration,
    /// An idle leader proposes an empty block after this long.
    pub heartbeat: Duration,
}

/// The chain as the engine's application.
pub(crate) struct Proposer<A> {
    application: Arc<A>,
    pace: Pace,
}

impl<A> Clone for Proposer<A> {
    fn clone(&self) -> Self {
        Self {
            application: Arc::clone(&self.application),
            pace: self.pace,
        }
    }
}

impl<A: Application> Proposer<A> {
    pub(crate) const fn new(application: Arc<A>, pace: Pace) -> Self {
        Self { application, pace }
    }

    /// The blocks of `ancestry` that are not known to be committed, oldest first. The first of the stream is always
    /// among them.
    async fn uncommitted(
        &self,
        mut ancestry: impl Ancestry<OrderedBlock>,
    ) -> Option<Vec<Arc<Block>>> {
        let mut blocks = vec![Arc::clone(ancestry.next().await?.inner().block())];
        while let Some(last) = blocks.last()
            && last.header.height > self.application.tip().height.saturating_add(1)
        {
            blocks.push(Arc::clone(ancestry.next().await?.inner().block()));
        }
        blocks.reverse();
        Some(blocks)
    }

    /// Waits until there is something to propose, and proposes it.
    async fn build(&self, env: &impl Clock, request: BuildRequest, parent: &Block) -> Arc<Block> {
        let earliest = parent
            .header
            .time_ms
            .saturating_add(millis(self.pace.block_time));
        sleep_until_ms(env, earliest).await;
        let heartbeat = env.current() + self.pace.heartbeat;
        let mut allow_empty = self.pace.heartbeat.is_zero();
        loop {
            let request = BuildRequest {
                time_ms: now_ms(env),
                allow_empty,
                ..request.clone()
            };
            match self.application.build(request).await {
                Ok(Some(block)) => return block,
                Ok(None) => {}
                // The application has stopped, and so will the engine.
                Err(_closed) => std::future::pending().await,
            }
            tokio::select! {
                biased;
                () = env.sleep_until(heartbeat) => allow_empty = true,
                () = self.application.work_waits() => env.sleep(RETRY).await,
            }
            if allow_empty {
                env.sleep(RETRY).await;
            }
        }
    }
}

impl<E, A> commonware_consensus::Application<E> for Proposer<A>
where
    E: Clock,
    A: Application,
{
    type SigningScheme = Scheme;
    type Context = Context<Digest, PeerKey>;
    type Block = OrderedBlock;
    type Input = ();

    async fn propose(
        &mut self,
        (env, context): (E, Self::Context),
        ancestry: impl Ancestry<OrderedBlock>,
        (): (),
    ) -> Option<Digested<OrderedBlock>> {
        let ancestors = self.uncommitted(ancestry).await?;
        let parent = Arc::clone(ancestors.last()?);
        let request = BuildRequest {
            height: parent.header.height.checked_add(1)?,
            parent: Hash(context.parent.1.0),
            time_ms: 0,
            proposer: public_key(&context.leader),
            allow_empty: false,
            ancestors,
        };
        let block = self.build(&env, request, &parent).await;
        Some(OrderedBlock::digested(block))
    }

    async fn verify(
        &mut self,
        (env, context): (E, Self::Context),
        mut ancestry: impl Ancestry<OrderedBlock>,
    ) -> bool {
        let Some(proposed) = ancestry.next().await else {
            return std::future::pending().await;
        };
        let block = Arc::clone(proposed.inner().block());
        if block.header.proposer != public_key(&context.leader) {
            return false;
        }
        let Some(ancestors) = self.uncommitted(ancestry).await else {
            return std::future::pending().await;
        };
        // It may be this node's clock that is late: no refusal, but no vote before that time.
        sleep_until_ms(&env, block.header.time_ms.saturating_sub(CLOCK_DRIFT_MS)).await;
        let request = CheckRequest { block, ancestors };
        match self.application.check(request).await {
            Ok(sound) => sound,
            Err(_closed) => std::future::pending().await,
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// The environment's clock in milliseconds since 1970.
fn now_ms(env: &impl Clock) -> u64 {
    millis(env.current().duration_since(UNIX_EPOCH).unwrap_or_default())
}

async fn sleep_until_ms(env: &impl Clock, time_ms: u64) {
    let ahead = time_ms.saturating_sub(now_ms(env));
    if ahead > 0 {
        env.sleep(Duration::from_millis(ahead)).await;
    }
}

/// A decided block on its way to the chain, to be acknowledged once it is stored there.
pub(crate) struct Delivery {
    pub(crate) block: Arc<Block>,
    pub(crate) acknowledgement: Exact,
}

/// Takes decided blocks from the engine.
#[derive(Clone)]
pub(crate) struct Deliveries {
    pub(crate) sender: mpsc::UnboundedSender<Delivery>,
    pub(crate) progress: Progress,
}

impl Reporter for Deliveries {
    type Activity = Update<OrderedBlock>;

    /// Unbounded as a queue, but the engine has only a few unacknowledged blocks under way.
    fn report(&mut self, update: Self::Activity) -> Feedback {
        let (block, acknowledgement) = match update {
            Update::Block(block, acknowledgement) => (block, acknowledgement),
            Update::Tip(round, height, _) => {
                self.progress.decided(round, height.get());
                return Feedback::Ok;
            }
        };
        let delivery = Delivery {
            block: Arc::clone(block.inner().block()),
            acknowledgement,
        };
        match self.sender.send(delivery) {
            Ok(()) => Feedback::Ok,
            Err(_closed) => Feedback::Closed,
        }
    }
}
