//! Go from what is trusted, genesis or one block, to the validators of any later epoch, and see what they decided.

use kumiki_protocol::{
    FinalityProof, Genesis, Hash, Header, Height, Parameters, TrustedValidators, ValidatorSet,
    decode_bounded, limits,
};
use kumiki_rpc_api::ErrorCode;

use crate::{Client, ClientError};

/// Epochs that one answer may be away from the validators that are known: each costs a question and a certificate.
const EPOCHS_MAX: u64 = 10_000;

/// What answers are checked against: the validators from a trusted start on. It remembers how far it has come, so that
/// each step over an epoch is asked for once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProofAnchor {
    parameters: Parameters,
    start: TrustedValidators,
    newest: TrustedValidators,
}

impl ProofAnchor {
    /// An anchor that trusts `genesis`.
    ///
    /// # Errors
    /// `Unproven` when it names no validators.
    pub fn of_genesis(genesis: &Genesis) -> Result<Self, ClientError> {
        let validators = TrustedValidators::of_genesis(genesis)
            .ok_or_else(|| unproven("genesis names no set of different validators"))?;
        Ok(Self::starting(genesis, validators))
    }

    /// An anchor that trusts the block with the hash `trusted`, whose header this is; the header names `validators`.
    ///
    /// # Errors
    /// `Unproven` when the header or the validators are others.
    pub fn after_header(
        genesis: &Genesis,
        trusted: &Hash,
        header: &Header,
        validators: ValidatorSet,
    ) -> Result<Self, ClientError> {
        let validators = TrustedValidators::after_header(genesis, trusted, header, validators)
            .map_err(|error| unproven(format!("the trusted block: {error}")))?;
        Ok(Self::starting(genesis, validators))
    }

    fn starting(genesis: &Genesis, validators: TrustedValidators) -> Self {
        Self {
            parameters: genesis.parameters,
            start: validators.clone(),
            newest: validators,
        }
    }

    /// The first epoch whose blocks can be checked.
    #[must_use]
    pub const fn first_epoch(&self) -> u64 {
        self.start.epoch()
    }

    /// The newest validators that are known.
    #[must_use]
    pub const fn newest(&self) -> &TrustedValidators {
        &self.newest
    }

    /// The epoch of the block at `height`.
    #[must_use]
    pub fn epoch_of(&self, height: Height) -> u64 {
        self.parameters.epoch_of(height)
    }

    /// The validators nearest to `epoch` from which it can be reached.
    fn nearest(&self, epoch: u64) -> Result<TrustedValidators, ClientError> {
        let unreached = |reason| Err(self.unreached(epoch, reason));
        let known = if epoch >= self.newest.epoch() {
            &self.newest
        } else {
            &self.start
        };
        match epoch.checked_sub(known.epoch()) {
            None => unreached("it lies before".to_owned()),
            Some(steps) if steps > EPOCHS_MAX => {
                unreached(format!("{steps} steps are more than {EPOCHS_MAX}"))
            }
            Some(_) => Ok(known.clone()),
        }
    }

    fn unreached(&self, epoch: u64, reason: String) -> ClientError {
        ClientError::Unreached {
            start: self.start.epoch(),
            epoch,
            reason,
        }
    }
}

impl Client {
    /// The genesis of the chain, which hashes to the hash that we connected with.
    ///
    /// # Errors
    /// `Unproven` when it does not; `Unreachable`, `Protocol`.
    pub async fn genesis(&self) -> Result<Genesis, ClientError> {
        let answer = self.genesis_view().await?;
        let genesis: Genesis = decode_bounded(&answer.genesis.0, limits::GENESIS_BYTES_MAX)
            .map_err(|error| unproven(format!("genesis is {error}")))?;
        let found = genesis.hash();
        if found == self.genesis_hash() {
            Ok(genesis)
        } else {
            Err(unproven(format!(
                "genesis hashes to {found}, the chain is {}",
                self.genesis_hash()
            )))
        }
    }

    /// An anchor that trusts genesis: by the hash that was expected when connecting, else by the one the node named.
    ///
    /// # Errors
    /// `Unproven`, `Unreachable`, `Protocol`.
    pub async fn proof_anchor(&self) -> Result<ProofAnchor, ClientError> {
        ProofAnchor::of_genesis(&self.genesis().await?)
    }

    /// An anchor that trusts the block at `height` with this hash, and by it the chain's genesis.
    ///
    /// # Errors
    /// `Unproven` when the node shows another block; `Unreached` when it does not show the block's validators; `Api`,
    /// `Unreachable`, `Protocol`.
    pub async fn proof_anchor_at(
        &self,
        height: Height,
        trusted: Hash,
    ) -> Result<ProofAnchor, ClientError> {
        let genesis = self.genesis().await?;
        let header = Header::from(&self.header(Some(height)).await?.header);
        if header.hash() != trusted || header.height != height {
            return Err(unproven(format!(
                "the block at height {height} hashes to {}, trusted is {trusted}",
                header.hash()
            )));
        }
        // Whoever names them: the trusted header has their hash.
        let named = header.executed.next_validators_hash;
        let epoch = genesis.parameters.epoch_of(height.saturating_add(1));
        let mut candidates = vec![genesis.validators.clone(), self.info().await?.validators];
        if let Some(before) = epoch.checked_sub(1) {
            match self.epoch_end(before).await {
                Ok(end) => candidates.push(end.next_validators),
                Err(error) if is_not_kept(&error) => {}
                Err(error) => return Err(error),
            }
        }
        let mut sets = candidates.into_iter().filter_map(ValidatorSet::new);
        let validators = sets.find(|set| set.hash() == named);
        let validators = validators.ok_or_else(|| ClientError::Unreached {
            start: epoch,
            epoch,
            reason: format!("the node shows no validators with the hash {named}"),
        })?;
        ProofAnchor::after_header(&genesis, &trusted, &header, validators)
    }

    /// The validators of `epoch`, verified step by step from what `anchor` trusts.
    ///
    /// # Errors
    /// `Unproven` when a step is false; `Unreached` when the node does not show it, the epoch lies before the trusted
    /// start, or too far behind; `Api`, `Unreachable`, `Protocol`.
    pub async fn validators_of(
        &self,
        anchor: &mut ProofAnchor,
        epoch: u64,
    ) -> Result<TrustedValidators, ClientError> {
        let mut known = anchor.nearest(epoch)?;
        while known.epoch() < epoch {
            let ending = known.epoch();
            let answer = match self.epoch_end(ending).await {
                Ok(answer) => answer,
                Err(error) if is_not_kept(&error) => {
                    let reason = format!("the node does not show how epoch {ending} ended");
                    return Err(anchor.unreached(epoch, reason));
                }
                Err(error) => return Err(error),
            };
            let step = answer
                .to_epoch_end()
                .ok_or_else(|| unproven(format!("the end of epoch {ending} is malformed")))?;
            known
                .enter_next(&step)
                .map_err(|error| unproven(format!("the end of epoch {ending}: {error}")))?;
            if known.epoch() > anchor.newest.epoch() {
                anchor.newest = known.clone();
            }
        }
        Ok(known)
    }

    /// The header at `height`, which `anchor`'s validators decided, and the proof of that.
    ///
    /// # Errors
    /// `Unproven` when the answer does not show it; as [`Client::validators_of`]; `Api`: not decided or not kept.
    pub async fn proven_header(
        &self,
        anchor: &mut ProofAnchor,
        height: Height,
    ) -> Result<Header, ClientError> {
        let answer = self.finality(height).await?;
        let proof = answer
            .to_proof()
            .ok_or_else(|| unproven("the certificate is malformed"))?;
        let (header, _) = self.decided(anchor, &proof).await?;
        if header.height == height {
            Ok(header)
        } else {
            Err(unproven(format!(
                "asked for the block at height {height}, the proof is of height {}",
                header.height
            )))
        }
    }

    /// The header that `proof` shows to be final, and the validators who decided it.
    pub(crate) async fn decided(
        &self,
        anchor: &mut ProofAnchor,
        proof: &FinalityProof,
    ) -> Result<(Header, TrustedValidators), ClientError> {
        let first = proof.headers.first();
        let first = first.ok_or_else(|| unproven("the proof has no header"))?;
        let epoch = anchor.epoch_of(first.height);
        let validators = self.validators_of(anchor, epoch).await?;
        let header = validators
            .verify(proof)
            .map_err(|error| unproven(error.to_string()))?;
        Ok((header.clone(), validators))
    }
}

/// Whether the node says that it has not, or no longer, what was asked for.
fn is_not_kept(error: &ClientError) -> bool {
    matches!(error, ClientError::Api(error)
        if matches!(error.code, ErrorCode::HeightPruned | ErrorCode::HeightUnknown))
}

pub(crate) fn unproven(reason: impl Into<String>) -> ClientError {
    ClientError::Unproven {
        reason: reason.into(),
    }
}

#[cfg(test)]
mod tests;
