//! Show why blocks are final to whoever trusts genesis or one block, and give verifiers what they verify.

use kumiki_protocol::{EpochEnd, FinalityProof, Genesis, Hash, Header, PublicKey, ValidatorSet};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{CertificateView, HeaderView, SignedHeader};
use crate::Bytes;
use crate::schema::{HashText, PublicKeyText};

/// Headers of one epoch, each the parent of the next, and the certificate of the last, which decides them all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FinalityView {
    /// The headers, at most 256. None but the last has a certificate of its own.
    pub headers: Vec<HeaderView>,
    /// The certificate of the last one.
    pub certificate: CertificateView,
}

/// The step from one epoch to the next.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EpochEndView {
    /// The last header of the epoch.
    pub header: HeaderView,
    /// Its certificate.
    pub certificate: CertificateView,
    /// The validators of the next epoch, whose hash is `executed.nextValidatorsHash` of the header.
    #[schemars(with = "Vec<PublicKeyText>")]
    pub next_validators: Vec<PublicKey>,
}

/// The genesis of the chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GenesisView {
    /// Its hash, which names the chain.
    #[schemars(with = "HashText")]
    pub genesis_hash: Hash,
    /// Its SCALE encoding, which hashes to this.
    pub genesis: Bytes,
}

impl From<&FinalityProof> for FinalityView {
    fn from(proof: &FinalityProof) -> Self {
        Self {
            headers: proof.headers.iter().map(HeaderView::from).collect(),
            certificate: CertificateView::from(&proof.certificate),
        }
    }
}

impl FinalityView {
    /// The proof itself, for a verifier; `None` when a signature does not have 64 bytes.
    #[must_use]
    pub fn to_proof(&self) -> Option<FinalityProof> {
        Some(FinalityProof {
            headers: self.headers.iter().map(Header::from).collect(),
            certificate: self.certificate.to_certificate()?,
        })
    }
}

impl From<&EpochEnd> for EpochEndView {
    fn from(end: &EpochEnd) -> Self {
        Self {
            header: HeaderView::from(&end.header),
            certificate: CertificateView::from(&end.certificate),
            next_validators: end.next_validators.keys().to_vec(),
        }
    }
}

impl EpochEndView {
    /// The step itself, for a verifier; `None` when a signature does not have 64 bytes or the validators are no set.
    #[must_use]
    pub fn to_epoch_end(&self) -> Option<EpochEnd> {
        Some(EpochEnd {
            header: Header::from(&self.header),
            certificate: self.certificate.to_certificate()?,
            next_validators: ValidatorSet::new(self.next_validators.clone())?,
        })
    }
}

impl From<&Genesis> for GenesisView {
    fn from(genesis: &Genesis) -> Self {
        Self {
            genesis_hash: genesis.hash(),
            genesis: Bytes(kumiki_protocol::Encode::encode(genesis)),
        }
    }
}

impl SignedHeader {
    /// Why the header is final, for a verifier, with the `descendants` that the answer shows beside it; `None` when
    /// neither has a certificate, or a signature does not have 64 bytes.
    #[must_use]
    pub fn to_finality_proof(&self, descendants: Option<&FinalityView>) -> Option<FinalityProof> {
        let mut headers = vec![Header::from(&self.header)];
        let certificate = match (&self.certificate, descendants) {
            (Some(own), _) => own,
            (None, Some(later)) => {
                headers.extend(later.headers.iter().map(Header::from));
                &later.certificate
            }
            (None, None) => return None,
        };
        Some(FinalityProof {
            headers,
            certificate: certificate.to_certificate()?,
        })
    }
}
