//! Fetch a state: find an offer that verifies, divide it, fetch the parts from all peers that have it, check each page.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use kumiki_network::{Channel, Network, PeerKey};
use kumiki_protocol::{EpochEnd, Genesis, Hash, Height, TrustedValidators};
use kumiki_storage::{Restore, Restored, StorageOptions};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::asking::{Asking, listen};
use super::pages::{Job, Pages};
use super::{Answer, BAN, KeyRange, Request, StateSync, StateSyncError};

/// Time between two looks for peers.
const LOOK: Duration = Duration::from_millis(500);
/// Time between two lines of progress.
const PROGRESS: Duration = Duration::from_secs(2);
/// Requests to one peer at a time: while one travels, the next is worked on.
const REQUESTS_PER_PEER: usize = 2;
/// Time before a worker looks again whether another has left it something to do.
const IDLE: Duration = Duration::from_millis(20);

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
    let asking = Asking::over(channel.sender.clone());
    let fetching = async {
        loop {
            let (restored, splits) = find_offer(genesis, sync, network, &asking).await?;
            let state = restored.base.state;
            tracing::info!(
                height = state.height,
                root = %state.state_root,
                entries = state.state_entries,
                "fetching the state"
            );
            let folder = dir.to_owned();
            let restore = blocking(move || Restore::begin(&folder, options)).await??;
            let pages = Arc::new(Pages::new(state, splits, restore));
            if let Some(peers) = fetch_pages(&pages, &asking, network).await? {
                return finish(genesis, pages, restored, peers).await;
            }
            tracing::warn!("no peer has this state any more, looking for a newer one");
            tokio::time::sleep(LOOK).await;
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

async fn peers(network: &Network) -> Result<Vec<PeerKey>, StateSyncError> {
    let peers = network.peers().await;
    let peers = peers.map_err(|_closed| StateSyncError::NetworkEnded)?;
    Ok(peers.into_iter().map(|peer| peer.key).collect())
}

/// Asks peers until one offers a state that verifies: what it leads to, and where to divide it.
async fn find_offer(
    genesis: &Arc<Genesis>,
    sync: StateSync,
    network: &Network,
    asking: &Asking,
) -> Result<(Restored, Vec<Vec<u8>>), StateSyncError> {
    let mut told = Instant::now();
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
                Ok((_, Ok(Some(offered)))) => return Ok(offered),
                Ok((peer, Err(error))) => tracing::warn!(?peer, %error, "an offer is refused"),
                Ok((_, Ok(None))) | Err(_) => {}
            }
        }
        if told.elapsed() > 5 * PROGRESS {
            told = Instant::now();
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
) -> Result<Option<(Restored, Vec<Vec<u8>>)>, StateSyncError> {
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
    let start = (trusted.epoch(), trusted.validators().clone());
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
    let restored = offer.verify(genesis, &trusted, start, epochs)?;
    Ok(Some((restored, offer.splits)))
}

/// Fetches everything, from all peers that have it, and says from how many; `None` where none has it any more.
async fn fetch_pages(
    pages: &Arc<Pages>,
    asking: &Asking,
    network: &Network,
) -> Result<Option<usize>, StateSyncError> {
    let mut workers = JoinSet::new();
    let mut known: BTreeSet<PeerKey> = BTreeSet::new();
    let mut look = tokio::time::interval(LOOK);
    let mut told = Instant::now();
    loop {
        tokio::select! {
            _ = look.tick() => {
                for peer in peers(network).await? {
                    if known.insert(peer.clone()) {
                        let worker = Worker {
                            pages: Arc::clone(pages),
                            asking: asking.clone(),
                            network: network.clone(),
                            peer,
                        };
                        for _request in 0..REQUESTS_PER_PEER {
                            workers.spawn(worker.clone().work());
                        }
                    }
                }
            }
            Some(ended) = workers.join_next() => ended.map_err(|_panic| StateSyncError::Panicked)??,
        }
        if pages.done() {
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
            told = Instant::now();
            let (_, entries) = pages.stored();
            let of = pages.entries();
            tracing::info!(entries, of, peers = known.len(), "fetching the state");
        }
    }
}

/// Fetches from one peer.
#[derive(Clone)]
struct Worker {
    pages: Arc<Pages>,
    asking: Asking,
    network: Network,
    peer: PeerKey,
}

impl Worker {
    /// Fetches until all is fetched, or the peer fails.
    async fn work(self) -> Result<(), StateSyncError> {
        while !self.pages.done() {
            let Some(job) = self.pages.next() else {
                tokio::time::sleep(IDLE).await;
                continue;
            };
            let left = match job {
                Job::Part(part) => self.fetch_part(part).await?.map(Job::Part),
                Job::Code(hash) => self.fetch_code(hash).await?.map(Job::Code),
            };
            if let Some(left) = left {
                self.pages.give_back(left);
                return Ok(());
            }
            self.pages.finished();
        }
        Ok(())
    }

    /// Fetches the pages of a part; what is left of it where the peer fails.
    async fn fetch_part(&self, mut part: KeyRange) -> Result<Option<KeyRange>, StateSyncError> {
        loop {
            let (start, end) = part.clone();
            let request = Request::Range(self.pages.height(), start, end);
            let answer = self.asking.ask(&self.peer, request).await;
            let Some(Answer::Range(entries, more, proof)) = answer else {
                return Ok(Some(part));
            };
            let last = entries.last().map(|(key, _)| key.clone());
            let (pages, asked) = (Arc::clone(&self.pages), part.clone());
            if !blocking(move || pages.take(&asked, (entries, more, &proof))).await?? {
                self.shut_out("entries that are not in the state");
                return Ok(Some(part));
            }
            match last {
                // The lowest key above it.
                Some(mut last) if more => {
                    last.push(0);
                    part.0 = last;
                }
                _ => return Ok(None),
            }
        }
    }

    /// Fetches code; its hash again where the peer fails.
    async fn fetch_code(&self, hash: Hash) -> Result<Option<Hash>, StateSyncError> {
        let answer = self.asking.ask(&self.peer, Request::Code(hash)).await;
        let Some(Answer::Code(code)) = answer else {
            return Ok(Some(hash));
        };
        let pages = Arc::clone(&self.pages);
        if !blocking(move || pages.take_code(hash, code)).await?? {
            self.shut_out("code that is not what was asked for");
            return Ok(Some(hash));
        }
        Ok(None)
    }

    fn shut_out(&self, sent: &'static str) {
        tracing::warn!(peer = ?self.peer, sent, "a peer is shut out");
        drop(self.network.ban(&self.peer, BAN));
    }
}

async fn finish(
    genesis: &Arc<Genesis>,
    pages: Arc<Pages>,
    restored: Restored,
    peers: usize,
) -> Result<Fetched, StateSyncError> {
    let (bytes, entries) = pages.stored();
    let height = pages.height();
    let genesis = Arc::clone(genesis);
    blocking(move || {
        // The workers have ended, so nobody else holds them.
        let pages = Arc::into_inner(pages).ok_or(StateSyncError::Panicked)?;
        pages.into_restore().finish(&genesis, &restored)?;
        Ok(Fetched {
            height,
            bytes,
            entries,
            peers,
        })
    })
    .await?
}
