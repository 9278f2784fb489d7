//! Hold and verify the proof that a validator set decided a block.

use std::collections::BTreeMap;

use parity_scale_codec::{Decode, Encode, Input};

use crate::{
    BatchVerifier, Hash, Proposal, PublicKey, SecretKey, Signature, SignatureItem, Vote, limits,
    sha3_256,
};

const SET_DOMAIN: &[u8] = b"kumiki/validators/v1";

/// The validators of one epoch, in the order that certificates count them by. Every seat counts the same.
#[derive(Clone, Debug, PartialEq, Eq, Encode)]
pub struct ValidatorSet {
    keys: Vec<PublicKey>,
}

/// One validator's signature in a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct CertificateSignature {
    /// Position in the validator set.
    pub validator: u16,
    /// Signature over a [`Vote::Finalize`] for the proposal.
    pub signature: Signature,
}

/// The proof that more than two thirds of a validator set decided a block.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Certificate {
    /// What was decided, and in which round.
    pub proposal: Proposal,
    /// Signatures by rising validator position.
    pub signatures: Vec<CertificateSignature>,
}

/// Why a certificate proves nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// Positions do not rise, or lie outside the set.
    #[error("signature positions must rise and lie within the {validators} validators")]
    Positions {
        /// Size of the set.
        validators: usize,
    },
    /// Too few signatures.
    #[error("{found} signatures, a quorum is {quorum}")]
    NoQuorum {
        /// How many there are.
        found: usize,
        /// How many are needed.
        quorum: usize,
    },
    /// A signature does not verify.
    #[error("the signature of validator {validator} does not verify")]
    Signature {
        /// Its position in the set.
        validator: u16,
    },
}

impl ValidatorSet {
    /// The set of `keys`, sorted; `None` when it is empty, too large or names a key twice.
    #[must_use]
    pub fn new(mut keys: Vec<PublicKey>) -> Option<Self> {
        keys.sort_unstable();
        let unique = keys.windows(2).all(|pair| pair[0] != pair[1]);
        (unique && !keys.is_empty() && keys.len() <= limits::VALIDATORS_MAX)
            .then_some(Self { keys })
    }

    /// The keys, in position order.
    #[must_use]
    pub fn keys(&self) -> &[PublicKey] {
        &self.keys
    }

    /// Signatures that decide: n minus the faults that n validators tolerate, (n - 1) / 3.
    #[must_use]
    pub fn quorum(&self) -> usize {
        self.keys.len() - self.keys.len().saturating_sub(1) / 3
    }

    /// Position of `key`.
    #[must_use]
    pub fn position(&self, key: &PublicKey) -> Option<u16> {
        let index = self.keys.binary_search(key).ok()?;
        u16::try_from(index).ok()
    }

    /// What a header commits to the set by.
    #[must_use]
    pub fn hash(&self) -> Hash {
        sha3_256(&[SET_DOMAIN, &self.encode()])
    }
}

/// Refuses what [`ValidatorSet::new`] never makes: an empty set would need no signature, and a key that
/// stands in it twice would vote twice.
impl Decode for ValidatorSet {
    fn decode<I: Input>(input: &mut I) -> Result<Self, parity_scale_codec::Error> {
        let keys = Vec::<PublicKey>::decode(input)?;
        let rising = keys.windows(2).all(|pair| pair[0] < pair[1]);
        if rising && !keys.is_empty() && keys.len() <= limits::VALIDATORS_MAX {
            Ok(Self { keys })
        } else {
            Err("validator keys must be some, few enough, different and sorted".into())
        }
    }
}

impl Certificate {
    /// The certificate that those of `keys` who belong to `validators` make together.
    #[must_use]
    pub fn sign(
        genesis_hash: &Hash,
        proposal: Proposal,
        validators: &ValidatorSet,
        keys: &[&SecretKey],
    ) -> Self {
        let message = Vote::Finalize(proposal).sign_bytes(genesis_hash);
        let by_position: BTreeMap<u16, Signature> = keys
            .iter()
            .filter_map(|key| Some((validators.position(&key.public_key())?, key.sign(&message))))
            .collect();
        let signatures = by_position
            .into_iter()
            .map(|(validator, signature)| CertificateSignature {
                validator,
                signature,
            })
            .collect();
        Self {
            proposal,
            signatures,
        }
    }

    /// Verifies that a quorum of `validators` decided the proposed block on the chain of `genesis_hash`.
    ///
    /// # Errors
    /// The first reason why it proves nothing.
    pub fn verify(
        &self,
        genesis_hash: &Hash,
        validators: &ValidatorSet,
    ) -> Result<(), CertificateError> {
        let rising = self
            .signatures
            .windows(2)
            .all(|pair| pair[0].validator < pair[1].validator);
        let keys: Option<Vec<&PublicKey>> = self
            .signatures
            .iter()
            .map(|entry| validators.keys.get(usize::from(entry.validator)))
            .collect();
        let (true, Some(keys)) = (rising, keys) else {
            return Err(CertificateError::Positions {
                validators: validators.keys.len(),
            });
        };
        if self.signatures.len() < validators.quorum() {
            return Err(CertificateError::NoQuorum {
                found: self.signatures.len(),
                quorum: validators.quorum(),
            });
        }
        let message = Vote::Finalize(self.proposal).sign_bytes(genesis_hash);
        let items: Vec<SignatureItem<'_>> = self
            .signatures
            .iter()
            .zip(keys)
            .map(|(entry, key)| SignatureItem {
                key,
                message: &message,
                signature: &entry.signature,
            })
            .collect();
        match BatchVerifier::find_invalid(&items).first() {
            Some(index) => Err(CertificateError::Signature {
                validator: self.signatures[*index].validator,
            }),
            None => Ok(()),
        }
    }
}
