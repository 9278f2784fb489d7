//! Divide the channels of the engine by epochs, the next one open early.
//!
//! Validators enter an epoch when each has stored the last block before it, the first leader perhaps before the
//! others. It says its vote once. A message for an epoch that nobody listens to is lost, and with this one the whole
//! view; so each node listens to the epoch after its own, and reads what came when it gets there. What may wait is
//! bounded by the capacity of the channel; only the newest set of validators can send it.

use commonware_p2p::utils::mux::{MuxHandle, Muxer, SubReceiver, SubSender};
use commonware_p2p::{Receiver, Sender};
use commonware_runtime::Handle;

use super::scheme::PeerKey;
use super::{Channel, Environment};

/// One epoch's part of a channel.
pub(super) type Part<S> = (SubSender<S>, SubReceiver<PeerKey>);

/// The parts of the engine's channels that belong to one epoch.
pub(super) struct EpochChannels<S: Sender<PublicKey = PeerKey>> {
    pub(super) votes: Part<S>,
    pub(super) certificates: Part<S>,
    pub(super) views: Part<S>,
}

/// The engine's channels.
pub(super) struct ByEpoch<S: Sender<PublicKey = PeerKey>> {
    votes: MuxHandle<S>,
    certificates: MuxHandle<S>,
    views: MuxHandle<S>,
    /// The epoch that comes next, and its parts.
    next: Option<(u64, EpochChannels<S>)>,
}

impl<S: Sender<PublicKey = PeerKey>> ByEpoch<S> {
    /// Starts dividing votes, certificates, and views.
    pub(super) fn start<E, R>(
        env: &E,
        [votes, certificates, views]: [Channel<S, R>; 3],
        tasks: &mut Vec<Handle<()>>,
    ) -> Self
    where
        E: Environment,
        R: Receiver<PublicKey = PeerKey>,
    {
        Self {
            votes: divide(env, "votes", votes, tasks),
            certificates: divide(env, "certificates", certificates, tasks),
            views: divide(env, "views", views, tasks),
            next: None,
        }
    }

    /// The parts of `epoch`, with what has come for it if it is the one after the last that was asked for. `None`:
    /// the network has ended.
    pub(super) async fn enter(&mut self, epoch: u64) -> Option<EpochChannels<S>> {
        let waiting = self.next.take().filter(|(waiting, _)| *waiting == epoch);
        let entered = match waiting {
            Some((_, channels)) => channels,
            None => self.open(epoch).await?,
        };
        let next = epoch.saturating_add(1);
        self.next = Some((next, self.open(next).await?));
        Some(entered)
    }

    async fn open(&mut self, epoch: u64) -> Option<EpochChannels<S>> {
        Some(EpochChannels {
            votes: self.votes.register(epoch).await.ok()?,
            certificates: self.certificates.register(epoch).await.ok()?,
            views: self.views.register(epoch).await.ok()?,
        })
    }
}

fn divide<E, S, R>(
    env: &E,
    name: &'static str,
    (sender, receiver): Channel<S, R>,
    tasks: &mut Vec<Handle<()>>,
) -> MuxHandle<S>
where
    E: Environment,
    S: Sender<PublicKey = PeerKey>,
    R: Receiver<PublicKey = PeerKey>,
{
    let (mux, handle) = Muxer::new(env.child(name), sender, receiver);
    let running = mux.start();
    tasks.push(env.child("mux").spawn(move |_env| async move {
        // A channel that ended has said so where it ended.
        drop(running.await);
    }));
    handle
}
