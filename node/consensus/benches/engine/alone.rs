//! The engine alone: it agrees on one digest per view, and nothing is behind a digest.

use std::time::Duration;

use commonware_actor::Feedback;
use commonware_consensus::simplex::config::{ForwardPolicy, SkipBudget, SkipPolicy};
use commonware_consensus::simplex::elector::RoundRobin;
use commonware_consensus::simplex::types::{Activity, Context};
use commonware_consensus::simplex::{self, Floor, Plan};
use commonware_consensus::types::{Epoch, Round, ViewDelta};
use commonware_consensus::{Automaton, CertifiableAutomaton, Relay, Reporter};
use commonware_cryptography::Sha256;
use commonware_parallel::Sequential;
use commonware_runtime::buffer::paged::CacheRef;
use commonware_runtime::{Supervisor as _, tokio};
use commonware_utils::NonZeroDuration;
use commonware_utils::channel::oneshot;
use kumiki_consensus::simplex::{Digest, PeerKey, Scheme, digest_of, participants};
use kumiki_protocol::{Hash, SecretKey, ValidatorSet};

use crate::{Heights, PATIENCE, wire};

/// Says yes to everything.
#[derive(Clone)]
struct Nothing(Heights);

impl Automaton for Nothing {
    type Context = Context<Digest, PeerKey>;
    type Digest = Digest;

    async fn propose(&mut self, context: Self::Context) -> oneshot::Receiver<Digest> {
        let mut digest = Hash::ZERO;
        let view = context.round.view().get().to_be_bytes();
        digest.0[..view.len()].copy_from_slice(&view);
        answered(digest_of(&digest))
    }

    async fn verify(
        &mut self,
        _context: Self::Context,
        _digest: Digest,
    ) -> oneshot::Receiver<bool> {
        answered(true)
    }
}

impl CertifiableAutomaton for Nothing {
    async fn certify(&mut self, _round: Round, _digest: Digest) -> oneshot::Receiver<bool> {
        answered(true)
    }
}

impl Relay for Nothing {
    type Digest = Digest;
    type PublicKey = PeerKey;
    type Plan = Plan<PeerKey>;

    fn broadcast(&mut self, _digest: Digest, _plan: Self::Plan) -> Feedback {
        Feedback::Ok
    }
}

impl Reporter for Nothing {
    type Activity = Activity<Scheme, Digest>;

    fn report(&mut self, activity: Self::Activity) -> Feedback {
        if let Activity::Finalization(finalization) = activity {
            let view = finalization.proposal.round.view().get();
            self.0.send_if_modified(|height| {
                let rises = view > *height;
                *height = view.max(*height);
                rises
            });
        }
        Feedback::Ok
    }
}

fn answered<T>(answer: T) -> oneshot::Receiver<T> {
    let (sender, receiver) = oneshot::channel();
    drop(sender.send(answer));
    receiver
}

pub(crate) fn start(env: &tokio::Context, keys: &[SecretKey], heights: &Heights) {
    let set = ValidatorSet::new(keys.iter().map(SecretKey::public_key).collect()).unwrap();
    for own in 0..keys.len() {
        let env = env.child("validator").with_attribute("number", own);
        let (oracle, [votes, certificates, views]) = wire::join(&env, keys, own);
        let nothing = Nothing(heights.clone());
        let pages = CacheRef::new(
            std::num::NonZeroU16::new(4_096).unwrap(),
            std::num::NonZeroUsize::new(2_048).unwrap(),
        );
        let buffer = std::num::NonZeroUsize::new(256 * 1_024).unwrap();
        let engine = simplex::Engine::new(
            env.child("engine"),
            simplex::Config {
                scheme: kumiki_consensus::simplex::scheme(
                    &Hash::ZERO,
                    participants(&set).unwrap(),
                    &keys[own],
                ),
                elector: RoundRobin::<Sha256>::default(),
                blocker: oracle,
                automaton: nothing.clone(),
                relay: nothing.clone(),
                reporter: nothing,
                track_historical_votes: true,
                strategy: Sequential,
                partition: format!("votes-{own}"),
                mailbox_size: std::num::NonZeroUsize::new(1_024).unwrap(),
                epoch: Epoch::zero(),
                floor: Floor::Genesis(digest_of(&Hash::ZERO)),
                replay_buffer: buffer,
                write_buffer: buffer,
                page_cache: pages,
                leader_timeout: PATIENCE,
                certification_timeout: PATIENCE * 2,
                timeout_retry: PATIENCE,
                view_retention: ViewDelta::new(256),
                skip: SkipPolicy::Enabled {
                    timeout: PATIENCE * 8,
                    budget: SkipBudget::Participants,
                },
                fetch_timeout: NonZeroDuration::new_panic(PATIENCE),
                fetch_retry_delay: Duration::from_millis(100),
                forward: ForwardPolicy::SilentLeader,
            },
        );
        drop(engine.start(votes, certificates, views));
    }
}
