//! Tell peers the newest finalization and take theirs: so nodes without a seat, and those that were away, follow.
//!
//! Every node passes on what is new to it, so a finalization reaches all in as many hops as the network is wide. From
//! a verified one, the engine's `marshal` fetches what is missing below it. One of an epoch whose validators are not
//! known here yet cannot be verified: it is taken as a hint that the sender has the end of this epoch.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use commonware_actor::Feedback;
use commonware_codec::{Decode as _, Encode};
use commonware_consensus::Reporter;
use commonware_consensus::marshal::core::Mailbox;
use commonware_consensus::marshal::standard::Standard;
use commonware_consensus::simplex::types::{Activity, Finalization, Vote};
use commonware_consensus::types::{Epoch, Height as EngineHeight, Round};
use commonware_cryptography::certificate::{Provider as _, Scheme as _};
use commonware_p2p::{Blocker, Receiver, Recipients, Sender};
use commonware_parallel::Sequential;
use commonware_utils::non_empty_vec;
use commonware_utils::ordered::Quorum as _;
use kumiki_protocol::{Parameters, limits};
use tokio::sync::watch;

use super::Environment;
use super::block::{Digest, OrderedBlock};
use super::guard::{Answers, Heard};
use super::progress::Progress;
use super::scheme::{PeerKey, Scheme, Schemes};

/// The least time between two announcements: who follows needs the newest only.
const INTERVAL: Duration = Duration::from_millis(50);
/// Where nothing new comes for so long, the newest is told again: whoever missed it may be the one that is waited for,
/// and nobody else tells it once the epoch of that finalization is over.
const REPEAT: Duration = Duration::from_secs(2);

type Newest = Option<Finalization<Scheme, Digest>>;

/// The newest finalization that this node knows.
#[derive(Clone)]
pub(crate) struct News {
    newest: Arc<watch::Sender<Newest>>,
    progress: Progress,
}

impl News {
    pub(crate) fn new(progress: Progress) -> Self {
        Self {
            newest: Arc::new(watch::channel(None).0),
            progress,
        }
    }

    /// Takes what is newer than all before, and says whether it was.
    pub(crate) fn take(&self, finalization: &Finalization<Scheme, Digest>) -> bool {
        let is_news = self.newest.send_if_modified(|newest| {
            let newer = is_newer(newest, finalization.round());
            if newer {
                *newest = Some(finalization.clone());
            }
            newer
        });
        if is_news {
            self.progress.announced(finalization.round());
        }
        is_news
    }

    /// The newest of all.
    pub(crate) fn newest(&self) -> Newest {
        self.newest.borrow().clone()
    }

    pub(crate) fn is_news(&self, round: Round) -> bool {
        is_newer(&self.newest.borrow(), round)
    }

    fn epoch(&self) -> u64 {
        let newest = self.newest.borrow();
        newest
            .as_ref()
            .map_or(0, |known| known.proposal.round.epoch().get())
    }
}

fn is_newer(newest: &Newest, round: Round) -> bool {
    newest.as_ref().is_none_or(|known| known.round() < round)
}

/// Hears of this node's own finalizations.
impl Reporter for News {
    type Activity = Activity<Scheme, Digest>;

    fn report(&mut self, activity: Self::Activity) -> Feedback {
        if let Activity::Finalization(finalization) = activity {
            self.take(&finalization);
        }
        Feedback::Ok
    }
}

/// What travels: one byte that says what, and that.
const FINALIZATION: u8 = 0;
const QUESTION: u8 = 1;
const ANSWER: u8 = 2;

/// Asks all validators for the newest vote that they have heard from this node.
pub(crate) fn ask<S: Sender<PublicKey = PeerKey>>(sender: &mut S) {
    sender.send(Recipients::All, Bytes::from_static(&[QUESTION]), true);
}

/// Announces what is newest to all peers, and again where nothing follows, as long as the channel lasts.
pub(crate) async fn announce<E: Environment, S: Sender<PublicKey = PeerKey>>(
    env: E,
    news: News,
    mut sender: S,
) {
    let mut newest = news.newest.subscribe();
    loop {
        tokio::select! {
            biased;
            changed = newest.changed() => if changed.is_err() {
                return;
            },
            () = env.sleep(REPEAT) => {}
        }
        let encoded = newest
            .borrow_and_update()
            .as_ref()
            .map(|known| tagged(FINALIZATION, known));
        if let Some(encoded) = encoded {
            sender.send(Recipients::All, encoded, true);
        }
        env.sleep(INTERVAL).await;
    }
}

fn tagged(tag: u8, message: &impl Encode) -> Bytes {
    let mut bytes = vec![tag];
    bytes.extend_from_slice(&message.encode());
    bytes.into()
}

/// What a listener works with.
pub(crate) struct Listener<B, S> {
    pub(crate) heard: Heard,
    pub(crate) answers: Answers,
    pub(crate) sender: S,
    pub(crate) news: News,
    pub(crate) schemes: Schemes,
    pub(crate) marshal: Mailbox<Scheme, Standard<OrderedBlock>>,
    pub(crate) parameters: Parameters,
    pub(crate) blocker: B,
}

impl<B, S> Listener<B, S>
where
    B: Blocker<PublicKey = PeerKey>,
    S: Sender<PublicKey = PeerKey>,
{
    /// Takes announcements of peers, as long as the channel lasts. A peer whose announcement is malformed or does not
    /// verify is blocked: whoever passes one on has verified it.
    pub(crate) async fn listen<E: Environment, R: Receiver<PublicKey = PeerKey>>(
        mut self,
        mut env: E,
        mut receiver: R,
    ) {
        while let Ok((peer, bytes)) = receiver.recv().await {
            let (tag, rest) = match bytes.as_ref().split_first() {
                Some((tag, rest)) => (*tag, Bytes::copy_from_slice(rest)),
                None => (u8::MAX, Bytes::new()),
            };
            let sound = match tag {
                FINALIZATION => self.hear_finalization(&mut env, &peer, rest),
                QUESTION if rest.is_empty() => {
                    self.answer(&peer);
                    true
                }
                ANSWER => self.hear_answer(&mut env, &peer, rest),
                _ => false,
            };
            if !sound {
                commonware_p2p::block!(self.blocker, peer, "malformed or false news");
            }
        }
    }

    /// Tells a validator the newest vote that was heard from it.
    fn answer(&mut self, peer: &PeerKey) {
        let epoch = self.schemes.newest_epoch();
        let scheme = self.schemes.scheme(Epoch::new(epoch));
        let Some(validator) = scheme.and_then(|scheme| scheme.participants().index(peer)) else {
            return;
        };
        let heard = self.heard.of(epoch, validator);
        let message = tagged(ANSWER, &heard);
        self.sender
            .send(Recipients::One(peer.clone()), message, true);
    }

    fn hear_answer<E: Environment>(&self, env: &mut E, peer: &PeerKey, bytes: Bytes) -> bool {
        let Ok(vote) = Option::<Vote<Scheme, Digest>>::decode_cfg(bytes, &()) else {
            return false;
        };
        let epoch = Epoch::new(self.schemes.newest_epoch());
        // What others than validators say does not count.
        if let Some(scheme) = self.schemes.scheme(epoch)
            && scheme.participants().index(peer).is_some()
        {
            self.answers.take(env, &scheme, peer.clone(), vote);
        }
        true
    }

    fn hear_finalization<E: Environment>(
        &mut self,
        env: &mut E,
        peer: &PeerKey,
        bytes: Bytes,
    ) -> bool {
        Finalization::<Scheme, Digest>::decode_cfg(bytes, &limits::VALIDATORS_MAX)
            .is_ok_and(|finalization| self.take(env, peer.clone(), finalization))
    }

    fn take<E: Environment>(
        &mut self,
        env: &mut E,
        peer: PeerKey,
        finalization: Finalization<Scheme, Digest>,
    ) -> bool {
        if !self.news.is_news(finalization.round()) {
            return true;
        }
        let epoch = finalization.proposal.round.epoch();
        let Some(scheme) = self.schemes.scheme(epoch) else {
            let known = self.schemes.newest_epoch().max(self.news.epoch());
            if epoch.get() > known {
                let last = self.parameters.last_height(known);
                self.marshal
                    .hint_finalized(EngineHeight::new(last), non_empty_vec![peer]);
            }
            return true;
        };
        if !finalization.verify(env, scheme.as_ref(), &Sequential) {
            return false;
        }
        if self.news.take(&finalization) {
            self.marshal.report(Activity::Finalization(finalization));
        }
        true
    }
}
