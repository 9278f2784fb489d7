//! Verify what a peer offers, from a trusted block on, before anything of it is fetched.

use kumiki_protocol::{
    EpochEnd, ExecutedState, FinalityError, FinalityProof, Genesis, Hash, Header, Height,
    TrustedValidators, ValidatorSet,
};
use kumiki_storage::{Base, Restored, StorageError};

use super::{Offer, PARTS_MAX, offered_headers_max};

/// Why a state was not fetched.
#[derive(Debug, thiserror::Error)]
pub enum StateSyncError {
    /// The network ended.
    #[error("the network ended while the state was being fetched")]
    NetworkEnded,
    /// The store refuses.
    #[error("the store: {0}")]
    Storage(#[from] StorageError),
    /// What a peer offers is not what the trusted block leads to.
    #[error("a peer's offer is refused: {0}")]
    Finality(#[from] FinalityError),
    /// What a peer offers contradicts itself.
    #[error("a peer's offer is refused: {0}")]
    Offer(&'static str),
    /// A thread panicked.
    #[error("a thread panicked while the state was being fetched")]
    Panicked,
}

impl Offer {
    pub(super) fn epoch(&self) -> u64 {
        self.certificate.proposal.epoch
    }

    /// Checks that the offered state is the one that the validators decided on, who were reached from those of `start`
    /// over `epochs`.
    pub(super) fn verify(
        &self,
        genesis: &Genesis,
        trusted: &TrustedValidators,
        start: (u64, ValidatorSet),
        epochs: Vec<EpochEnd>,
    ) -> Result<Restored, StateSyncError> {
        let lag = usize::from(genesis.parameters.execution_lag);
        if self.headers.len() > offered_headers_max(lag) || self.headers.len() < 2 * lag + 1 {
            return Err(StateSyncError::Offer("it has too few or too many headers"));
        }
        if self.splits.len() > PARTS_MAX {
            return Err(StateSyncError::Offer("it has too many parts"));
        }
        let (below, from) = self.headers.split_at(lag);
        let (inside, above) = from.split_at(lag);
        let (Some(block), Some(first_above)) = (from.first(), above.first()) else {
            return Err(StateSyncError::Offer("it has no header"));
        };
        let last = FinalityProof {
            headers: above.to_vec(),
            certificate: self.last_certificate.clone(),
        };
        trusted.verify(&last)?;
        check_links(below.iter().chain(inside).chain([first_above]))?;
        if block.height != self.height {
            return Err(StateSyncError::Offer("its headers are of other heights"));
        }
        if genesis.parameters.validators_epoch(self.height) != trusted.epoch() {
            return Err(StateSyncError::Offer("its state names the next validators"));
        }
        let own = FinalityProof {
            headers: vec![block.clone()],
            certificate: self.certificate.clone(),
        };
        trusted.verify(&own)?;
        let mut results = self.results(lag)?;
        let Some((state, transactions)) = results.pop() else {
            return Err(StateSyncError::Offer("it has no result"));
        };
        Ok(Restored {
            base: Base {
                state,
                transactions,
                before: results,
                certificate: self.certificate.clone(),
            },
            headers: below.to_vec(),
            block: block.clone(),
            start,
            epochs,
        })
    }

    /// The results of the blocks up to the offered height, each from the header `lag` above, and how many transactions
    /// they have.
    fn results(&self, lag: usize) -> Result<Vec<(ExecutedState, u32)>, StateSyncError> {
        let above = self.headers.iter().skip(lag);
        let results = self.headers.iter().zip(above).take(lag + 1);
        results
            .map(|(header, above)| {
                if above.executed.height == header.height {
                    Ok((above.executed, header.transactions_count))
                } else {
                    Err(StateSyncError::Offer("a header holds another result"))
                }
            })
            .collect()
    }
}

fn check_links<'a>(headers: impl Iterator<Item = &'a Header>) -> Result<(), StateSyncError> {
    let mut before: Option<(Height, Hash)> = None;
    for header in headers {
        if let Some((height, hash)) = before
            && (height.checked_add(1) != Some(header.height) || header.parent != hash)
        {
            return Err(StateSyncError::Offer(
                "its headers do not follow each other",
            ));
        }
        before = Some((header.height, header.hash()));
    }
    Ok(())
}
