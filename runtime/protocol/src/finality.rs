//! Verify that a block is final with nothing but validators that are trusted: over the epochs, and where only a later
//! block has a certificate. `docs/spec/consensus.md` is the prose.

use parity_scale_codec::{Decode, Encode};

use crate::{
    Certificate, CertificateError, Genesis, Hash, Header, Height, PROTOCOL_VERSION, Parameters,
    ValidatorSet, limits,
};

/// Why a block is final: its header, those after it up to one that has a certificate, and that certificate.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct FinalityProof {
    /// Headers of one epoch, each the parent of the next; the first is the one that is shown to be final.
    pub headers: Vec<Header>,
    /// The proof that the last of them was decided.
    pub certificate: Certificate,
}

/// The step from one epoch to the next.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct EpochEnd {
    /// The last header of the epoch. No block of the epoch follows it, so it always has a certificate of its own.
    pub header: Header,
    /// The proof that it was decided.
    pub certificate: Certificate,
    /// The validators of the next epoch, whose hash the header has.
    pub next_validators: ValidatorSet,
}

/// Why a proof of finality proves nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FinalityError {
    /// There is no header, or there are too many.
    #[error("{found} headers, expected 1 to {max}", max = limits::FINALITY_HEADERS_MAX)]
    Headers {
        /// How many there are.
        found: usize,
    },
    /// A header is of another chain or version.
    #[error("the header at height {height} is of another chain or protocol version")]
    Chain {
        /// Its height.
        height: Height,
    },
    /// A header is not the parent of the next.
    #[error("the header at height {height} does not follow the one before it")]
    Link {
        /// Its height.
        height: Height,
    },
    /// A header or the certificate is of another epoch than the validators.
    #[error("epoch {found}, the validators are those of epoch {expected}")]
    Epoch {
        /// The epoch of the header or the certificate.
        found: u64,
        /// The epoch of the validators.
        expected: u64,
    },
    /// The certificate decides another block.
    #[error("the certificate is for another block")]
    OtherBlock,
    /// The certificate does not verify.
    #[error("the certificate does not verify: {0}")]
    Certificate(#[from] CertificateError),
    /// The header is not the one that is trusted.
    #[error("the header hashes to {found}, trusted is {expected}")]
    NotTrusted {
        /// Its hash.
        found: Hash,
        /// The trusted hash.
        expected: Hash,
    },
    /// A header is not the last of its epoch.
    #[error("height {found} does not end the epoch, {expected} does")]
    NotTheEnd {
        /// Its height.
        found: Height,
        /// The last height of the epoch.
        expected: Height,
    },
    /// The header names other validators.
    #[error("the header names other validators than these")]
    Validators,
}

/// The validators of one epoch, known from a starting point that is trusted. What they decided is verified, and at the
/// end of the epoch they hand over to the next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustedValidators {
    genesis_hash: Hash,
    parameters: Parameters,
    epoch: u64,
    validators: ValidatorSet,
}

impl TrustedValidators {
    /// Those of epoch 0, which genesis names; `None` where it names none.
    #[must_use]
    pub fn of_genesis(genesis: &Genesis) -> Option<Self> {
        Some(Self {
            genesis_hash: genesis.hash(),
            parameters: genesis.parameters,
            epoch: 0,
            validators: genesis.validator_set()?,
        })
    }

    /// Those that sign the block after `header`, whose hash is trusted.
    ///
    /// # Errors
    /// `NotTrusted`, `Chain`, or `Validators` where the header names others.
    pub fn after_header(
        genesis: &Genesis,
        trusted: &Hash,
        header: &Header,
        validators: ValidatorSet,
    ) -> Result<Self, FinalityError> {
        let found = header.hash();
        if found != *trusted {
            return Err(FinalityError::NotTrusted {
                found,
                expected: *trusted,
            });
        }
        let genesis_hash = genesis.hash();
        check_chain(header, &genesis_hash)?;
        if header.executed.next_validators_hash != validators.hash() {
            return Err(FinalityError::Validators);
        }
        Ok(Self {
            genesis_hash,
            parameters: genesis.parameters,
            epoch: genesis.parameters.epoch_of(header.height.saturating_add(1)),
            validators,
        })
    }

    /// The epoch whose validators these are.
    #[must_use]
    pub const fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The validators.
    #[must_use]
    pub const fn validators(&self) -> &ValidatorSet {
        &self.validators
    }

    /// The header that `proof` shows to be final.
    ///
    /// # Errors
    /// The first reason why it shows nothing.
    pub fn verify<'a>(&self, proof: &'a FinalityProof) -> Result<&'a Header, FinalityError> {
        let found = proof.headers.len();
        let (Some(first), Some(last)) = (proof.headers.first(), proof.headers.last()) else {
            return Err(FinalityError::Headers { found });
        };
        if found > limits::FINALITY_HEADERS_MAX {
            return Err(FinalityError::Headers { found });
        }
        for pair in proof.headers.windows(2) {
            let [parent, child] = pair else { continue };
            if parent.height.checked_add(1) != Some(child.height) || child.parent != parent.hash() {
                return Err(FinalityError::Link {
                    height: child.height,
                });
            }
        }
        for header in &proof.headers {
            check_chain(header, &self.genesis_hash)?;
        }
        for found in [
            self.parameters.epoch_of(first.height),
            self.parameters.epoch_of(last.height),
            proof.certificate.proposal.epoch,
        ] {
            if found != self.epoch {
                return Err(FinalityError::Epoch {
                    found,
                    expected: self.epoch,
                });
            }
        }
        if proof.certificate.proposal.block != last.hash() {
            return Err(FinalityError::OtherBlock);
        }
        proof
            .certificate
            .verify(&self.genesis_hash, &self.validators)?;
        Ok(first)
    }

    /// Goes on to the validators of the next epoch.
    ///
    /// # Errors
    /// The first reason why `end` does not show who they are; then nothing changes.
    pub fn enter_next(&mut self, end: &EpochEnd) -> Result<(), FinalityError> {
        let expected = self.parameters.last_height(self.epoch);
        if end.header.height != expected {
            return Err(FinalityError::NotTheEnd {
                found: end.header.height,
                expected,
            });
        }
        if end.header.executed.next_validators_hash != end.next_validators.hash() {
            return Err(FinalityError::Validators);
        }
        self.verify(&FinalityProof {
            headers: vec![end.header.clone()],
            certificate: end.certificate.clone(),
        })?;
        self.epoch = self.epoch.saturating_add(1);
        self.validators = end.next_validators.clone();
        Ok(())
    }
}

fn check_chain(header: &Header, genesis_hash: &Hash) -> Result<(), FinalityError> {
    if header.version == PROTOCOL_VERSION && header.genesis_hash == *genesis_hash {
        Ok(())
    } else {
        Err(FinalityError::Chain {
            height: header.height,
        })
    }
}

#[cfg(test)]
mod tests;
