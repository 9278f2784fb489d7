//! Turn what the engine reports of other validators' double votes into evidence that the chain understands.

use std::collections::BTreeSet;
use std::sync::Arc;

use commonware_actor::Feedback;
use commonware_codec::{Encode, ReadExt as _};
use commonware_consensus::Reporter;
use commonware_consensus::simplex::types::{
    Activity, Attributable as _, Finalize, Notarize, Nullify,
};
use commonware_cryptography::certificate::{Provider as _, Scheme as _};
use commonware_utils::ordered::Quorum as _;
use kumiki_protocol::{Evidence, Hash, PublicKey, SignedVote, Vote};

use super::block::Digest;
use super::scheme::{Scheme, Schemes, proposal, public_key, signature};
use crate::Application;

/// Tells the chain of each validator that votes twice, once.
pub(crate) struct Witness<A> {
    application: Arc<A>,
    schemes: Schemes,
    genesis_hash: Hash,
    told: Arc<std::sync::Mutex<BTreeSet<PublicKey>>>,
}

impl<A> Clone for Witness<A> {
    fn clone(&self) -> Self {
        Self {
            application: Arc::clone(&self.application),
            schemes: self.schemes.clone(),
            genesis_hash: self.genesis_hash,
            told: Arc::clone(&self.told),
        }
    }
}

impl<A: Application> Witness<A> {
    pub(crate) fn new(application: Arc<A>, schemes: Schemes, genesis_hash: Hash) -> Self {
        Self {
            application,
            schemes,
            genesis_hash,
            told: Arc::default(),
        }
    }

    /// The evidence in what the engine says, which has not verified it.
    fn evidence(&self, activity: &Activity<Scheme, Digest>) -> Option<Evidence> {
        let (epoch, signer, first, second) = match activity {
            Activity::ConflictingNotarize(conflict) => {
                let (one, other) =
                    pair::<Notarize<Scheme, Digest>, Notarize<Scheme, Digest>>(conflict)?;
                let votes = (notarize(&one)?, notarize(&other)?);
                (one.proposal.round.epoch(), one.signer(), votes.0, votes.1)
            }
            Activity::ConflictingFinalize(conflict) => {
                let (one, other) =
                    pair::<Finalize<Scheme, Digest>, Finalize<Scheme, Digest>>(conflict)?;
                let votes = (finalize(&one)?, finalize(&other)?);
                (one.proposal.round.epoch(), one.signer(), votes.0, votes.1)
            }
            Activity::NullifyFinalize(conflict) => {
                let (one, other) = pair::<Nullify<Scheme>, Finalize<Scheme, Digest>>(conflict)?;
                let votes = (nullify(&one)?, finalize(&other)?);
                (one.round.epoch(), one.signer(), votes.0, votes.1)
            }
            _ => return None,
        };
        let scheme = self.schemes.scheme(epoch)?;
        let validator = public_key(scheme.participants().key(signer)?);
        Some(Evidence {
            validator,
            first,
            second,
        })
    }
}

impl<A: Application> Reporter for Witness<A> {
    type Activity = Activity<Scheme, Digest>;

    fn report(&mut self, activity: Self::Activity) -> Feedback {
        if let Some(evidence) = self.evidence(&activity) {
            let mut told = self
                .told
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner);
            if !told.contains(&evidence.validator) && evidence.verify(&self.genesis_hash).is_ok() {
                told.insert(evidence.validator);
                self.application.misbehaved(evidence);
            }
        }
        Feedback::Ok
    }
}

/// The two votes in a conflict, which shows them by its encoding only.
fn pair<First, Second>(conflict: &impl Encode) -> Option<(First, Second)>
where
    First: commonware_codec::Read<Cfg = ()>,
    Second: commonware_codec::Read<Cfg = ()>,
{
    let mut bytes = conflict.encode();
    Some((
        First::read(&mut bytes).ok()?,
        Second::read(&mut bytes).ok()?,
    ))
}

fn notarize(vote: &Notarize<Scheme, Digest>) -> Option<SignedVote> {
    Some(SignedVote {
        vote: Vote::Notarize(proposal(&vote.proposal)),
        signature: signature(&vote.attestation.signature)?,
    })
}

fn finalize(vote: &Finalize<Scheme, Digest>) -> Option<SignedVote> {
    Some(SignedVote {
        vote: Vote::Finalize(proposal(&vote.proposal)),
        signature: signature(&vote.attestation.signature)?,
    })
}

fn nullify(vote: &Nullify<Scheme>) -> Option<SignedVote> {
    Some(SignedVote {
        vote: Vote::Nullify {
            epoch: vote.round.epoch().get(),
            view: vote.round.view().get(),
        },
        signature: signature(&vote.attestation.signature)?,
    })
}
