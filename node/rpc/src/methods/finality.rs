//! Show why blocks are final.

use kumiki_protocol::{FinalityProof, Height, limits};
use kumiki_rpc_api::{ApiError, EpochEndView, ErrorCode, FinalityView, SignedHeader};

use super::chain::pruned;
use super::{Node, fault};

impl Node {
    /// Why the block at `height` is final; `None` where nothing up to the head decides it.
    fn finality_proof(&self, height: Height) -> Result<Option<FinalityProof>, ApiError> {
        let head = self.head().height;
        let found = self.context.storage.finality(height);
        // A block that is committed while this is answered is above the head that other answers show.
        let is_shown = |proof: &FinalityProof| {
            let last = proof.headers.last();
            last.is_some_and(|last| last.height <= head)
        };
        Ok(found.map_err(|error| fault(&error))?.filter(is_shown))
    }

    /// The same of a block up to the head, which must be decided.
    pub(super) fn finality_of(&self, height: Height) -> Result<FinalityView, ApiError> {
        if let Some(proof) = self.finality_proof(height)? {
            return Ok(FinalityView::from(&proof));
        }
        let _kept = self.header(height)?;
        let head = self.head().height;
        Err(ApiError::new(
            ErrorCode::ProofNotReady,
            format!("no block from {height} to the head {head} has a certificate yet"),
        ))
    }

    /// The header at `height`, with what decides it: its own certificate, or its descendants.
    pub(super) fn decided_header(
        &self,
        height: Height,
    ) -> Result<(SignedHeader, Option<FinalityView>), ApiError> {
        let signed = self.signed_header(height)?;
        if signed.certificate.is_some() {
            return Ok((signed, None));
        }
        // Its own header is shown beside the others.
        match self.finality_of(height) {
            Ok(mut finality) => {
                finality.headers.remove(0);
                Ok((signed, Some(finality)))
            }
            // Nobody signs genesis; what it holds follows from the file.
            Err(error) if error.code == ErrorCode::ProofNotReady && height == 0 => {
                Ok((signed, None))
            }
            Err(error) => Err(error),
        }
    }

    /// The highest block that has a certificate; genesis where there is none.
    pub(super) fn highest_certified(&self) -> Result<Height, ApiError> {
        let head = self.head().height;
        let candidates = (1..=head).rev().take(limits::FINALITY_HEADERS_MAX);
        for height in candidates {
            let certificate = self.context.storage.certificate(height);
            if certificate.map_err(|error| fault(&error))?.is_some() {
                return Ok(height);
            }
        }
        Ok(0)
    }

    /// The step from `epoch` to the next.
    pub(super) fn end_of_epoch(&self, epoch: u64) -> Result<EpochEndView, ApiError> {
        let parameters = &self.context.genesis.parameters;
        let last = self.check_height(Some(parameters.last_height(epoch)))?;
        let end = self.context.storage.epoch_end(epoch);
        let end = end.map_err(|error| fault(&error))?;
        end.as_ref()
            .map(EpochEndView::from)
            .ok_or_else(|| pruned(last))
    }
}
