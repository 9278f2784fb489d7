//! Fetch a state: find an offer that verifies, divide it, fetch the parts from all peers that have it, check each page.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Bound;
use std::path::Path;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use commonware_p2p::{Receiver as _, Recipients, Sender as _};
use kumiki_network::{Channel, ChannelReceiver, ChannelSender, Network, PeerKey};
use kumiki_protocol::{
    Encode as _, EpochEnd, Genesis, Hash, Height, TrustedValidators, decode_bounded, sha3_256,
    state_key,
};
use kumiki_state::proof::verify_range;
use kumiki_storage::{Restore, Restored, StorageOptions};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use super::offer::Verified;
use super::{
    Answer, KeyRange, MESSAGE_BYTES_MAX, Message, Offer, Request, StateSync, StateSyncError,
};

/// How long a peer may take to answer.
const PATIENCE: Duration = Duration::from_secs(20);
/// Time between two looks for peers, and two lines of progress.
const LOOK: Duration = Duration::from_millis(500);
const PROGRESS: Duration = Duration::from_secs(2);
/// Requests to one peer at a time: while one travels, the next is worked on.
const REQUESTS_PER_PEER: usize = 2;
/// How long a peer is shut out that sent what does not verify.
const BAN: Duration = Duration::from_hours(1);

/// What one fetch came to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fetched {
    pub(crate) height: Height,
    /// Bytes of the keys and values that peers sent.
    pub(crate) bytes: u64,
    pub(crate) entries: u64,
    pub(crate) peers: usize,
}

/// Fetches a state of the chain of `genesis` into the store at `dir`, which nobody may have open. Does not give up:
/// where no peer has anything to offer, it waits for one.
pub(crate) async fn fetch(
    genesis: &Arc<Genesis>,
    sync: StateSync,
    network: &Network,
    channel: &mut Channel,
    (dir, options): (&Path, StorageOptions),
) -> Result<Fetched, StateSyncError> {
    let asking = Asking {
        sender: channel.sender.clone(),
        waiting: Arc::default(),
        number: Arc::new(AtomicU64::new(1)),
    };
    let fetching = async {
        loop {
            let (peer, offer, verified) = find_offer(genesis, sync, network, &asking).await?;
            tracing::info!(
                height = offer.height,
                root = %verified.state.state_root,
                entries = verified.state.state_entries,
                ?peer,
                "fetching the state"
            );
            let dir_owned = dir.to_owned();
            let restore = blocking(move || Restore::begin(&dir_owned, options)).await??;
            let shared = Shared::new(&offer, &verified, restore, network.clone());
            if let Some(peers) = fetch_parts(&shared, &asking).await? {
                return finish(genesis, shared, verified, peers).await;
            }
            tracing::warn!("no peer has this state any more, looking for a newer one");
        }
    };
    tokio::select! {
        fetched = fetching => fetched,
        () = listen(&mut channel.receiver, &asking, network) => Err(StateSyncError::NetworkEnded),
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, StateSyncError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|_panic| StateSyncError::Panicked)
}

/// Questions that wait for their answers.
#[derive(Clone)]
struct Asking {
    sender: ChannelSender,
    waiting: Arc<Mutex<BTreeMap<u64, (PeerKey, oneshot::Sender<Answer>)>>>,
    number: Arc<AtomicU64>,
}

impl Asking {
    fn waiting(&self) -> MutexGuard<'_, BTreeMap<u64, (PeerKey, oneshot::Sender<Answer>)>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks `peer`; `None` where it does not answer in time.
    async fn ask(&self, peer: &PeerKey, request: Request) -> Option<Answer> {
        let number = self.number.fetch_add(1, Ordering::Relaxed);
        let (sender, answer) = oneshot::channel();
        self.waiting().insert(number, (peer.clone(), sender));
        let message = Message::Ask(number, request).encode();
        let mut channel = self.sender.clone();
        let _feedback = channel.send(Recipients::One(peer.clone()), Bytes::from(message), false);
        let answer = tokio::time::timeout(PATIENCE, answer).await;
        self.waiting().remove(&number);
        answer.ok()?.ok()
    }
}

/// Takes answers to where they are waited for, until the network ends.
async fn listen(receiver: &mut ChannelReceiver, asking: &Asking, network: &Network) {
    while let Ok((peer, bytes)) = receiver.recv().await {
        match decode_bounded(bytes.as_ref(), MESSAGE_BYTES_MAX) {
            Ok(Message::Tell(number, answer)) => {
                let mut waiting = asking.waiting();
                if waiting
                    .get(&number)
                    .is_some_and(|(asked, _)| *asked == peer)
                    && let Some((_, sender)) = waiting.remove(&number)
                {
                    drop(sender.send(answer));
                }
            }
            // This node has nothing to give yet.
            Ok(Message::Ask(number, _)) => {
                let mut sender = asking.sender.clone();
                let message = Message::Tell(number, Answer::Nothing).encode();
                let _feedback = sender.send(Recipients::One(peer), Bytes::from(message), false);
            }
            Err(_malformed) => drop(network.ban(&peer, BAN)),
        }
    }
}

async fn peers(network: &Network) -> Result<Vec<PeerKey>, StateSyncError> {
    let peers = network.peers().await;
    let peers = peers.map_err(|_closed| StateSyncError::NetworkEnded)?;
    Ok(peers.into_iter().map(|peer| peer.key).collect())
}

/// Asks peers until one offers a state that verifies.
async fn find_offer(
    genesis: &Arc<Genesis>,
    sync: StateSync,
    network: &Network,
    asking: &Asking,
) -> Result<(PeerKey, Offer, Verified), StateSyncError> {
    let mut told = tokio::time::Instant::now();
    loop {
        let mut offers = JoinSet::new();
        for peer in peers(network).await? {
            let asking = asking.clone();
            let genesis = Arc::clone(genesis);
            offers.spawn(async move {
                let offered = offered(&genesis, sync, &asking, &peer).await;
                (peer, offered)
            });
        }
        while let Some(offered) = offers.join_next().await {
            match offered {
                Ok((peer, Ok(Some((offer, verified))))) => return Ok((peer, offer, verified)),
                Ok((peer, Err(error))) => tracing::warn!(?peer, %error, "an offer is refused"),
                Ok((_, Ok(None))) | Err(_) => {}
            }
        }
        if told.elapsed() > 5 * PROGRESS {
            told = tokio::time::Instant::now();
            tracing::info!("waiting for a peer that offers a state of a trusted chain");
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// What `peer` offers, verified; `None` where it has nothing.
async fn offered(
    genesis: &Genesis,
    sync: StateSync,
    asking: &Asking,
    peer: &PeerKey,
) -> Result<Option<(Offer, Verified)>, StateSyncError> {
    let Some(Answer::Offer(offer)) = asking.ask(peer, Request::Offer).await else {
        return Ok(None);
    };
    let trusted = match sync.trusted {
        None => TrustedValidators::of_genesis(genesis),
        Some((height, hash)) => match asking.ask(peer, Request::Trusted(height)).await {
            Some(Answer::Trusted(known)) => {
                let (header, validators) = *known;
                Some(TrustedValidators::after_header(
                    genesis, &hash, &header, validators,
                )?)
            }
            _ => None,
        },
    };
    let Some(mut trusted) = trusted else {
        return Ok(None);
    };
    let mut epochs: Vec<EpochEnd> = Vec::new();
    while trusted.epoch() < offer.epoch() {
        let Some(Answer::Epochs(ends)) = asking.ask(peer, Request::Epochs(trusted.epoch())).await
        else {
            return Ok(None);
        };
        if ends.is_empty() {
            return Ok(None);
        }
        for end in ends {
            if trusted.epoch() < offer.epoch() {
                trusted.enter_next(&end)?;
                epochs.push(end);
            }
        }
    }
    let verified = offer.verify(genesis, &trusted, epochs)?;
    Ok(Some((*offer, verified)))
}

/// One thing to fetch.
enum Job {
    Part(KeyRange),
    Code(Hash),
}

/// What the workers share.
struct Shared {
    height: Height,
    root: Hash,
    entries_total: u64,
    jobs: Mutex<VecDeque<Job>>,
    /// Jobs that are not done, taken or not.
    open: AtomicUsize,
    restore: Arc<Restore>,
    codes: Mutex<BTreeSet<Hash>>,
    bytes: AtomicU64,
    entries: AtomicU64,
    network: Network,
}

impl Shared {
    fn new(offer: &Offer, verified: &Verified, restore: Restore, network: Network) -> Arc<Self> {
        let mut starts: Vec<Vec<u8>> = offer.splits.clone();
        starts.push(Vec::new());
        starts.sort_unstable();
        starts.dedup();
        let ends = starts.iter().skip(1).cloned().map(Some).chain([None]);
        let jobs: VecDeque<Job> = starts.iter().cloned().zip(ends).map(Job::Part).collect();
        Arc::new(Self {
            height: offer.height,
            root: verified.state.state_root,
            entries_total: verified.state.state_entries,
            open: AtomicUsize::new(jobs.len()),
            jobs: Mutex::new(jobs),
            restore: Arc::new(restore),
            codes: Mutex::default(),
            bytes: AtomicU64::new(0),
            entries: AtomicU64::new(0),
            network,
        })
    }

    fn jobs(&self) -> MutexGuard<'_, VecDeque<Job>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn done(&self) -> bool {
        self.open.load(Ordering::Acquire) == 0
    }

    /// Has the code fetched that an entry names.
    fn note_code(&self, key: &[u8]) {
        let Some(id) = key.get(1..).and_then(|id| <[u8; 32]>::try_from(id).ok()) else {
            return;
        };
        let hash = Hash(id);
        let mut codes = self.codes.lock().unwrap_or_else(PoisonError::into_inner);
        if key == state_key::code(&hash).as_slice() && codes.insert(hash) {
            self.open.fetch_add(1, Ordering::AcqRel);
            self.jobs().push_back(Job::Code(hash));
        }
    }

    /// Verifies a page and stores it.
    fn take(
        &self,
        (start, end): (&[u8], Option<&[u8]>),
        (entries, proof): (Vec<(Vec<u8>, Vec<u8>)>, &kumiki_state::RangeProof),
        more: bool,
    ) -> Result<bool, StateSyncError> {
        let end = match entries.last() {
            Some((last, _)) if more => Bound::Included(last.as_slice()),
            // A page that says that there is more and has nothing would never end.
            None if more => return Ok(false),
            _ => end.map_or(Bound::Unbounded, Bound::Excluded),
        };
        if verify_range(&self.root, (Bound::Included(start), end), &entries, proof).is_err() {
            return Ok(false);
        }
        let bytes: usize = entries
            .iter()
            .map(|(key, value)| key.len() + value.len())
            .sum();
        let count = u64::try_from(entries.len()).unwrap_or(u64::MAX);
        for (key, _) in &entries {
            self.note_code(key);
        }
        self.restore.add(entries)?;
        self.bytes
            .fetch_add(u64::try_from(bytes).unwrap_or(u64::MAX), Ordering::Relaxed);
        self.entries.fetch_add(count, Ordering::Relaxed);
        Ok(true)
    }
}

/// Fetches everything, from all peers that have it, and says from how many; `None` where none has it any more.
async fn fetch_parts(
    shared: &Arc<Shared>,
    asking: &Asking,
) -> Result<Option<usize>, StateSyncError> {
    let mut workers = JoinSet::new();
    let mut known: BTreeSet<PeerKey> = BTreeSet::new();
    let mut look = tokio::time::interval(LOOK);
    let mut told = tokio::time::Instant::now();
    loop {
        tokio::select! {
            _ = look.tick() => {
                for peer in peers(&shared.network).await? {
                    if known.insert(peer.clone()) {
                        for _request in 0..REQUESTS_PER_PEER {
                            workers.spawn(work(Arc::clone(shared), asking.clone(), peer.clone()));
                        }
                    }
                }
            }
            Some(ended) = workers.join_next() => ended.map_err(|_panic| StateSyncError::Panicked)??,
        }
        if shared.done() {
            // They see it at once, and then nobody else writes.
            while let Some(ended) = workers.join_next().await {
                ended.map_err(|_panic| StateSyncError::Panicked)??;
            }
            return Ok(Some(known.len()));
        }
        if workers.is_empty() && !known.is_empty() {
            return Ok(None);
        }
        if told.elapsed() > PROGRESS {
            told = tokio::time::Instant::now();
            let entries = shared.entries.load(Ordering::Relaxed);
            let of = shared.entries_total;
            tracing::info!(entries, of, peers = known.len(), "fetching the state");
        }
    }
}

/// Fetches from one peer until all is fetched, or the peer fails.
async fn work(shared: Arc<Shared>, asking: Asking, peer: PeerKey) -> Result<(), StateSyncError> {
    while !shared.done() {
        let job = shared.jobs().pop_front();
        let Some(job) = job else {
            tokio::time::sleep(Duration::from_millis(20)).await;
            continue;
        };
        let left = match job {
            Job::Part(part) => fetch_part(&shared, &asking, &peer, part)
                .await?
                .map(Job::Part),
            Job::Code(hash) => fetch_code(&shared, &asking, &peer, hash)
                .await?
                .map(Job::Code),
        };
        if let Some(left) = left {
            shared.jobs().push_front(left);
            return Ok(());
        }
        shared.open.fetch_sub(1, Ordering::AcqRel);
    }
    Ok(())
}

/// Fetches the pages of a part; what is left of it where the peer fails.
async fn fetch_part(
    shared: &Arc<Shared>,
    asking: &Asking,
    peer: &PeerKey,
    (mut start, end): KeyRange,
) -> Result<Option<KeyRange>, StateSyncError> {
    loop {
        let request = Request::Range(shared.height, start.clone(), end.clone());
        let Some(Answer::Range(entries, more, proof)) = asking.ask(peer, request).await else {
            return Ok(Some((start, end)));
        };
        let last = entries.last().map(|(key, _)| key.clone());
        let (taking, from, to) = (Arc::clone(shared), start.clone(), end.clone());
        let sound = blocking(move || taking.take((&from, to.as_deref()), (entries, &proof), more));
        if !sound.await?? {
            tracing::warn!(?peer, "a peer sent entries that are not in the state");
            drop(shared.network.ban(peer, BAN));
            return Ok(Some((start, end)));
        }
        match last {
            // The lowest key above it.
            Some(mut last) if more => {
                last.push(0);
                start = last;
            }
            _ => return Ok(None),
        }
    }
}

async fn fetch_code(
    shared: &Arc<Shared>,
    asking: &Asking,
    peer: &PeerKey,
    hash: Hash,
) -> Result<Option<Hash>, StateSyncError> {
    let Some(Answer::Code(code)) = asking.ask(peer, Request::Code(hash)).await else {
        return Ok(Some(hash));
    };
    if sha3_256(&[&code]) != hash {
        tracing::warn!(?peer, "a peer sent code that is not what was asked for");
        drop(shared.network.ban(peer, BAN));
        return Ok(Some(hash));
    }
    let restore = Arc::clone(&shared.restore);
    blocking(move || restore.add_code(hash, code.into())).await??;
    Ok(None)
}

async fn finish(
    genesis: &Arc<Genesis>,
    shared: Arc<Shared>,
    verified: Verified,
    peers: usize,
) -> Result<Fetched, StateSyncError> {
    let fetched = Fetched {
        height: shared.height,
        bytes: shared.bytes.load(Ordering::Relaxed),
        entries: shared.entries.load(Ordering::Relaxed),
        peers,
    };
    let genesis = Arc::clone(genesis);
    blocking(move || {
        // The workers have ended, so nobody else holds it.
        let restore = Arc::into_inner(shared).and_then(|shared| Arc::into_inner(shared.restore));
        let restore = restore.ok_or(StateSyncError::Panicked)?;
        restore.finish(&Restored {
            genesis: &genesis,
            block: &verified.block,
            base: &verified.base,
            headers: &verified.headers,
            epochs: &verified.epochs,
        })?;
        Ok(fetched)
    })
    .await?
}
