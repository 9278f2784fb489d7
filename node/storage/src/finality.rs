//! Show why stored blocks are final, to whoever knows only the validators of some epoch.

use kumiki_protocol::{EpochEnd, FinalityProof, Height, Parameters, ValidatorSet, limits};

use crate::{Base, Storage, StorageError};

impl Storage {
    /// Where the chain begins here; `None`: with genesis, all blocks were executed.
    ///
    /// # Errors
    /// When the store fails or is found damaged; so for all below.
    pub fn base(&self) -> Result<Option<Base>, StorageError> {
        self.head()?.view.base()
    }

    /// The validators of `epoch`; `None` where they are not fixed yet, or not known here.
    ///
    /// # Errors
    /// When the store fails or is found damaged.
    pub fn validators_of(&self, epoch: u64) -> Result<Option<ValidatorSet>, StorageError> {
        let head = self.head()?;
        let parameters = self.parameters()?;
        if epoch > parameters.validators_epoch(head.tip.height) {
            return Ok(None);
        }
        head.view.validators_of(epoch)
    }

    /// Why the block at `height` is final; `None` where its header is not stored, or nothing that decides it is yet.
    ///
    /// # Errors
    /// When the store fails or is found damaged.
    pub fn finality(&self, height: Height) -> Result<Option<FinalityProof>, StorageError> {
        let head = self.head()?;
        // What decides a block of the next epoch proves nothing to who knows only the validators of this one.
        let parameters = self.parameters()?;
        let epoch = parameters.epoch_of(height);
        let mut headers = Vec::new();
        let same_epoch = |next: &Height| parameters.epoch_of(*next) == epoch;
        let candidates = (height..).take_while(same_epoch);
        for next in candidates.take(limits::FINALITY_HEADERS_MAX) {
            let Some(header) = head.view.header(next)? else {
                return Ok(None);
            };
            headers.push(header);
            if let Some(certificate) = head.view.certificate(next)? {
                return Ok(Some(FinalityProof {
                    headers,
                    certificate,
                }));
            }
        }
        Ok(None)
    }

    /// The step from `epoch` to the next; `None` where it is not over, or is not stored.
    ///
    /// # Errors
    /// When the store fails or is found damaged.
    pub fn epoch_end(&self, epoch: u64) -> Result<Option<EpochEnd>, StorageError> {
        let head = self.head()?;
        let height = self.parameters()?.last_height(epoch);
        let next = epoch.checked_add(1);
        let (Some(header), Some(certificate), Some(next)) = (
            head.view.header(height)?,
            head.view.certificate(height)?,
            next,
        ) else {
            return Ok(None);
        };
        let next_validators = self.validators_of(next)?;
        Ok(next_validators.map(|next_validators| EpochEnd {
            header,
            certificate,
            next_validators,
        }))
    }

    fn parameters(&self) -> Result<Parameters, StorageError> {
        let genesis = self.genesis().ok_or(StorageError::NotInitialised)?;
        Ok(genesis.parameters)
    }
}
