//! Answer peers that fetch the state: from snapshots that are held for as long as somebody fetches them.

use std::collections::BTreeMap;
use std::ops::{Bound, ControlFlow};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use commonware_p2p::Receiver as _;
use kumiki_network::{Channel, Network};
use kumiki_protocol::{EpochEnd, Height, decode_bounded};
use kumiki_state::{ScanDirection, StateReader as _};
use kumiki_storage::{Snapshot, Storage, StorageError};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::{
    Answer, BAN, EPOCHS_PER_ANSWER, MESSAGE_BYTES_MAX, Message, Offer, PART_ENTRIES_MIN, PARTS_MAX,
    RANGE_BYTES, Request, send,
};

/// Snapshots that are held for peers at a time. Each keeps the pages on disk that blocks after it replace.
const HELD_MAX: usize = 4;
/// A snapshot that nobody has asked for this long is let go.
const IDLE: Duration = Duration::from_secs(30);
/// However often it is asked for, a snapshot is let go after this long.
const AGE_MAX: Duration = Duration::from_hours(1);
/// Requests that are worked on at a time.
const WORKERS: usize = 2;

/// A snapshot that peers fetch.
struct Held {
    snapshot: Snapshot,
    since: Instant,
    asked: Instant,
}

/// The snapshots that peers fetch, by height.
#[derive(Default)]
struct Holding(Mutex<BTreeMap<Height, Held>>);

impl Holding {
    fn let_go(&self) {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        held.retain(|_, one| one.asked.elapsed() < IDLE && one.since.elapsed() < AGE_MAX);
    }

    /// The state after `height`; `None` where it is not kept and no longer in reach, or too many others are.
    fn get(&self, storage: &Storage, height: Height) -> Result<Option<Snapshot>, StorageError> {
        self.let_go();
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(one) = held.get_mut(&height) {
            one.asked = Instant::now();
            return Ok(Some(one.snapshot.clone()));
        }
        if held.len() >= HELD_MAX {
            return Ok(None);
        }
        let snapshot = match storage.snapshot_at(height) {
            Ok(snapshot) => snapshot,
            Err(StorageError::HeightUnavailable { .. }) => return Ok(None),
            Err(error) => return Err(error),
        };
        let now = Instant::now();
        let one = Held {
            snapshot: snapshot.clone(),
            since: now,
            asked: now,
        };
        held.insert(height, one);
        Ok(Some(snapshot))
    }

    /// The newest height that is held, so that many fetch the same.
    fn newest(&self) -> Option<Height> {
        let held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        held.last_key_value().map(|(height, _)| *height)
    }
}

/// Answers peers until the network ends.
pub(crate) async fn serve(storage: Arc<Storage>, network: Network, channel: Channel) {
    let Channel {
        sender,
        mut receiver,
        ..
    } = channel;
    let holding = Arc::new(Holding::default());
    let workers = Arc::new(Semaphore::new(WORKERS));
    loop {
        let received = match tokio::time::timeout(IDLE, receiver.recv()).await {
            Err(_idle) => {
                holding.let_go();
                continue;
            }
            Ok(Err(_ended)) => return,
            Ok(Ok(received)) => received,
        };
        let (peer, bytes) = received;
        let (number, request) = match decode_bounded(bytes.as_ref(), MESSAGE_BYTES_MAX) {
            Ok(Message::Ask(number, request)) => (number, request),
            // An answer to what was asked before this node had its state.
            Ok(Message::Tell(..)) => continue,
            Err(error) => {
                tracing::warn!(?peer, %error, "a peer does not speak state sync");
                drop(network.ban(&peer, BAN));
                continue;
            }
        };
        let Ok(permit) = Arc::clone(&workers).acquire_owned().await else {
            return;
        };
        let (storage, holding) = (Arc::clone(&storage), Arc::clone(&holding));
        let mut sender = sender.clone();
        tokio::task::spawn_blocking(move || {
            let answer = answer(&storage, &holding, &request).unwrap_or_else(|error| {
                tracing::error!(%error, "the state cannot be served");
                Answer::Nothing
            });
            send(&mut sender, peer, &Message::Tell(number, answer));
            drop(permit);
        });
    }
}

fn answer(storage: &Storage, holding: &Holding, request: &Request) -> Result<Answer, StorageError> {
    let found = match request {
        Request::Offer => offer(storage, holding)?.map(|offer| Answer::Offer(Box::new(offer))),
        Request::Trusted(height) => trusted(storage, *height)?,
        Request::Epochs(from) => Some(Answer::Epochs(epochs(storage, *from)?)),
        Request::Range(height, start, end) => {
            let end = end.as_deref();
            let snapshot = holding.get(storage, *height)?;
            snapshot
                .map(|snapshot| range(&snapshot, start, end))
                .transpose()?
        }
        Request::Code(hash) => {
            let code = storage.snapshot()?.code(hash)?;
            code.map(|code| Answer::Code(code.to_vec()))
        }
    };
    Ok(found.unwrap_or(Answer::Nothing))
}

fn trusted(storage: &Storage, height: Height) -> Result<Option<Answer>, StorageError> {
    let (Some(header), Some(genesis)) = (storage.header(height)?, storage.genesis()) else {
        return Ok(None);
    };
    let epoch = genesis.parameters.epoch_of(height.saturating_add(1));
    let validators = storage.validators_of(epoch)?;
    Ok(validators.map(|validators| Answer::Trusted(Box::new((header, validators)))))
}

fn epochs(storage: &Storage, from: u64) -> Result<Vec<EpochEnd>, StorageError> {
    let mut ends = Vec::new();
    for epoch in (from..).take(EPOCHS_PER_ANSWER) {
        match storage.epoch_end(epoch)? {
            Some(end) => ends.push(end),
            None => break,
        }
    }
    Ok(ends)
}

/// The newest state whose result and block both have certificates, or the one that others fetch now.
fn offer(storage: &Storage, holding: &Holding) -> Result<Option<Offer>, StorageError> {
    holding.let_go();
    let (Some(tip), Some(genesis)) = (storage.tip(), storage.genesis()) else {
        return Ok(None);
    };
    let lag = u64::from(genesis.parameters.execution_lag);
    let oldest = storage.oldest_state()?.max(2 * lag + 1);
    let newest = tip.height.saturating_sub(lag);
    let held = holding.newest();
    for height in held.into_iter().chain((oldest..=newest).rev()) {
        if let Some(offer) = offer_at(storage, height, lag)?
            && let Some(snapshot) = holding.get(storage, height)?
        {
            let entries = snapshot.state_entries();
            let parts = usize::try_from(entries / PART_ENTRIES_MIN).unwrap_or(PARTS_MAX);
            let splits = snapshot.split_keys(parts.clamp(1, PARTS_MAX))?;
            return Ok(Some(Offer { splits, ..offer }));
        }
    }
    Ok(None)
}

/// The offer of the state after `height`, if the block and one that holds its result are certified in one epoch.
fn offer_at(storage: &Storage, height: Height, lag: u64) -> Result<Option<Offer>, StorageError> {
    let Some(genesis) = storage.genesis() else {
        return Ok(None);
    };
    let (Some(certificate), Some(proof)) = (
        storage.certificate(height)?,
        storage.finality(height.saturating_add(lag))?,
    ) else {
        return Ok(None);
    };
    // The state does not name the next validators yet: those that it was verified with are all that there are.
    let epoch = genesis.parameters.epoch_of(height);
    if proof.certificate.proposal.epoch != epoch
        || genesis.parameters.validators_epoch(height) != epoch
    {
        return Ok(None);
    }
    let mut headers = Vec::new();
    for below in height.saturating_sub(lag)..height.saturating_add(lag) {
        match storage.header(below)? {
            Some(header) => headers.push(header),
            None => return Ok(None),
        }
    }
    headers.extend(proof.headers);
    Ok(Some(Offer {
        height,
        certificate,
        headers,
        last_certificate: proof.certificate,
        splits: Vec::new(),
    }))
}

fn range(snapshot: &Snapshot, start: &[u8], end: Option<&[u8]>) -> Result<Answer, StorageError> {
    let bounds = (
        Bound::Included(start),
        end.map_or(Bound::Unbounded, Bound::Excluded),
    );
    let (mut count, mut bytes) = (0_usize, 0_usize);
    snapshot.scan(bounds, ScanDirection::Ascending, &mut |key, value| {
        count += 1;
        bytes += key.len() + value.len();
        if bytes >= RANGE_BYTES {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    })?;
    let page = snapshot.prove_range(bounds, count)?;
    Ok(Answer::Range(page.entries, page.more, page.proof))
}
