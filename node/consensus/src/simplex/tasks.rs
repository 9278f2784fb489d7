//! The tasks that run beside the engines of all epochs: those that carry blocks and news, and hand decided blocks to
//! the chain.

use std::sync::Arc;
use std::time::Duration;

use commonware_broadcast::buffered;
use commonware_consensus::marshal::core::Mailbox;
use commonware_consensus::marshal::resolver::p2p as backfill;
use commonware_consensus::marshal::standard::Standard;
use commonware_consensus::types::Height as EngineHeight;
use commonware_p2p::{Blocker, Manager, Receiver, Sender};
use commonware_parallel::Sequential;
use commonware_runtime::Handle;
use commonware_utils::{Acknowledgement as _, NonZeroDuration};
use kumiki_protocol::Height;
use tokio::sync::{mpsc, watch};

use super::announce::{self, Listener};
use super::application::Delivery;
use super::archives::forget_old;
use super::block::{Digest, OrderedBlock};
use super::progress::Progress;
use super::scheme::{self, PeerKey, Scheme};
use super::{
    Channel, Environment, MAILBOX, PROPOSALS_PER_PEER, Peers, SimplexConfig, block_bytes_max,
    node_key,
};
use crate::{Application, Decided};

pub(super) type BlockBuffer = buffered::Mailbox<PeerKey, OrderedBlock>;
pub(super) type BlockResolver = (
    commonware_consensus::marshal::resolver::handler::Receiver<Digest>,
    backfill::Mailbox<Digest, PeerKey>,
);

/// Starts what carries blocks: proposals to all validators, and decided ones to whoever asks.
pub(super) fn carry_blocks<E, M, B, S, R>(
    env: &E,
    config: &SimplexConfig,
    peers: &Peers<M, B>,
    proposals: Channel<S, R>,
    blocks: Channel<S, R>,
) -> (BlockBuffer, BlockResolver, Handle<()>)
where
    E: Environment,
    M: Manager<PublicKey = PeerKey>,
    B: Blocker<PublicKey = PeerKey>,
    S: Sender<PublicKey = PeerKey>,
    R: Receiver<PublicKey = PeerKey>,
{
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
        blocks,
    );
    (buffer, resolver, broadcast.start(proposals))
}

/// Starts what tells peers of finalizations and hears theirs.
pub(super) fn spread_news<E, B, S, R>(
    env: &E,
    listener: Listener<B, S>,
    (sender, receiver): Channel<S, R>,
) -> [Handle<()>; 2]
where
    E: Environment,
    B: Blocker<PublicKey = PeerKey>,
    S: Sender<PublicKey = PeerKey>,
    R: Receiver<PublicKey = PeerKey>,
{
    let news = listener.news.clone();
    [
        env.child("announce")
            .spawn(move |env| announce::announce(env, news, sender)),
        env.child("listen")
            .spawn(move |env| listener.listen(env, receiver)),
    ]
}

/// Hands decided blocks to the chain, one after the other, and acknowledges those that it has stored.
pub(super) async fn deliver<A: Application>(
    application: Arc<A>,
    marshal: Mailbox<Scheme, Standard<OrderedBlock>>,
    mut delivered: mpsc::UnboundedReceiver<Delivery>,
    (stored, progress): (watch::Sender<Height>, Progress),
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
        forget_old(&marshal, height);
        progress.stored(height);
        stored.send_if_modified(|known| {
            let newer = height > *known;
            *known = height.max(*known);
            newer
        });
    }
}
