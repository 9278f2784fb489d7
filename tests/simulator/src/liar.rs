//! A validator that proposes blocks which look well and are not: a false result or time, a transaction twice, a forged one.

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use commonware_runtime::{Spawner as _, Supervisor as _, deterministic};
use kumiki_consensus::{Application, BuildRequest, CheckRequest, Decided, Pending, Tip};
use kumiki_node::Chain;
use kumiki_protocol::{Action, Block, Evidence, Hash, Height, ValidatorSet};
use kumiki_testkit::Random;
use tokio::sync::oneshot;

/// The chain of an honest node, but for what it proposes.
pub(crate) struct Liar {
    chain: Chain,
    env: Mutex<deterministic::Context>,
    random: Arc<Mutex<Random>>,
}

impl Liar {
    pub(crate) fn new(chain: Chain, env: deterministic::Context, random: Random) -> Self {
        Self {
            chain,
            env: Mutex::new(env),
            random: Arc::new(Mutex::new(random)),
        }
    }
}

impl Application for Liar {
    fn build(&self, request: BuildRequest) -> Pending<Option<Arc<Block>>> {
        let honest = self.chain.build(request);
        let (reply, answer) = oneshot::channel();
        let random = Arc::clone(&self.random);
        let env = self.env.lock().unwrap_or_else(PoisonError::into_inner);
        // A task goes on when nobody holds its handle.
        let _task = env.child("liar").spawn(move |_env| async move {
            if let Ok(built) = honest.await {
                let mut random = random.lock().unwrap_or_else(PoisonError::into_inner);
                let told = built.map(|block| Arc::new(falsify(&block, &mut random)));
                drop(reply.send(told));
            }
        });
        answer
    }

    fn check(&self, request: CheckRequest) -> Pending<bool> {
        self.chain.check(request)
    }

    fn commit(&self, decided: Decided) -> Pending<()> {
        self.chain.commit(decided)
    }

    fn tip(&self) -> Tip {
        self.chain.tip()
    }

    fn validators(&self, height: Height) -> Option<Arc<ValidatorSet>> {
        self.chain.validators(height)
    }

    fn decided(&self, height: Height) -> Option<Decided> {
        self.chain.decided(height)
    }

    fn height_of(&self, hash: &Hash) -> Option<Height> {
        self.chain.height_of(hash)
    }

    fn misbehaved(&self, evidence: Evidence) {
        self.chain.misbehaved(evidence);
    }

    fn work_waits(&self) -> impl Future<Output = ()> + Send {
        self.chain.work_waits()
    }
}

/// The block with one thing wrong, or nothing.
fn falsify(block: &Block, random: &mut Random) -> Block {
    let mut block = block.clone();
    match (random.below(5), block.transactions.first().cloned()) {
        (0, _) => block.header.executed.state_root.0[0] ^= 1,
        // What was in the block is in it once more.
        (1, Some(first)) => block.transactions.push(first),
        // Nobody signed this.
        (2, Some(mut first)) => {
            for action in &mut first.body.actions {
                if let Action::Transfer { amount, .. } = action {
                    *amount += 1;
                }
            }
            if let Some(place) = block.transactions.first_mut() {
                *place = first;
            }
        }
        // What was promised until some time would be undone.
        (3, _) => block.header.time_ms = 1,
        _ => {}
    }
    block.header.transactions_root = Block::transactions_root(&block.transactions);
    block.header.transactions_count = u32::try_from(block.transactions.len()).unwrap_or(0);
    block
}
