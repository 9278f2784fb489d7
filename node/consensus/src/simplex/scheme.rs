//! Translate keys, validator sets and certificates between the engine's types and the protocol's.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use commonware_codec::types::lazy::Lazy;
use commonware_codec::{Copying, DecodeExt as _};
use commonware_consensus::simplex::types::{Finalization, Proposal as EngineProposal};
use commonware_consensus::types::{Epoch, Round, View};
use commonware_cryptography::certificate::{Provider, Scoped, Signers};
use commonware_cryptography::ed25519;
use commonware_utils::Participant;
use commonware_utils::ordered::Set;
use kumiki_protocol::{
    Certificate, CertificateSignature, Hash, Proposal, PublicKey, SecretKey, Signature,
    ValidatorSet, Vote,
};

use super::block::{Digest, digest_of};

/// How votes are signed: a list of ed25519 signatures.
pub type Scheme = commonware_consensus::simplex::scheme::ed25519::Scheme;
/// A peer, by its key.
pub type PeerKey = ed25519::PublicKey;

/// The engine's form of a key; `None` where the bytes are no point of the curve.
#[must_use]
pub fn peer_key(key: &PublicKey) -> Option<PeerKey> {
    PeerKey::decode(Copying(&key.0)).ok()
}

/// The protocol's form of a key.
#[must_use]
pub fn public_key(key: &PeerKey) -> PublicKey {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(key.as_ref());
    PublicKey(bytes)
}

/// The keys of `validators`, in position order; `None` where one is no point of the curve.
#[must_use]
pub fn participants(validators: &ValidatorSet) -> Option<Set<PeerKey>> {
    let keys: Option<Vec<PeerKey>> = validators.keys().iter().map(peer_key).collect();
    Set::try_from(keys?).ok()
}

/// The scheme of one epoch: it signs where `key` has a seat, and verifies anyway.
pub fn scheme(genesis_hash: &Hash, participants: Set<PeerKey>, key: &SecretKey) -> Scheme {
    let namespace = Vote::namespace(genesis_hash);
    let signer = ed25519::PrivateKey::decode(Copying(&key.to_seed()))
        .ok()
        .and_then(|key| Scheme::signer(&namespace, participants.clone(), key));
    signer.unwrap_or_else(|| Scheme::verifier(&namespace, participants))
}

/// The protocol's form of a finalization, whose signatures are known to verify.
pub(crate) fn certificate(finalization: &Finalization<Scheme, Digest>) -> Option<Certificate> {
    let signers = finalization.certificate.signers.iter();
    let signatures = signers
        .zip(&finalization.certificate.signatures)
        .map(|(signer, lazy)| {
            Some(CertificateSignature {
                validator: u16::try_from(signer.get()).ok()?,
                signature: signature(lazy)?,
            })
        });
    Some(Certificate {
        signatures: signatures.collect::<Option<_>>()?,
        proposal: proposal(&finalization.proposal),
    })
}

/// The protocol's form of a signature; `None` where the bytes are none.
pub(crate) fn signature(lazy: &Lazy<ed25519::Signature>) -> Option<Signature> {
    let mut bytes = [0; 64];
    bytes.copy_from_slice(lazy.get()?.as_ref());
    Some(Signature(bytes))
}

/// The protocol's form of a proposal.
pub(crate) fn proposal(theirs: &EngineProposal<Digest>) -> Proposal {
    Proposal {
        epoch: theirs.round.epoch().get(),
        view: theirs.round.view().get(),
        parent_view: theirs.parent.get(),
        block: Hash(theirs.payload.0),
    }
}

/// The engine's form of a certificate; `None` where it is none of `validators`.
pub(crate) fn finalization(
    certificate: &Certificate,
    validators: &ValidatorSet,
) -> Option<Finalization<Scheme, Digest>> {
    let proposal = &certificate.proposal;
    let round = Round::new(Epoch::new(proposal.epoch), View::new(proposal.view));
    let payload = digest_of(&proposal.block);
    let signers = certificate.signatures.iter();
    let signers = signers.map(|entry| Participant::new(u32::from(entry.validator)));
    let signatures = certificate.signatures.iter().map(|entry| {
        let signature = ed25519::Signature::decode(Copying(&entry.signature.0)).ok()?;
        Some(Lazy::from(signature))
    });
    Some(Finalization {
        proposal: EngineProposal::new(round, View::new(proposal.parent_view), payload),
        certificate: ed25519::certificate::Certificate {
            signers: Signers::new(u32::try_from(validators.keys().len()).ok()?, signers).ok()?,
            signatures: signatures.collect::<Option<_>>()?,
        },
    })
}

/// Epochs whose schemes are kept.
const EPOCHS_KEPT: usize = 16;

/// The schemes of the epochs that this node knows the validators of.
#[derive(Clone, Debug, Default)]
pub(crate) struct Schemes(Arc<RwLock<BTreeMap<u64, Arc<Scheme>>>>);

impl Schemes {
    pub(crate) fn register(&self, epoch: u64, scheme: Scheme) {
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        known.insert(epoch, Arc::new(scheme));
        // Certificates of epochs that are over are asked for by nodes that lag, and answered, not verified here.
        while known.len() > EPOCHS_KEPT {
            known.pop_first();
        }
    }

    pub(crate) fn newest_epoch(&self) -> u64 {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        known.last_key_value().map_or(0, |(epoch, _)| *epoch)
    }
}

impl Provider for Schemes {
    type Scope = Epoch;
    type Scheme = Scheme;

    fn scoped(&self, epoch: Epoch) -> Option<Scoped<Scheme>> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        known
            .get(&epoch.get())
            .map(|scheme| Scoped::scheme(Arc::clone(scheme)))
    }
}
