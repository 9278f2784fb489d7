//! Listen to every vote that leaves an honest node, and notice two that contradict each other, over restarts too.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use commonware_codec::{DecodeExt as _, Encode as _};
use commonware_consensus::simplex::types::Vote;
use commonware_p2p::Recipients;
use commonware_p2p::simulated::{SplitForwarder, SplitOrigin, SplitSender};
use commonware_p2p::utils::mux;
use commonware_runtime::{IoBuf, deterministic};
use kumiki_consensus::simplex::{Digest, PeerKey, Scheme};

use crate::node::SimSender;

/// A node, an epoch and a view in it.
type Place = (usize, u64, u64);

/// What was voted for; `None`: nothing yet.
#[derive(Default)]
struct Said {
    notarized: Option<Vec<u8>>,
    finalized: Option<Vec<u8>>,
    nullified: bool,
}

/// All that was heard.
#[derive(Clone, Default)]
pub(crate) struct Wiretap(Arc<Mutex<Heard>>);

#[derive(Default)]
struct Heard {
    said: BTreeMap<Place, Said>,
    broken: Vec<String>,
}

impl Wiretap {
    /// What broke the rules of voting so far.
    pub(crate) fn take(&self) -> Vec<String> {
        let mut heard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut heard.broken)
    }

    /// The sender, with everything that goes through it heard where it `carries` votes of the node `index`.
    pub(crate) fn listen(
        &self,
        sender: SimSender,
        index: usize,
        carries: Carries,
    ) -> SplitSender<PeerKey, deterministic::Context, impl SplitForwarder<PeerKey> + use<>> {
        let tap = self.clone();
        let forward = move |_origin: SplitOrigin, to: &Recipients<PeerKey>, message: &IoBuf| {
            if carries == Carries::Votes {
                tap.hear(index, message.clone());
            }
            Some(to.clone())
        };
        sender.split_with(forward).0
    }

    fn hear(&self, index: usize, message: IoBuf) {
        let mut heard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Ok((epoch, payload)) = mux::parse(message) else {
            heard
                .broken
                .push(format!("node {index} sends a vote of no epoch"));
            return;
        };
        let Ok(vote) = Vote::<Scheme, Digest>::decode(payload) else {
            heard
                .broken
                .push(format!("node {index} sends a vote that is none"));
            return;
        };
        let (view, proposal) = match &vote {
            Vote::Notarize(vote) => (vote.proposal.round.view(), vote.proposal.encode().to_vec()),
            Vote::Finalize(vote) => (vote.proposal.round.view(), vote.proposal.encode().to_vec()),
            Vote::Nullify(vote) => (vote.round.view(), Vec::new()),
        };
        let place = (index, epoch, view.get());
        let said = heard.said.entry(place).or_default();
        let conflict = match vote {
            Vote::Notarize(_) => {
                *said.notarized.get_or_insert_with(|| proposal.clone()) != proposal
            }
            Vote::Finalize(_) => {
                said.nullified
                    || *said.finalized.get_or_insert_with(|| proposal.clone()) != proposal
            }
            Vote::Nullify(_) => {
                said.nullified = true;
                said.finalized.is_some()
            }
        };
        if conflict {
            heard.broken.push(format!(
                "honest node {index} signs contradicting votes in epoch {epoch}, view {view}"
            ));
        }
    }
}

/// What a channel carries.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Carries {
    /// Single votes.
    Votes,
    /// Anything else.
    Others,
}
