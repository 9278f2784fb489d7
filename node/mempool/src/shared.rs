//! Share one pool between submitters, the block builder and the executor, and admit submissions in batches.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use kumiki_protocol::{
    AccountRecord, Address, BatchVerifier, Height, Nonce, Rejection, SignatureItem, Transaction,
    TransactionHash,
};
use kumiki_state::{StateError, StateReader};
use tokio::sync::{Notify, oneshot};

use crate::admission::{Unverified, read_account};
use crate::{BlockRoom, Candidate, ChainRules, Mempool, MempoolLimits, PoolSize, Refusal, Removal};

#[cfg(test)]
mod tests;

/// Signatures verified together. More gains little; fewer answers the first submitter sooner.
const BATCH_COUNT_MAX: usize = 128;
/// Submissions that wait for verification.
const QUEUE_COUNT_MAX: usize = 16_384;
/// Encoded bytes of the submissions that wait for verification.
const QUEUE_BYTES_MAX: usize = 32 << 20;

/// The latest block and the state after it.
#[derive(Clone)]
pub struct ChainHead {
    /// Height of the latest block.
    pub height: Height,
    /// The state after it.
    pub state: Arc<dyn StateReader>,
}

impl std::fmt::Debug for ChainHead {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ChainHead")
            .field("height", &self.height)
            .finish_non_exhaustive()
    }
}

/// What admission did since the start.
#[derive(Debug, Default)]
pub struct AdmissionStats {
    /// Transactions taken in.
    pub admitted: AtomicU64,
    /// Transactions refused, in whatever check.
    pub refused: AtomicU64,
    /// Batches verified.
    pub batches: AtomicU64,
    /// Submissions in those batches.
    pub batched: AtomicU64,
    /// Nanoseconds spent on reading accounts and on the pool.
    pub check_nanos: AtomicU64,
    /// Nanoseconds spent on signatures.
    pub verify_nanos: AtomicU64,
}

struct Submission {
    unverified: Unverified,
    origin: Origin,
    reply: oneshot::Sender<Result<TransactionHash, Refusal>>,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Submission>,
    bytes: usize,
    closed: bool,
}

/// The pool of a node, shared by all its parts.
///
/// Submissions go through a bounded queue to the threads that run [`Self::run_admission`]; without one of them
/// nothing is taken in. The lock of the pool is held for map operations only, never over a signature or a read
/// of the state.
pub struct SharedMempool {
    rules: ChainRules,
    pooled: Mutex<Pooled>,
    queue: Mutex<Queue>,
    queue_filled: Condvar,
    queued: AtomicUsize,
    candidate_waits: Notify,
    stats: AdmissionStats,
    on_admitted: Option<AdmittedHook>,
}

/// The pool, and the head whose accounts it was last held against. They change together: a transaction that is
/// put in with the nonce of an older head would wait for ever behind one that is executed already.
struct Pooled {
    pool: Mempool,
    head: ChainHead,
}

/// Where a transaction came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// A caller of this node: peers do not know it.
    Caller,
    /// A peer, which passes it on to others itself.
    Peer,
}

/// Sees each transaction that is taken in, on the thread that admits it.
pub type AdmittedHook = Box<dyn Fn(&Arc<Transaction>, Origin) + Send + Sync>;

impl std::fmt::Debug for SharedMempool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SharedMempool")
            .field("size", &self.size())
            .finish_non_exhaustive()
    }
}

impl SharedMempool {
    /// An empty pool over the chain at `head`.
    #[must_use]
    pub fn new(limits: MempoolLimits, rules: ChainRules, head: ChainHead) -> Self {
        Self {
            rules,
            pooled: Mutex::new(Pooled {
                pool: Mempool::new(limits),
                head,
            }),
            queue: Mutex::new(Queue::default()),
            queue_filled: Condvar::new(),
            queued: AtomicUsize::new(0),
            candidate_waits: Notify::new(),
            stats: AdmissionStats::default(),
            on_admitted: None,
        }
    }

    /// Has `hook` called for each transaction that waits for a block now. It must not block.
    #[must_use]
    pub fn on_admitted(mut self, hook: AdmittedHook) -> Self {
        self.on_admitted = Some(hook);
        self
    }

    /// Submits a transaction and waits until it waits for a block. Idempotent: a transaction that waits already
    /// is taken in again. One that a block has is refused with `NonceTooLow`; look it up by its hash.
    ///
    /// # Errors
    /// The reason why it is refused.
    pub async fn submit(&self, transaction: Transaction) -> Result<TransactionHash, Refusal> {
        self.submit_from(Origin::Caller, transaction).await
    }

    /// The same, for a transaction that came from elsewhere.
    ///
    /// # Errors
    /// The reason why it is refused.
    pub async fn submit_from(
        &self,
        origin: Origin,
        transaction: Transaction,
    ) -> Result<TransactionHash, Refusal> {
        let result = match self.enqueue(transaction, origin) {
            Ok(Enqueued::Known(hash)) => Ok(hash),
            Ok(Enqueued::Waits(answer)) => answer.await.unwrap_or_else(|_closed| Err(stopping())),
            Err(refusal) => Err(refusal),
        };
        let counter = match result {
            Ok(_) => &self.stats.admitted,
            Err(_) => &self.stats.refused,
        };
        counter.fetch_add(1, Ordering::Relaxed);
        result
    }

    /// Submits a transaction and admits it on this thread, without the queue: where there is no thread to spare.
    ///
    /// # Errors
    /// The reason why it is refused.
    pub fn admit_here(&self, transaction: Transaction) -> Result<TransactionHash, Refusal> {
        let next_height = self.head().height.saturating_add(1);
        let unverified = self.rules.check(transaction, next_height)?;
        let (reply, mut answer) = oneshot::channel();
        let origin = Origin::Caller;
        self.admit(vec![Submission {
            unverified,
            origin,
            reply,
        }]);
        answer.try_recv().unwrap_or_else(|_closed| Err(stopping()))
    }

    fn enqueue(&self, transaction: Transaction, origin: Origin) -> Result<Enqueued, Refusal> {
        let next_height = self.head().height.saturating_add(1);
        let unverified = self.rules.check(transaction, next_height)?;
        let hash = unverified.candidate.hash;
        if self.contains(&hash) {
            return Ok(Enqueued::Known(hash));
        }
        let (reply, answer) = oneshot::channel();
        let size = unverified.candidate.size;
        let mut queue = lock(&self.queue);
        if queue.closed {
            return Err(stopping());
        }
        if queue.waiting.len() >= QUEUE_COUNT_MAX || queue.bytes + size > QUEUE_BYTES_MAX {
            return Err(Refusal::Busy);
        }
        queue.bytes += size;
        queue.waiting.push_back(Submission {
            unverified,
            origin,
            reply,
        });
        self.queued.store(queue.waiting.len(), Ordering::Relaxed);
        drop(queue);
        self.queue_filled.notify_one();
        Ok(Enqueued::Waits(answer))
    }

    /// Admits submissions until [`Self::close`]. Run it on one or more threads of its own.
    pub fn run_admission(&self) {
        while let Some(batch) = self.next_batch() {
            self.admit(batch);
        }
    }

    /// Refuses all submissions from now on and ends [`Self::run_admission`].
    pub fn close(&self) {
        let mut queue = lock(&self.queue);
        queue.closed = true;
        // Dropping the replies answers those who wait.
        queue.waiting.clear();
        queue.bytes = 0;
        drop(queue);
        self.queue_filled.notify_all();
    }

    fn next_batch(&self) -> Option<Vec<Submission>> {
        let mut queue = lock(&self.queue);
        loop {
            if queue.closed {
                return None;
            }
            if !queue.waiting.is_empty() {
                let count = queue.waiting.len().min(BATCH_COUNT_MAX);
                let batch: Vec<Submission> = queue.waiting.drain(..count).collect();
                queue.bytes -= batch.iter().map(size_of_submission).sum::<usize>();
                self.queued.store(queue.waiting.len(), Ordering::Relaxed);
                return Some(batch);
            }
            queue = self
                .queue_filled
                .wait(queue)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn admit(&self, batch: Vec<Submission>) {
        self.stats.batches.fetch_add(1, Ordering::Relaxed);
        let count = u64::try_from(batch.len()).unwrap_or(u64::MAX);
        self.stats.batched.fetch_add(count, Ordering::Relaxed);
        let start = Instant::now();
        let head = self.head();
        let accounts = read_accounts(&head, &batch);
        let refusals = self.check_accounts(&batch, accounts);
        let mut unverified = Vec::with_capacity(batch.len());
        for (submission, refusal) in batch.into_iter().zip(refusals) {
            match refusal {
                Ok(()) => unverified.push(submission),
                Err(refusal) => answer(submission.reply, Err(refusal)),
            }
        }
        let checked = Instant::now();
        let verified = refuse_invalid(unverified);
        let inserting = Instant::now();
        let results = self.insert(&verified);
        let outside_signatures = checked.duration_since(start) + inserting.elapsed();
        add_nanos(&self.stats.check_nanos, outside_signatures);
        add_nanos(&self.stats.verify_nanos, inserting - checked);
        for (submission, result) in verified.into_iter().zip(results) {
            if let Some(hook) = &self.on_admitted
                && result.is_ok()
            {
                hook(
                    &submission.unverified.candidate.transaction,
                    submission.origin,
                );
            }
            answer(submission.reply, result);
        }
    }

    /// Puts verified submissions into the pool, by their accounts as the pool's own head has them.
    fn insert(&self, verified: &[Submission]) -> Vec<Result<TransactionHash, Refusal>> {
        let (mut pooled, accounts) = self.lock_with_accounts(verified);
        let results = verified
            .iter()
            .zip(accounts)
            .map(|(submission, account)| {
                let candidate = submission.unverified.candidate.clone();
                let hash = candidate.hash;
                pooled
                    .pool
                    .insert(candidate, &account.map_err(unavailable)?)?;
                Ok(hash)
            })
            .collect();
        let ready = pooled.pool.has_candidates();
        drop(pooled);
        if ready {
            self.candidate_waits.notify_one();
        }
        results
    }

    /// The senders' accounts, and the pool locked at the head that they were read from. Reads again when a block
    /// came in between; making one takes longer than these reads, so this ends.
    fn lock_with_accounts(&self, submissions: &[Submission]) -> (MutexGuard<'_, Pooled>, Accounts) {
        let mut head = self.head();
        loop {
            let accounts = read_accounts(&head, submissions);
            let pooled = lock(&self.pooled);
            if Arc::ptr_eq(&pooled.head.state, &head.state) {
                return (pooled, accounts);
            }
            head = pooled.head.clone();
        }
    }

    /// What the account says of each submission, before a signature is looked at.
    fn check_accounts(&self, batch: &[Submission], accounts: Accounts) -> Vec<Result<(), Refusal>> {
        let pooled = lock(&self.pooled);
        batch
            .iter()
            .zip(accounts)
            .map(|(submission, account)| {
                let candidate = &submission.unverified.candidate;
                match pooled.pool.contains(&candidate.hash) {
                    true => Ok(()),
                    false => pooled.pool.check(candidate, &account.map_err(unavailable)?),
                }
            })
            .collect()
    }

    /// Moves the pool on to a new head: forgets what `executed` used up and what expired.
    ///
    /// # Errors
    /// `StateError` when the accounts of the senders cannot be read.
    pub fn advance(&self, head: ChainHead, executed: &[Transaction]) -> Result<(), StateError> {
        let mut accounts: Vec<(Address, Nonce)> = Vec::with_capacity(executed.len());
        let mut senders: Vec<_> = executed.iter().map(|one| one.body.sender).collect();
        senders.sort_unstable();
        senders.dedup();
        for sender in senders {
            let address = Address::of_account(&sender);
            let account = read_account(head.state.as_ref(), &address)?;
            accounts.push((address, account.nonce));
        }
        let next_height = head.height.saturating_add(1);
        let mut pooled = lock(&self.pooled);
        pooled.head = head;
        for (address, nonce) in accounts {
            pooled.pool.advance(&address, nonce);
        }
        pooled.pool.expire(next_height);
        let ready = pooled.pool.has_candidates();
        drop(pooled);
        if ready {
            self.candidate_waits.notify_one();
        }
        Ok(())
    }

    /// Moves the pool back to the head of a chain whose newest blocks were taken back, and gives up what waits.
    pub fn rewind(&self, head: ChainHead) {
        let mut pooled = lock(&self.pooled);
        pooled.head = head;
        pooled.pool.rewind();
    }

    /// Forgets what the executor passed over while building a block.
    pub fn reject(&self, dropped: &[(TransactionHash, Rejection)]) {
        let mut pooled = lock(&self.pooled);
        for (hash, rejection) in dropped {
            pooled.pool.reject(hash, *rejection);
        }
    }

    /// The next transactions for a block; see [`Mempool::candidates`].
    #[must_use]
    pub fn candidates(&self, room: &BlockRoom<'_>) -> Vec<Candidate> {
        lock(&self.pooled).pool.candidates(room)
    }

    /// Returns once a block could be built.
    pub async fn candidate_waits(&self) {
        loop {
            let notified = self.candidate_waits.notified();
            if lock(&self.pooled).pool.has_candidates() {
                return;
            }
            notified.await;
        }
    }

    /// The nonce for the next transaction of `sender`: after what is executed and what waits without a gap.
    ///
    /// # Errors
    /// `StateError` when the account cannot be read.
    pub fn next_nonce(&self, sender: &Address) -> Result<Nonce, StateError> {
        // Both at once: between them a block may use up what waits, and the older account knows nothing of it.
        let pooled = lock(&self.pooled);
        let (head, waiting) = (pooled.head.clone(), pooled.pool.next_nonce(sender));
        drop(pooled);
        let account = read_account(head.state.as_ref(), sender)?;
        Ok(waiting.map_or(account.nonce, |next| next.max(account.nonce)))
    }

    /// Whether the transaction with this id waits.
    #[must_use]
    pub fn contains(&self, hash: &TransactionHash) -> bool {
        lock(&self.pooled).pool.contains(hash)
    }

    /// The waiting transaction with this id.
    #[must_use]
    pub fn get(&self, hash: &TransactionHash) -> Option<Arc<Transaction>> {
        lock(&self.pooled).pool.get(hash).cloned()
    }

    /// Which of `transactions` wait here byte for byte as they are there, so that this node has verified their
    /// signatures. The id alone does not say so: it does not cover the signature.
    #[must_use]
    pub fn has_verified(&self, transactions: &[Transaction]) -> Vec<bool> {
        // Hashing takes longer than the lookups, so it is done before the lock is taken.
        let hashes: Vec<TransactionHash> = transactions.iter().map(Transaction::hash).collect();
        let pooled = lock(&self.pooled);
        let held = hashes.iter().map(|hash| pooled.pool.get(hash));
        held.zip(transactions)
            .map(|(held, wanted)| held.is_some_and(|held| **held == *wanted))
            .collect()
    }

    /// Why the transaction with this id left, if that was not long ago.
    #[must_use]
    pub fn removal(&self, hash: &TransactionHash) -> Option<Removal> {
        lock(&self.pooled).pool.removal(hash)
    }

    /// Height of the head that the pool is held against.
    #[must_use]
    pub fn height(&self) -> Height {
        lock(&self.pooled).head.height
    }

    /// How much waits for a block.
    #[must_use]
    pub fn size(&self) -> PoolSize {
        lock(&self.pooled).pool.size()
    }

    /// Submissions that wait for verification.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.queued.load(Ordering::Relaxed)
    }

    /// What admission did since the start.
    #[must_use]
    pub fn stats(&self) -> &AdmissionStats {
        &self.stats
    }

    fn head(&self) -> ChainHead {
        lock(&self.pooled).head.clone()
    }
}

enum Enqueued {
    Known(TransactionHash),
    Waits(oneshot::Receiver<Result<TransactionHash, Refusal>>),
}

type Accounts = Vec<Result<AccountRecord, StateError>>;

fn read_accounts(head: &ChainHead, submissions: &[Submission]) -> Accounts {
    let senders = submissions
        .iter()
        .map(|one| &one.unverified.candidate.sender);
    senders
        .map(|sender| read_account(head.state.as_ref(), sender))
        .collect()
}

fn unavailable(error: StateError) -> Refusal {
    Refusal::Unavailable {
        reason: error.to_string(),
    }
}

/// Answers those whose signature does not verify, and gives back the others.
fn refuse_invalid(submissions: Vec<Submission>) -> Vec<Submission> {
    let items: Vec<SignatureItem<'_>> = submissions
        .iter()
        .map(|submission| {
            let transaction = &submission.unverified.candidate.transaction;
            SignatureItem {
                key: &transaction.body.sender,
                message: &submission.unverified.sign_bytes,
                signature: &transaction.signature,
            }
        })
        .collect();
    let invalid = BatchVerifier::find_invalid(&items);
    let mut verified = Vec::with_capacity(submissions.len());
    for (index, submission) in submissions.into_iter().enumerate() {
        match invalid.binary_search(&index) {
            Ok(_) => answer(submission.reply, Err(Refusal::BadSignature)),
            Err(_) => verified.push(submission),
        }
    }
    verified
}

fn answer(
    reply: oneshot::Sender<Result<TransactionHash, Refusal>>,
    result: Result<TransactionHash, Refusal>,
) {
    // A submitter that went away needs no answer.
    drop(reply.send(result));
}

fn add_nanos(counter: &AtomicU64, elapsed: Duration) {
    let nanos = u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX);
    counter.fetch_add(nanos, Ordering::Relaxed);
}

fn size_of_submission(submission: &Submission) -> usize {
    submission.unverified.candidate.size
}

fn stopping() -> Refusal {
    Refusal::Unavailable {
        reason: "the node is stopping".to_owned(),
    }
}

/// The maps stay whole when a thread panics between two of their operations; the panic itself stops the node.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
