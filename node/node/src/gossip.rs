//! Pass transactions on to peers in batches, and take theirs.
//!
//! What callers hand to this node goes out once it is admitted, and again every few seconds while it waits for a
//! block: gossip promises nothing. What comes from peers is passed on by gossip itself once it is judged here, and not
//! at all when it is void.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use kumiki_mempool::{Origin, Refusal, SharedMempool};
use kumiki_network::{GossipMessage, GossipReceiver, Publisher, TopicSpec};
use kumiki_protocol::{Encode as _, Transaction, TransactionHash, decode_bounded, limits};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::Instant;

/// Bytes of transactions in one batch, where one alone is not larger.
const BATCH_BYTES: usize = 64 * 1024;
/// How long the first transaction of a batch waits for others.
const BATCH_TIME: Duration = Duration::from_millis(5);
/// Transactions in one batch.
const BATCH_COUNT_MAX: usize = 1_024;
/// Bytes of a message at most: one largest transaction and what is around it.
const MESSAGE_BYTES_MAX: usize = limits::TRANSACTION_BYTES_MAX + BATCH_BYTES;
/// Transactions that wait to be sent. More are sent again later.
pub(crate) const QUEUE: usize = 16_384;
/// Time until a transaction that still waits for a block is sent again.
const REPEAT: Duration = Duration::from_secs(3);
/// Transactions remembered to be sent again.
const REPEATED_MAX: usize = 65_536;
/// Batches of peers that are looked at at once.
const JUDGED_AT_ONCE: usize = 64;

/// What travels: a number that makes a repetition another message, and transactions.
type Batch = (u64, Vec<Transaction>);

/// The topic.
pub(crate) fn topic() -> TopicSpec {
    TopicSpec {
        name: "transactions".to_owned(),
        message_bytes_max: u32::try_from(MESSAGE_BYTES_MAX).unwrap_or(u32::MAX),
        inbound_queue: 1_024,
    }
}

/// Sends what comes through `admitted`, until its senders go away.
pub(crate) async fn send(
    mempool: Arc<SharedMempool>,
    publisher: Publisher,
    mut admitted: mpsc::Receiver<Arc<Transaction>>,
    first_number: u64,
) {
    let mut number = first_number;
    let mut sent: VecDeque<(Instant, TransactionHash)> = VecDeque::new();
    let mut repeat = tokio::time::interval(REPEAT);
    repeat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        let batch = tokio::select! {
            biased;
            first = admitted.recv() => match first {
                Some(first) => collect(first, &mut admitted).await,
                None => return,
            },
            _ = repeat.tick() => waiting_still(&mempool, &mut sent),
        };
        if batch.is_empty() {
            continue;
        }
        let now = Instant::now();
        sent.extend(batch.iter().map(|one| (now, one.hash())));
        while sent.len() > REPEATED_MAX {
            sent.pop_front();
        }
        number = number.wrapping_add(1);
        let transactions = batch.iter().map(|one| Transaction::clone(one)).collect();
        let message: Batch = (number, transactions);
        if let Err(error) = publisher.publish(message.encode().into()) {
            tracing::debug!(%error, "transactions not published, they are sent again");
        }
    }
}

/// `first` and what comes shortly after it.
async fn collect(
    first: Arc<Transaction>,
    admitted: &mut mpsc::Receiver<Arc<Transaction>>,
) -> Vec<Arc<Transaction>> {
    let mut bytes = first.encoded_size();
    let mut batch = vec![first];
    let end = Instant::now() + BATCH_TIME;
    while bytes < BATCH_BYTES && batch.len() < BATCH_COUNT_MAX {
        match tokio::time::timeout_at(end, admitted.recv()).await {
            Ok(Some(next)) => {
                bytes += next.encoded_size();
                batch.push(next);
            }
            Ok(None) | Err(_) => break,
        }
    }
    batch
}

/// What was sent a while ago and is in no block yet; a batch of it at most.
fn waiting_still(
    mempool: &SharedMempool,
    sent: &mut VecDeque<(Instant, TransactionHash)>,
) -> Vec<Arc<Transaction>> {
    let mut batch = Vec::new();
    let mut bytes = 0;
    let now = Instant::now();
    while let Some((at, hash)) = sent.front()
        && now.duration_since(*at) >= REPEAT
        && bytes < BATCH_BYTES
        && batch.len() < BATCH_COUNT_MAX
    {
        if let Some(waiting) = mempool.get(hash) {
            bytes += waiting.encoded_size();
            batch.push(waiting);
        }
        sent.pop_front();
    }
    batch
}

/// Takes batches of peers until the topic ends.
pub(crate) async fn receive(mempool: Arc<SharedMempool>, mut messages: GossipReceiver) {
    let places = Arc::new(Semaphore::new(JUDGED_AT_ONCE));
    while let Some(message) = messages.recv().await {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            return;
        };
        let mempool = Arc::clone(&mempool);
        tokio::spawn(async move {
            judge(&mempool, message).await;
            drop(place);
        });
    }
}

async fn judge(mempool: &SharedMempool, message: GossipMessage) {
    let (_number, transactions): Batch = match decode_bounded(&message.data, MESSAGE_BYTES_MAX) {
        Ok(batch) => batch,
        Err(error) => {
            tracing::debug!(%error, "batch of transactions refused");
            return message.verdict.reject();
        }
    };
    let submissions = transactions
        .into_iter()
        .take(BATCH_COUNT_MAX)
        .map(|transaction| mempool.submit_from(Origin::Peer, transaction));
    let results = futures_util::future::join_all(submissions).await;
    if results
        .iter()
        .any(|result| result.as_ref().is_err_and(Refusal::is_void))
    {
        message.verdict.reject();
    } else if results.iter().any(Result::is_ok) {
        message.verdict.accept();
    } else {
        message.verdict.ignore();
    }
}
