//! Admission from many submitters at once, over a state in memory.

use kumiki_protocol::{Encode, Genesis, Hash, Signature, limits, state_key};
use kumiki_state::{Found, MemoryState};
use kumiki_testkit::{CHAIN_BALANCE, Draft, account, genesis};

use super::*;

/// The accounts of `genesis`, all at `nonce`.
fn accounts_at(genesis: &Genesis, nonce: Nonce) -> Arc<MemoryState> {
    let entries = genesis.accounts.iter().map(|one| {
        let record = AccountRecord {
            nonce,
            balance: one.balance,
        };
        (state_key::account(&one.address), record.encode())
    });
    Arc::new(MemoryState {
        entries: entries.collect(),
        ..MemoryState::default()
    })
}

fn rules(genesis: &Genesis) -> ChainRules {
    ChainRules {
        genesis_hash: genesis.hash(),
        kind: genesis.kind,
        gas_price_min: 3,
        block_gas_max: genesis.parameters.block_gas_max,
        block_bytes_max: 1 << 20,
        transaction_gas: 1_000,
        transaction_gas_per_byte: 10,
    }
}

/// A pool at height 10 with two admission threads, closed when dropped.
struct Running {
    genesis: Genesis,
    pool: Arc<SharedMempool>,
    threads: Vec<std::thread::JoinHandle<()>>,
}

impl Running {
    fn start() -> Self {
        let genesis = genesis();
        let head = ChainHead {
            height: 10,
            state: accounts_at(&genesis, 2),
        };
        let pool = SharedMempool::new(MempoolLimits::STANDARD, rules(&genesis), head);
        let pool = Arc::new(pool);
        let threads = (0..2)
            .map(|_| {
                let pool = Arc::clone(&pool);
                std::thread::spawn(move || pool.run_admission())
            })
            .collect();
        Self {
            genesis,
            pool,
            threads,
        }
    }

    fn draft(&self, sender: u8, nonce: Nonce) -> Draft {
        Draft::new(&self.genesis, &account(sender), nonce).gas_price(3)
    }

    /// Has a block take `waiting` while an account is read, after so many other reads.
    fn take_while_reading(&self, waiting: Transaction, reads_before: usize) {
        let after = ChainHead {
            height: 12,
            state: accounts_at(&self.genesis, waiting.body.nonce + 1),
        };
        let pool = Arc::clone(&self.pool);
        let meanwhile = Meanwhile {
            state: accounts_at(&self.genesis, waiting.body.nonce),
            reads_before: AtomicUsize::new(reads_before),
            happens: Mutex::new(Some(Box::new(move || {
                pool.advance(after, &[waiting]).unwrap();
            }))),
        };
        let before = ChainHead {
            height: 11,
            state: Arc::new(meanwhile),
        };
        self.pool.advance(before, &[]).unwrap();
    }

    async fn refusal(&self, draft: Draft) -> &'static str {
        self.pool.submit(draft.sign()).await.unwrap_err().name()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.pool.close();
        for thread in self.threads.drain(..) {
            thread.join().expect("admission threads do not panic");
        }
    }
}

#[tokio::test]
async fn each_refusal_names_its_reason() {
    let running = Running::start();
    let mut foreign = running.draft(0, 2);
    foreign.body.genesis_hash = Hash([9; 32]);
    assert_eq!(running.refusal(foreign).await, "wrongChain");
    let mut newer = running.draft(0, 2);
    newer.body.version = 2;
    assert_eq!(running.refusal(newer).await, "malformed");
    let cases = [
        (running.draft(0, 2).gas_price(2), "gasPriceTooLow"),
        (running.draft(0, 2).gas_limit(1_000), "gasLimitOutOfRange"),
        (
            running.draft(0, 2).gas_limit(limits::JSON_INTEGER_MAX),
            "gasLimitOutOfRange",
        ),
        (running.draft(0, 2).valid_until(10), "expired"),
        (
            running
                .draft(0, 2)
                .valid_until(12 + limits::VALID_UNTIL_WINDOW_MAX),
            "validUntilTooFar",
        ),
        (running.draft(0, 1), "nonceTooLow"),
        (running.draft(0, 1_000_000), "nonceTooFar"),
        (
            running
                .draft(0, 2)
                .transfer(&account(1).address, CHAIN_BALANCE),
            "insufficientFunds",
        ),
        (running.draft(77, 0), "insufficientFunds"),
        (
            running
                .draft(0, 2)
                .deploy(&[0], &[])
                .gas_limit(limits::BLOCK_CODE_GAS_MAX + 1),
            "gasLimitOutOfRange",
        ),
    ];
    for (draft, expected) in cases {
        assert_eq!(running.refusal(draft).await, expected);
    }
    let mut forged = running.draft(0, 2).sign();
    forged.signature = Signature([1; 64]);
    assert_eq!(
        running.pool.submit(forged).await,
        Err(Refusal::BadSignature)
    );
    assert_eq!(running.pool.size(), PoolSize::default());
}

#[tokio::test]
async fn a_forged_signature_among_many_is_the_only_one_refused() {
    let running = Running::start();
    let mut transactions: Vec<Transaction> = (0..40)
        .map(|index: u8| running.draft(index % 10, 2 + u64::from(index / 10)).sign())
        .collect();
    transactions[17].signature = transactions[16].signature;
    let submissions = transactions
        .iter()
        .map(|one| {
            let pool = Arc::clone(&running.pool);
            let one = one.clone();
            tokio::spawn(async move { pool.submit(one).await })
        })
        .collect::<Vec<_>>();
    for (index, submission) in submissions.into_iter().enumerate() {
        let expected = match index {
            17 => Err(Refusal::BadSignature),
            _ => Ok(transactions[index].hash()),
        };
        assert_eq!(submission.await.unwrap(), expected);
    }
    // Nonces 2 to 5 of ten senders, of which one sender's nonce 3 is missing.
    let candidates = running.pool.candidates(&BlockRoom::UNLIMITED);
    assert_eq!((running.pool.size().count, candidates.len()), (39, 37));
}

#[tokio::test]
async fn executed_transactions_leave_and_the_next_nonce_follows_the_chain() {
    let running = Running::start();
    let first = running.draft(0, 2).sign();
    let second = running.draft(0, 3).sign();
    for one in [&first, &second] {
        assert_eq!(running.pool.submit(one.clone()).await, Ok(one.hash()));
        // Idempotent: the same transaction again is the same answer.
        assert_eq!(running.pool.submit(one.clone()).await, Ok(one.hash()));
    }
    running.pool.candidate_waits().await;
    let sender = account(0).address;
    assert_eq!(running.pool.next_nonce(&sender).unwrap(), 4);
    let head = ChainHead {
        height: 11,
        state: accounts_at(&running.genesis, 3),
    };
    running
        .pool
        .advance(head, std::slice::from_ref(&first))
        .unwrap();
    assert!(!running.pool.contains(&first.hash()) && running.pool.contains(&second.hash()));
    let again = running.pool.submit(first).await;
    assert!(matches!(
        again,
        Err(Refusal::NonceTooLow { expected: 3, .. })
    ));
    let head = ChainHead {
        height: 100,
        state: accounts_at(&running.genesis, 3),
    };
    running.pool.advance(head, &[]).unwrap();
    assert_eq!(running.pool.removal(&second.hash()), Some(Removal::Expired));
    assert_eq!(running.pool.next_nonce(&sender).unwrap(), 3);
}

/// A state during one of whose reads something else happens, as on another thread.
struct Meanwhile {
    state: Arc<MemoryState>,
    reads_before: AtomicUsize,
    happens: Mutex<Option<Box<dyn FnOnce() + Send>>>,
}

impl StateReader for Meanwhile {
    fn find(&self, key: &[u8], bytes_max: usize) -> Result<Found, StateError> {
        let value = self.state.find(key, bytes_max);
        let before = self.reads_before.fetch_sub(1, Ordering::Relaxed);
        if before == 0
            && let Some(happens) = lock(&self.happens).take()
        {
            happens();
        }
        value
    }

    fn scan_lazily(
        &self,
        range: (std::ops::Bound<&[u8]>, std::ops::Bound<&[u8]>),
        direction: kumiki_state::ScanDirection,
        visit: &mut kumiki_state::VisitScanned<'_>,
    ) -> Result<(), StateError> {
        self.state.scan_lazily(range, direction, visit)
    }

    fn code(&self, hash: &Hash) -> Result<Option<Arc<[u8]>>, StateError> {
        self.state.code(hash)
    }
}

#[tokio::test]
async fn a_transaction_admitted_while_a_block_takes_the_one_before_it_is_not_stuck() {
    // The account is read once before the signature is looked at and once after.
    for reads_before in [0, 1] {
        let running = Running::start();
        let (first, second) = (running.draft(0, 2).sign(), running.draft(0, 3).sign());
        running.pool.submit(first.clone()).await.unwrap();
        running.take_while_reading(first, reads_before);
        let hash = running.pool.submit(second).await.unwrap();
        let candidates = running.pool.candidates(&BlockRoom::UNLIMITED);
        let hashes: Vec<_> = candidates.iter().map(|one| one.hash).collect();
        assert_eq!(hashes, [hash], "after {reads_before} reads");
    }
}

#[tokio::test]
async fn a_closed_pool_answers_those_who_wait_and_those_who_come() {
    let genesis = genesis();
    let head = ChainHead {
        height: 10,
        state: accounts_at(&genesis, 0),
    };
    // No thread admits, so the first submission waits until the pool closes.
    let pool = Arc::new(SharedMempool::new(
        MempoolLimits::STANDARD,
        rules(&genesis),
        head,
    ));
    let transaction = Draft::new(&genesis, &account(0), 0).gas_price(3).sign();
    let waiting = tokio::spawn({
        let (pool, transaction) = (Arc::clone(&pool), transaction.clone());
        async move { pool.submit(transaction).await }
    });
    while pool.queued() == 0 {
        tokio::task::yield_now().await;
    }
    pool.close();
    let late = pool.submit(transaction).await;
    for answer in [waiting.await.unwrap(), late] {
        assert!(matches!(answer, Err(Refusal::Unavailable { .. })));
    }
}

#[tokio::test]
async fn the_next_nonce_does_not_go_back_while_a_block_uses_up_what_waits() {
    let running = Running::start();
    let waiting = running.draft(0, 2).sign();
    running.pool.submit(waiting.clone()).await.unwrap();
    running.take_while_reading(waiting, 0);
    let next = || running.pool.next_nonce(&account(0).address).unwrap();
    assert_eq!((next(), next()), (3, 3));
}
