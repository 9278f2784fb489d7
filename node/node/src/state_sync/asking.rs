//! Ask peers over the channel, and take each answer to where it is waited for.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use commonware_p2p::Receiver as _;
use kumiki_network::{ChannelReceiver, ChannelSender, Network, PeerKey};
use kumiki_protocol::decode_bounded;
use tokio::sync::oneshot;

use super::{Answer, BAN, MESSAGE_BYTES_MAX, Message, Request, send};

/// How long a peer may take to answer.
const PATIENCE: Duration = Duration::from_secs(20);

/// By number, who was asked and where the answer goes.
type Waiting = BTreeMap<u64, (PeerKey, oneshot::Sender<Answer>)>;

/// Questions that wait for their answers.
#[derive(Clone)]
pub(super) struct Asking {
    sender: ChannelSender,
    waiting: Arc<Mutex<Waiting>>,
    number: Arc<AtomicU64>,
}

impl Asking {
    pub(super) fn over(sender: ChannelSender) -> Self {
        Self {
            sender,
            waiting: Arc::default(),
            number: Arc::default(),
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks `peer`; `None` where it does not answer in time.
    pub(super) async fn ask(&self, peer: &PeerKey, request: Request) -> Option<Answer> {
        let number = self.number.fetch_add(1, Ordering::Relaxed);
        let (sender, answer) = oneshot::channel();
        self.waiting().insert(number, (peer.clone(), sender));
        send(
            &mut self.sender.clone(),
            peer.clone(),
            &Message::Ask(number, request),
        );
        let answer = tokio::time::timeout(PATIENCE, answer).await;
        self.waiting().remove(&number);
        answer.ok()?.ok()
    }
}

/// Takes answers to where they are waited for, until the network ends.
pub(super) async fn listen(receiver: &mut ChannelReceiver, asking: &Asking, network: &Network) {
    while let Ok((peer, bytes)) = receiver.recv().await {
        match decode_bounded(bytes.as_ref(), MESSAGE_BYTES_MAX) {
            Ok(Message::Tell(number, answer)) => {
                let mut waiting = asking.waiting();
                if waiting
                    .get(&number)
                    .is_some_and(|(asked, _)| *asked == peer)
                    && let Some((_, sender)) = waiting.remove(&number)
                {
                    drop(sender.send(answer));
                }
            }
            // This node has nothing to give yet.
            Ok(Message::Ask(number, _)) => {
                let mut sender = asking.sender.clone();
                send(&mut sender, peer, &Message::Tell(number, Answer::Nothing));
            }
            Err(_malformed) => drop(network.ban(&peer, BAN)),
        }
    }
}
