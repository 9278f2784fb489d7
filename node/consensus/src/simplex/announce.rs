//! Tell peers the newest finalization and take theirs: so nodes without a seat, and those that were away, follow.
//!
//! Every node passes on what is new to it, so a finalization reaches all in as many hops as the network is wide. From
//! a verified one, the engine's `marshal` fetches what is missing below it. One of an epoch whose validators are not
//! known here yet cannot be verified: it is taken as a hint that the sender has the end of this epoch.

use std::sync::Arc;
use std::time::Duration;

use commonware_actor::Feedback;
use commonware_codec::{Decode as _, Encode as _};
use commonware_consensus::Reporter;
use commonware_consensus::marshal::core::Mailbox;
use commonware_consensus::marshal::standard::Standard;
use commonware_consensus::simplex::types::{Activity, Finalization};
use commonware_consensus::types::{Height as EngineHeight, Round};
use commonware_cryptography::certificate::Provider as _;
use commonware_p2p::{Blocker, Receiver, Recipients, Sender};
use commonware_parallel::Sequential;
use commonware_utils::non_empty_vec;
use kumiki_protocol::{Parameters, limits};
use tokio::sync::watch;

use super::Environment;
use super::block::{Digest, OrderedBlock};
use super::scheme::{PeerKey, Scheme, Schemes};

/// The least time between two announcements: who follows needs the newest only.
const INTERVAL: Duration = Duration::from_millis(50);

type Newest = Option<Finalization<Scheme, Digest>>;

/// The newest finalization that this node knows.
#[derive(Clone)]
pub(crate) struct News(Arc<watch::Sender<Newest>>);

impl News {
    pub(crate) fn new() -> Self {
        Self(Arc::new(watch::channel(None).0))
    }

    /// Takes what is newer than all before, and says whether it was.
    fn take(&self, finalization: &Finalization<Scheme, Digest>) -> bool {
        self.0.send_if_modified(|newest| {
            let newer = is_newer(newest, finalization.round());
            if newer {
                *newest = Some(finalization.clone());
            }
            newer
        })
    }

    fn is_news(&self, round: Round) -> bool {
        is_newer(&self.0.borrow(), round)
    }

    fn epoch(&self) -> u64 {
        let newest = self.0.borrow();
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

/// Announces what is newest to all peers, as long as the channel lasts.
pub(crate) async fn announce<E: Environment, S: Sender<PublicKey = PeerKey>>(
    env: E,
    news: News,
    mut sender: S,
) {
    let mut newest = news.0.subscribe();
    while newest.changed().await.is_ok() {
        let encoded = newest
            .borrow_and_update()
            .as_ref()
            .map(|known| known.encode());
        if let Some(encoded) = encoded {
            sender.send(Recipients::All, encoded, true);
        }
        env.sleep(INTERVAL).await;
    }
}

/// What a listener works with.
pub(crate) struct Listener<B> {
    pub(crate) news: News,
    pub(crate) schemes: Schemes,
    pub(crate) marshal: Mailbox<Scheme, Standard<OrderedBlock>>,
    pub(crate) parameters: Parameters,
    pub(crate) blocker: B,
}

impl<B: Blocker<PublicKey = PeerKey>> Listener<B> {
    /// Takes announcements of peers, as long as the channel lasts. A peer whose announcement is malformed or does not
    /// verify is blocked: whoever passes one on has verified it.
    pub(crate) async fn listen<E: Environment, R: Receiver<PublicKey = PeerKey>>(
        mut self,
        mut env: E,
        mut receiver: R,
    ) {
        while let Ok((peer, bytes)) = receiver.recv().await {
            let Ok(finalization) =
                Finalization::<Scheme, Digest>::decode_cfg(bytes, &limits::VALIDATORS_MAX)
            else {
                commonware_p2p::block!(self.blocker, peer, "malformed finalization");
                continue;
            };
            self.take(&mut env, peer, finalization);
        }
    }

    fn take<E: Environment>(
        &mut self,
        env: &mut E,
        peer: PeerKey,
        finalization: Finalization<Scheme, Digest>,
    ) {
        if !self.news.is_news(finalization.round()) {
            return;
        }
        let epoch = finalization.proposal.round.epoch();
        let Some(scheme) = self.schemes.scheme(epoch) else {
            let known = self.schemes.newest_epoch().max(self.news.epoch());
            if epoch.get() > known {
                let last = self.parameters.last_height(known);
                self.marshal
                    .hint_finalized(EngineHeight::new(last), non_empty_vec![peer]);
            }
            return;
        };
        if !finalization.verify(env, scheme.as_ref(), &Sequential) {
            commonware_p2p::block!(self.blocker, peer, "finalization does not verify");
            return;
        }
        if self.news.take(&finalization) {
            self.marshal.report(Activity::Finalization(finalization));
        }
    }
}
