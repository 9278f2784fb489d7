//! Commonware's resolver runs over our channels and peer sets as it is.

use std::time::Duration;

use bytes::Bytes;
use commonware_resolver::p2p::{Config, Engine, Mailbox, Producer};
use commonware_resolver::{Consumer, Delivery, Resolver as _};
use commonware_runtime::{Runner as _, Supervisor as _, tokio};
use commonware_utils::channel::{mpsc, oneshot};
use commonware_utils::sequence::U64;
use commonware_utils::{NZDuration, NZUsize};
use kumiki_network::PeerKey;

use crate::node::{Node, passive, until, within};

/// Serves one answer to every question, or none.
#[derive(Clone)]
struct Answer(Option<&'static [u8]>);

impl Producer for Answer {
    type Key = U64;

    fn produce(&mut self, _key: U64) -> oneshot::Receiver<Bytes> {
        let (sender, receiver) = oneshot::channel();
        if let Some(answer) = self.0 {
            sender.send(Bytes::from_static(answer)).unwrap();
        }
        receiver
    }
}

/// Takes only the truth.
#[derive(Clone)]
struct Reader(mpsc::UnboundedSender<Bytes>);

impl Consumer for Reader {
    type Key = U64;
    type Value = Bytes;
    type Subscriber = ();
    type Outcome = bool;

    fn deliver(&mut self, _delivery: Delivery<U64, ()>, value: Bytes) -> oneshot::Receiver<bool> {
        let (sender, receiver) = oneshot::channel();
        let valid = value.as_ref() == b"the truth";
        if valid {
            self.0.send(value).unwrap();
        }
        sender.send(valid).unwrap();
        receiver
    }
}

/// Runs a resolver over channel number 0 of `node`.
fn resolve(
    context: tokio::Context,
    node: &mut Node,
    answer: Answer,
) -> (Mailbox<U64, PeerKey, ()>, mpsc::UnboundedReceiver<Bytes>) {
    let (sender, arrived) = mpsc::unbounded_channel();
    let config = Config {
        peer_provider: node.network.oracle(),
        blocker: node.network.oracle(),
        consumer: Reader(sender),
        producer: answer,
        mailbox_size: NZUsize!(64),
        me: Some(node.key()),
        fetch_timeout: NZDuration!(Duration::from_secs(5)),
        fetch_retry_delay: Duration::from_millis(100),
        priority_requests: false,
        priority_responses: false,
    };
    let (engine, mailbox) = Engine::new(context, config);
    let channel = node.channels.remove(0);
    engine.start((channel.sender, channel.receiver));
    (mailbox, arrived)
}

#[test]
fn a_resolver_fetches_from_whoever_is_connected_and_bans_who_lies() {
    tokio::Runner::default().start(|context| async move {
        let [mut asking, mut lying, mut honest] = [1, 2, 3].map(|seed| Node::start(passive(seed)));
        let (mut resolver, mut arrived) = resolve(context.child("a"), &mut asking, Answer(None));
        let (_lying, _) = resolve(context.child("b"), &mut lying, Answer(Some(b"a lie")));
        let (_honest, _) = resolve(context.child("c"), &mut honest, Answer(Some(b"the truth")));
        // Nobody is connected yet, and none of them is a validator.
        resolver.fetch(U64::new(7));
        asking.meet(&lying).await;
        until("the liar is banned", async || {
            asking.metric("bans_total") > 0.5
        })
        .await;
        asking.meet(&honest).await;
        let value = within(arrived.recv()).await;
        assert_eq!(value.as_deref(), Some(b"the truth".as_slice()));
        assert!(asking.peer(&lying).await.is_none());
    });
}
