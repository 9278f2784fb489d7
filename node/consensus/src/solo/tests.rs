//! The solo driver over a chain that keeps its blocks in memory.

use std::sync::Mutex;

use kumiki_protocol::{Block, Header, Height, Transaction};
use kumiki_testkit::{Draft, account, genesis, validator};
use tokio::sync::{Notify, oneshot};

use super::*;
use crate::{CheckRequest, Pending};

/// A chain in memory that puts what waits into blocks and executes nothing.
struct MemoryChain {
    genesis: kumiki_protocol::Genesis,
    waiting: Mutex<Vec<Transaction>>,
    filled: Notify,
    decided: Mutex<Vec<Decided>>,
    grown: watch::Sender<usize>,
    /// Drops its answers instead of giving them.
    gone: bool,
}

impl MemoryChain {
    fn new(gone: bool) -> Arc<Self> {
        Arc::new(Self {
            genesis: genesis(),
            waiting: Mutex::default(),
            filled: Notify::new(),
            decided: Mutex::default(),
            grown: watch::channel(0).0,
            gone,
        })
    }

    fn submit(&self, nonce: u64) {
        let transaction = Draft::new(&self.genesis, &account(0), nonce).sign();
        self.waiting.lock().unwrap().push(transaction);
        self.filled.notify_one();
    }

    fn answer<T>(&self, value: T) -> Pending<T> {
        let (reply, answer) = oneshot::channel();
        if !self.gone {
            drop(reply.send(value));
        }
        answer
    }

    fn header(&self, request: &BuildRequest, transactions: &[Transaction]) -> Header {
        let (_, first) = kumiki_testkit::Chain::new(
            &self.genesis,
            vec![validator(0)],
            kumiki_protocol::ExecutedState {
                height: request.height,
                state_root: Hash::ZERO,
                state_entries: 0,
                receipts_root: Hash::ZERO,
                next_validators_hash: Hash::ZERO,
            },
        );
        Header {
            height: request.height,
            parent: request.parent,
            time_ms: request.time_ms,
            proposer: request.proposer,
            transactions_root: Block::transactions_root(transactions),
            transactions_count: u32::try_from(transactions.len()).unwrap(),
            ..first.header
        }
    }
}

impl Application for MemoryChain {
    fn build(&self, request: BuildRequest) -> Pending<Option<Arc<Block>>> {
        let transactions = std::mem::take(&mut *self.waiting.lock().unwrap());
        if transactions.is_empty() && !request.allow_empty {
            return self.answer(None);
        }
        let header = self.header(&request, &transactions);
        self.answer(Some(Arc::new(Block {
            header,
            transactions,
        })))
    }

    fn tip(&self) -> Tip {
        let decided = self.decided.lock().unwrap();
        let newest = decided.last().map(|last| &last.block);
        Tip {
            height: newest.map_or(0, |block| block.header.height),
            block_hash: newest.map_or(Hash::ZERO, |block| block.hash()),
        }
    }

    fn check(&self, _request: CheckRequest) -> Pending<bool> {
        self.answer(false)
    }

    fn commit(&self, decided: Decided) -> Pending<()> {
        let mut blocks = self.decided.lock().unwrap();
        blocks.push(decided);
        self.grown.send_replace(blocks.len());
        self.answer(())
    }

    fn rewind(&self, height: Height) -> Pending<Option<(Tip, u64)>> {
        let mut blocks = self.decided.lock().unwrap();
        let kept = blocks
            .iter()
            .position(|one| one.block.header.height == height);
        let tip = kept.map(|position| {
            blocks.truncate(position + 1);
            let block = &blocks[position].block;
            let tip = Tip {
                height,
                block_hash: block.hash(),
            };
            (tip, block.header.time_ms)
        });
        self.answer(tip)
    }

    fn validators(&self, _height: Height) -> Option<Arc<ValidatorSet>> {
        self.genesis.validator_set().map(Arc::new)
    }

    fn decided(&self, height: Height) -> Option<Decided> {
        let decided = self.decided.lock().unwrap();
        let mut all = decided.iter();
        all.find(|one| one.block.header.height == height).cloned()
    }

    fn height_of(&self, hash: &Hash) -> Option<Height> {
        let decided = self.decided.lock().unwrap();
        let found = decided.iter().find(|one| one.block.hash() == *hash);
        found.map(|one| one.block.header.height)
    }

    fn misbehaved(&self, _evidence: kumiki_protocol::Evidence) {}

    async fn work_waits(&self) {
        loop {
            let filled = self.filled.notified();
            if !self.waiting.lock().unwrap().is_empty() {
                return;
            }
            filled.await;
        }
    }
}

const START: Tip = Tip {
    height: 0,
    block_hash: Hash::ZERO,
};

fn solo(chain: &Arc<MemoryChain>, sealing: Sealing) -> Solo<MemoryChain> {
    Solo {
        application: Arc::clone(chain),
        key: validator(0),
        genesis_hash: chain.genesis.hash(),
        sealing,
        time: ChainTime::of(Arc::new(|| 1_234)),
        orders: None,
    }
}

/// A driver that seals nothing by itself and takes orders.
fn ordered(
    chain: &Arc<MemoryChain>,
) -> (
    mpsc::Sender<Order>,
    watch::Sender<bool>,
    tokio::task::JoinHandle<Ended>,
) {
    let (orders, taken) = mpsc::channel(1);
    let (stop, stopped) = watch::channel(false);
    let mut driver = solo(chain, Sealing::AtOnce { heartbeat: None });
    driver.orders = Some(taken);
    (orders, stop, tokio::spawn(driver.run(START, stopped)))
}

async fn warp(orders: &mpsc::Sender<Order>, to: Warp) -> Option<Tip> {
    let (done, answer) = oneshot::channel();
    orders.send(Order::Warp { to, done }).await.unwrap();
    answer.await.unwrap()
}

async fn mine(orders: &mpsc::Sender<Order>, blocks: u32) -> Tip {
    let (done, answer) = oneshot::channel();
    orders.send(Order::Mine { blocks, done }).await.unwrap();
    answer.await.unwrap()
}

/// Runs the driver until the chain has `count` blocks, stops it and returns them.
async fn run_to(chain: &Arc<MemoryChain>, sealing: Sealing, count: usize) -> Vec<Decided> {
    let (stop, stopped) = watch::channel(false);
    let mut grown = chain.grown.subscribe();
    let driver = tokio::spawn(solo(chain, sealing).run(START, stopped));
    grown.wait_for(|found| *found >= count).await.unwrap();
    stop.send_replace(true);
    assert_eq!(driver.await.unwrap(), Ended::Stopped);
    chain.decided.lock().unwrap().clone()
}

#[tokio::test]
async fn a_waiting_transaction_is_sealed_under_a_certificate_of_the_validator_set() {
    let chain = MemoryChain::new(false);
    chain.submit(0);
    let decided = run_to(&chain, Sealing::AtOnce { heartbeat: None }, 1).await;
    let block = &decided[0].block;
    assert_eq!((block.header.height, block.transactions.len()), (1, 1));
    assert_eq!(block.header.time_ms, 1_234);
    assert_eq!(
        decided[0].certificate.as_ref().unwrap().proposal.block,
        block.hash()
    );
    let validators = chain.genesis.validator_set().unwrap();
    let verdict = decided[0]
        .certificate
        .as_ref()
        .unwrap()
        .verify(&chain.genesis.hash(), &validators);
    assert_eq!(verdict, Ok(()));
}

#[tokio::test]
async fn blocks_by_the_clock_follow_each_other_even_when_empty() {
    for sealing in [
        Sealing::Every(Duration::from_millis(1)),
        Sealing::AtOnce {
            heartbeat: Some(Duration::from_millis(1)),
        },
    ] {
        let chain = MemoryChain::new(false);
        let decided = run_to(&chain, sealing, 3).await;
        let mut parent = START.block_hash;
        for (height, one) in (1..).zip(&decided) {
            assert_eq!(one.block.header.height, height);
            assert_eq!(one.block.header.parent, parent);
            assert!(one.block.transactions.is_empty());
            parent = one.block.hash();
        }
    }
}

#[tokio::test]
async fn an_idle_chain_without_heartbeat_makes_no_block() {
    let chain = MemoryChain::new(false);
    let (stop, stopped) = watch::channel(false);
    let driver = solo(&chain, Sealing::AtOnce { heartbeat: None }).run(START, stopped);
    let driver = tokio::spawn(driver);
    // The driver gets every chance to run before it is asked to stop.
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    stop.send_replace(true);
    assert_eq!(driver.await.unwrap(), Ended::Stopped);
    assert!(chain.decided.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_stopped_application_ends_the_driver() {
    let chain = MemoryChain::new(true);
    chain.submit(0);
    let (_stop, stopped) = watch::channel(false);
    let driver = solo(&chain, Sealing::AtOnce { heartbeat: None });
    assert_eq!(driver.run(START, stopped).await, Ended::ApplicationGone);
}

#[tokio::test]
async fn blocks_are_made_when_they_are_ordered_and_take_what_waits() {
    let chain = MemoryChain::new(false);
    let (orders, stop, driver) = ordered(&chain);
    let tip = mine(&orders, 3).await;
    assert_eq!((tip.height, chain.decided.lock().unwrap().len()), (3, 3));
    assert_eq!(mine(&orders, 0).await, tip);
    chain.submit(0);
    assert!(mine(&orders, 1).await.height >= 4);
    // Nobody can order any more; the driver goes on.
    drop(orders);
    chain.submit(1);
    let mut grown = chain.grown.subscribe();
    grown.wait_for(|found| *found >= 5).await.unwrap();
    stop.send_replace(true);
    assert_eq!(driver.await.unwrap(), Ended::Stopped);
    let decided = chain.decided.lock().unwrap();
    let transactions: usize = decided.iter().map(|one| one.block.transactions.len()).sum();
    assert_eq!(transactions, 2);
}

#[tokio::test]
async fn time_moves_on_and_never_back() {
    let chain = MemoryChain::new(false);
    let (orders, stop, driver) = ordered(&chain);
    assert_eq!(warp(&orders, Warp::By(1_000)).await.unwrap().height, 1);
    assert_eq!(warp(&orders, Warp::To(2_233)).await, None);
    assert_eq!(warp(&orders, Warp::To(TIME_MAX_MS + 1)).await, None);
    assert_eq!(warp(&orders, Warp::By(u64::MAX)).await, None);
    assert_eq!(warp(&orders, Warp::To(5_000)).await.unwrap().height, 2);
    assert_eq!(mine(&orders, 1).await.height, 3);
    stop.send_replace(true);
    assert_eq!(driver.await.unwrap(), Ended::Stopped);
    let decided = chain.decided.lock().unwrap();
    let times: Vec<u64> = decided.iter().map(|one| one.block.header.time_ms).collect();
    assert_eq!(times, [2_234, 5_000, 5_000]);
}

async fn rewind(orders: &mpsc::Sender<Order>, to: Height) -> Option<Tip> {
    let (done, answer) = oneshot::channel();
    orders.send(Order::Rewind { to, done }).await.unwrap();
    answer.await.unwrap()
}

#[tokio::test]
async fn a_rewound_chain_goes_on_from_the_block_and_its_time() {
    let chain = MemoryChain::new(false);
    let (orders, stop, driver) = ordered(&chain);
    let third = mine(&orders, 3).await;
    warp(&orders, Warp::By(1_000)).await.unwrap();
    mine(&orders, 2).await;
    assert_eq!(rewind(&orders, 9).await, None);
    assert_eq!(rewind(&orders, 3).await, Some(third));
    // The warp is undone with its block.
    let fourth = mine(&orders, 1).await;
    let block = chain.decided(4).unwrap().block;
    assert_eq!(
        (block.hash(), block.header.parent),
        (fourth.block_hash, third.block_hash)
    );
    assert_eq!(block.header.time_ms, 1_234);
    // Not before that of a block that is still there.
    warp(&orders, Warp::By(1_000)).await.unwrap();
    mine(&orders, 1).await;
    rewind(&orders, 5).await.unwrap();
    mine(&orders, 1).await;
    assert_eq!(chain.decided(6).unwrap().block.header.time_ms, 2_234);
    stop.send_replace(true);
    assert_eq!(driver.await.unwrap(), Ended::Stopped);
}
