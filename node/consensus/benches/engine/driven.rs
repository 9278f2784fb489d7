//! Our driver over the same network, with a chain that executes and stores nothing.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use ::tokio::sync::{oneshot, watch};
use commonware_actor::Feedback;
use commonware_p2p::{Manager, PeerSetSubscription, Provider, TrackedPeers};
use commonware_runtime::{Spawner as _, Supervisor as _, tokio};
use kumiki_consensus::simplex::{
    self, Beginning, Channels, Pace, PeerKey, Peers, SimplexConfig, Timeouts,
};
use kumiki_consensus::{Application, BuildRequest, CheckRequest, Decided, Pending, Tip};
use kumiki_protocol::{
    Block, Evidence, ExecutedState, Hash, Header, Height, SecretKey, ValidatorSet,
};

use crate::{Heights, PATIENCE, wire};

/// Knows the peers that the network was given; they do not change here.
#[derive(Clone, Debug)]
struct Fixed(wire::Oracle);

impl Provider for Fixed {
    type PublicKey = PeerKey;

    async fn peer_set(&mut self, id: u64) -> Option<TrackedPeers<PeerKey>> {
        self.0.peer_set(id).await
    }

    async fn subscribe(&mut self) -> PeerSetSubscription<PeerKey> {
        self.0.subscribe().await
    }
}

impl Manager for Fixed {
    fn track<R>(&mut self, _id: u64, _peers: R) -> Feedback
    where
        R: Into<TrackedPeers<PeerKey>> + Send,
    {
        Feedback::Ok
    }
}

/// A chain of empty blocks that is nowhere.
struct Empty {
    first: Header,
    validators: Arc<ValidatorSet>,
    tip: Mutex<Tip>,
    heights: Heights,
}

impl Application for Empty {
    fn build(&self, request: BuildRequest) -> Pending<Option<Arc<Block>>> {
        let header = Header {
            height: request.height,
            parent: request.parent,
            time_ms: request.height,
            proposer: request.proposer,
            ..self.first.clone()
        };
        answered(Some(Arc::new(Block {
            header,
            transactions: Vec::new(),
        })))
    }

    fn check(&self, _request: CheckRequest) -> Pending<bool> {
        answered(true)
    }

    fn commit(&self, decided: Decided) -> Pending<()> {
        let header = &decided.block.header;
        *self.tip.lock().unwrap() = Tip {
            height: header.height,
            block_hash: header.hash(),
        };
        self.heights.send_if_modified(|height| {
            let rises = header.height > *height;
            *height = header.height.max(*height);
            rises
        });
        answered(())
    }

    fn tip(&self) -> Tip {
        *self.tip.lock().unwrap()
    }

    fn validators(&self, _height: Height) -> Option<Arc<ValidatorSet>> {
        Some(Arc::clone(&self.validators))
    }

    fn decided(&self, height: Height) -> Option<Decided> {
        let genesis = Block {
            header: self.first.clone(),
            transactions: Vec::new(),
        };
        (height == 0).then(|| Decided {
            block: Arc::new(genesis),
            certificate: None,
        })
    }

    fn height_of(&self, _hash: &Hash) -> Option<Height> {
        None
    }

    fn misbehaved(&self, _evidence: Evidence) {}

    fn work_waits(&self) -> impl Future<Output = ()> + Send {
        std::future::ready(())
    }
}

fn answered<T>(answer: T) -> Pending<T> {
    let (sender, receiver) = oneshot::channel();
    drop(sender.send(answer));
    receiver
}

pub(crate) fn start(env: &tokio::Context, keys: &[SecretKey], heights: &Heights) {
    let mut genesis = kumiki_testkit::genesis();
    genesis.validators = keys.iter().map(SecretKey::public_key).collect();
    let validators = Arc::new(ValidatorSet::new(genesis.validators.clone()).unwrap());
    let state = ExecutedState {
        height: 0,
        state_root: Hash::ZERO,
        state_entries: 0,
        receipts_root: Hash::ZERO,
        next_validators_hash: validators.hash(),
    };
    let (_chain, first) = kumiki_testkit::Chain::new(&genesis, keys.to_vec(), state);
    let genesis = Arc::new(genesis);
    for (own, key) in keys.iter().enumerate() {
        let env = env.child("validator").with_attribute("number", own);
        let (oracle, channels) = wire::join(&env, keys, own);
        let [votes, certificates, views, proposals, blocks, news] = channels;
        let channels = Channels {
            votes,
            certificates,
            views,
            proposals,
            blocks,
            news,
        };
        let chain = Arc::new(Empty {
            first: first.header.clone(),
            validators: Arc::clone(&validators),
            tip: Mutex::new(Tip {
                height: 0,
                block_hash: first.header.hash(),
            }),
            heights: heights.clone(),
        });
        let config = SimplexConfig {
            key: key.clone(),
            genesis: Arc::clone(&genesis),
            beginning: Beginning::Genesis(Arc::new(first.clone())),
            pace: Pace {
                block_time: Duration::ZERO,
                heartbeat: Duration::ZERO,
            },
            timeouts: Timeouts::for_heartbeat(PATIENCE),
            partition_prefix: format!("{own}-"),
            keeps_up: watch::channel(false).0,
        };
        let peers = Peers {
            manager: Fixed(oracle.clone()),
            blocker: oracle,
        };
        env.child("driver").spawn(move |env| async move {
            let (_running, stop) = watch::channel(false);
            simplex::run(env, config, chain, peers, channels, stop).await
        });
    }
}
