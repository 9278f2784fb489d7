//! Keep a key from voting twice: before a node votes for the first time, it asks the others what they have heard from it.
//!
//! The engine's journal holds every vote before it is sent, so with the newest journal a restart repeats nothing. With
//! an older one (a folder restored from a copy, or a copy that runs elsewhere) it would. Every validator remembers the
//! newest vote of each other one; a node that starts asks for its own, and votes at once only where a quorum, itself
//! counted, has heard nothing newer than its journal has. Otherwise it follows without voting until the views that it
//! may have voted in are decided, and until nobody has heard of its key for a while: another process may be using it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use commonware_actor::Feedback;
use commonware_consensus::Reporter;
use commonware_consensus::simplex::types::{Activity, Artifact, Attributable as _, Vote};
use commonware_consensus::types::{Participant, Round};
use commonware_cryptography::certificate::{Scheme as _, Verifier as _};
use commonware_parallel::Sequential;
use commonware_runtime::ReadOptions;
use commonware_runtime::buffer::paged::CacheRef;
use commonware_storage::journal::segmented::variable::{Config, Journal};

use super::announce::News;
use super::block::Digest;
use super::scheme::{PeerKey, Scheme};
use super::{BUFFER_BYTES, Environment};

/// Between two rounds of questions.
const ASK: Duration = Duration::from_millis(500);
/// So long nobody may have heard a new vote of a key whose journal is old, before it votes again.
const QUIET: Duration = Duration::from_secs(10);

type AnyVote = Vote<Scheme, Digest>;

/// The newest vote of each validator that this node has heard.
#[derive(Clone, Default)]
pub(crate) struct Heard(Arc<Mutex<BTreeMap<(u64, Participant), AnyVote>>>);

impl Heard {
    /// The newest vote of a validator in an epoch.
    pub(crate) fn of(&self, epoch: u64, validator: Participant) -> Option<AnyVote> {
        let heard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        heard.get(&(epoch, validator)).cloned()
    }

    fn note(&self, vote: AnyVote) {
        let round = round_of(&vote);
        let key = (round.epoch().get(), signer_of(&vote));
        let mut heard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if heard.get(&key).is_none_or(|known| round_of(known) <= round) {
            heard.insert(key, vote);
        }
        // Epochs that are over: nobody can vote in them any more.
        let oldest = round.epoch().get().saturating_sub(1);
        heard.retain(|(epoch, _), _| *epoch >= oldest);
    }
}

impl Reporter for Heard {
    type Activity = Activity<Scheme, Digest>;

    fn report(&mut self, activity: Self::Activity) -> Feedback {
        match activity {
            Activity::Notarize(vote) => self.note(Vote::Notarize(vote)),
            Activity::Nullify(vote) => self.note(Vote::Nullify(vote)),
            Activity::Finalize(vote) => self.note(Vote::Finalize(vote)),
            _ => {}
        }
        Feedback::Ok
    }
}

fn round_of(vote: &AnyVote) -> Round {
    match vote {
        Vote::Notarize(vote) => vote.proposal.round,
        Vote::Nullify(vote) => vote.round,
        Vote::Finalize(vote) => vote.proposal.round,
    }
}

fn signer_of(vote: &AnyVote) -> Participant {
    match vote {
        Vote::Notarize(vote) => vote.signer(),
        Vote::Nullify(vote) => vote.signer(),
        Vote::Finalize(vote) => vote.signer(),
    }
}

/// What other validators have heard from this node's key: the round of the newest vote, by validator.
#[derive(Clone, Default)]
pub(crate) struct Answers(Arc<Mutex<BTreeMap<PeerKey, Option<Round>>>>);

impl Answers {
    /// Takes an answer of `peer`. A vote that is not this node's own counts as none.
    pub(crate) fn take<E: Environment>(
        &self,
        env: &mut E,
        scheme: &Scheme,
        peer: PeerKey,
        vote: Option<AnyVote>,
    ) {
        let me = scheme.me().and_then(|me| me.signer());
        let own = vote.filter(|vote| Some(signer_of(vote)) == me && verify(env, scheme, vote));
        let round = own.as_ref().map(round_of);
        let mut answers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = answers.entry(peer).or_default();
        *known = round.max(*known);
    }

    fn newest(&self) -> Option<Round> {
        let answers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        answers.values().copied().max().flatten()
    }

    fn count(&self) -> usize {
        let answers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        answers.len()
    }
}

fn verify<E: Environment>(env: &mut E, scheme: &Scheme, vote: &AnyVote) -> bool {
    match vote {
        Vote::Notarize(vote) => vote.verify(env, scheme, &Sequential),
        Vote::Nullify(vote) => vote.verify::<_, Digest>(env, scheme, &Sequential),
        Vote::Finalize(vote) => vote.verify(env, scheme, &Sequential),
    }
}

/// The round of the newest vote of `scheme`'s own key in the journal in `partition`.
pub(crate) async fn newest_own_vote<E: Environment>(
    env: &E,
    scheme: &Scheme,
    partition: String,
    pages: &CacheRef,
) -> Option<Round> {
    let journal = Journal::<_, Artifact<Scheme, Digest>>::init(
        env.child("guard_journal"),
        Config {
            partition,
            compression: None,
            codec_config: scheme.certificate_codec_config(),
            page_cache: pages.clone(),
            write_buffer: BUFFER_BYTES,
        },
    )
    .await
    .expect("the journal of votes opens");
    let mut replay = journal
        .replay(0, 0, BUFFER_BYTES, ReadOptions::DONT_CACHE)
        .await
        .expect("the journal of votes can be read");
    let mut newest = None;
    while let Some(entry) = replay.next().await {
        let (_, _, _, artifact) = entry.expect("the journal of votes can be read");
        let own = match artifact {
            Artifact::Notarize(vote) => Some(Vote::Notarize(vote)),
            Artifact::Nullify(vote) => Some(Vote::Nullify(vote)),
            Artifact::Finalize(vote) => Some(Vote::Finalize(vote)),
            _ => None,
        };
        newest = own.as_ref().map(round_of).max(newest);
    }
    newest
}

/// What the guard of one epoch works with.
pub(crate) struct Guard<'a> {
    pub(crate) answers: &'a Answers,
    pub(crate) news: &'a News,
    /// Answers that are needed.
    pub(crate) quorum: usize,
    /// The newest round that this node knows to have voted in, or that is decided.
    pub(crate) known: Round,
}

impl Guard<'_> {
    /// Waits until it is safe to vote, calling `ask` again and again. Says whether the journal was found to be old.
    pub(crate) async fn wait<E: Environment>(&self, env: &E, mut ask: impl FnMut()) -> bool {
        while self.answers.count() < self.quorum {
            ask();
            env.sleep(ASK).await;
        }
        let Some(mut heard) = self.answers.newest().filter(|heard| *heard > self.known) else {
            return false;
        };
        tracing::error!(
            heard = %heard, known = %self.known,
            "others have heard votes of this node's key that its journal does not have: the folder is an old copy, or \
             another process uses the key; this node follows without voting until it is safe"
        );
        let mut quiet_since = env.current();
        loop {
            ask();
            env.sleep(ASK).await;
            if let Some(newer) = self.answers.newest().filter(|newer| *newer > heard) {
                heard = newer;
                quiet_since = env.current();
            }
            let quiet = env
                .current()
                .duration_since(quiet_since)
                .unwrap_or_default();
            if quiet >= QUIET && !self.news.is_news(heard) {
                tracing::warn!(
                    "every view that this node may have voted in is decided: it votes again"
                );
                return true;
            }
        }
    }
}
