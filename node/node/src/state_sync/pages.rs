//! Hold what of a state is still to be fetched, and store what came once it is verified.

use std::collections::VecDeque;
use std::ops::Bound;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use kumiki_protocol::{ExecutedState, Hash, Height, sha3_256, state_key};
use kumiki_state::RangeProof;
use kumiki_state::proof::verify_range;
use kumiki_storage::Restore;

use super::{KeyRange, StateSyncError};

/// One thing to fetch.
pub(super) enum Job {
    Part(KeyRange),
    Code(Hash),
}

/// A state on its way in, which all workers share.
pub(super) struct Pages {
    state: ExecutedState,
    jobs: Mutex<VecDeque<Job>>,
    /// Jobs that are not done, taken or not.
    open: AtomicUsize,
    restore: Restore,
    bytes: AtomicU64,
    entries: AtomicU64,
}

impl Pages {
    /// All of `state`, divided at the keys in `starts`.
    pub(super) fn new(state: ExecutedState, mut starts: Vec<Vec<u8>>, restore: Restore) -> Self {
        starts.push(Vec::new());
        starts.sort_unstable();
        starts.dedup();
        let ends = starts.iter().skip(1).cloned().map(Some).chain([None]);
        let jobs: VecDeque<Job> = starts.iter().cloned().zip(ends).map(Job::Part).collect();
        Self {
            state,
            open: AtomicUsize::new(jobs.len()),
            jobs: Mutex::new(jobs),
            restore,
            bytes: AtomicU64::new(0),
            entries: AtomicU64::new(0),
        }
    }

    /// Bytes of keys and values, and entries, that are stored.
    pub(super) fn stored(&self) -> (u64, u64) {
        let [bytes, entries] = [&self.bytes, &self.entries].map(|one| one.load(Ordering::Relaxed));
        (bytes, entries)
    }

    /// The height after which the state is.
    pub(super) const fn height(&self) -> Height {
        self.state.height
    }

    /// Entries of the whole state.
    pub(super) const fn entries(&self) -> u64 {
        self.state.state_entries
    }

    /// The next thing to fetch; `None` where all is taken.
    pub(super) fn next(&self) -> Option<Job> {
        self.jobs().pop_front()
    }

    /// Takes back what is left of a job.
    pub(super) fn give_back(&self, left: Job) {
        self.jobs().push_front(left);
    }

    /// A job is done.
    pub(super) fn finished(&self) {
        self.open.fetch_sub(1, Ordering::AcqRel);
    }

    /// What all was stored in.
    pub(super) fn into_restore(self) -> Restore {
        self.restore
    }

    fn jobs(&self) -> MutexGuard<'_, VecDeque<Job>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether all is stored.
    pub(super) fn done(&self) -> bool {
        self.open.load(Ordering::Acquire) == 0
    }

    /// Has the code fetched that an entry names.
    fn note_code(&self, key: &[u8]) {
        let Some(id) = key.get(1..).and_then(|id| <[u8; 32]>::try_from(id).ok()) else {
            return;
        };
        let hash = Hash(id);
        if key == state_key::code(&hash).as_slice() {
            self.open.fetch_add(1, Ordering::AcqRel);
            self.jobs().push_back(Job::Code(hash));
        }
    }

    /// Verifies the first page of a range and stores it; `false`: it is not what is in the state.
    pub(super) fn take(
        &self,
        (start, end): &KeyRange,
        (entries, more, proof): (Vec<(Vec<u8>, Vec<u8>)>, bool, &RangeProof),
    ) -> Result<bool, StateSyncError> {
        let end = match entries.last() {
            Some((last, _)) if more => Bound::Included(last.as_slice()),
            // A page that says that there is more and has nothing would never end.
            None if more => return Ok(false),
            _ => end.as_deref().map_or(Bound::Unbounded, Bound::Excluded),
        };
        let range = (Bound::Included(start.as_slice()), end);
        if verify_range(&self.state.state_root, range, &entries, proof).is_err() {
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

    /// Verifies code and stores it; `false`: it is not what was asked for.
    pub(super) fn take_code(&self, hash: Hash, code: Vec<u8>) -> Result<bool, StateSyncError> {
        if sha3_256(&[&code]) != hash {
            return Ok(false);
        }
        self.restore.add_code(hash, code.into())?;
        Ok(true)
    }
}
