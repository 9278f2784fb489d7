//! Messages arrive in order, from who they say, or are dropped as their channel says.

use std::num::NonZeroU32;
use std::time::Duration;

use commonware_actor::{Feedback, Unreliable};
use commonware_p2p::{
    CheckedSender as _, LimitedSender as _, Manager as _, Recipients, Sender as _, TrackedPeers,
};
use kumiki_network::{Audience, ChannelSpec, WhenFull};

use crate::node::{Node, VOTE_BYTES_MAX, channel, passive, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_arrive_in_order_with_the_key_of_their_sender() {
    let (mut a, mut b) = (Node::start(passive(1)), Node::start(passive(2)));
    a.meet(&b).await;
    for number in 0..1_000 {
        assert!(a.send(&b.key(), &number.to_string()));
    }
    for number in 0..1_000 {
        let (sender, message) = b.receive(0).await;
        assert_eq!(sender, a.key());
        assert_eq!(message, number.to_string().as_bytes());
    }
    assert!(b.send(&a.key(), "an answer"));
    assert_eq!(a.receive(0).await, (b.key(), b"an answer".to_vec()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_goes_to_connected_recipients_only_and_never_to_oneself() {
    let (mut a, mut b) = (Node::start(passive(1)), Node::start(passive(2)));
    let stranger = Node::start(passive(3));
    a.meet(&b).await;
    let (own, other, stranger) = (a.key(), b.key(), stranger.key());
    let sender = &mut a.channels.first_mut().unwrap().sender;
    let only_other = [other.clone()];
    let named = Recipients::Some(vec![own.clone(), other, stranger.clone()]);
    for recipients in [Recipients::All, named] {
        let checked = sender.check(recipients).unwrap();
        assert_eq!(checked.recipients(), only_other);
        let sent = checked.send(b"to all".to_vec(), false);
        assert_eq!(sent, Unreliable::Outcome(Feedback::Ok));
    }
    for nobody in [own.clone(), stranger] {
        let checked = sender.check(Recipients::One(nobody)).unwrap();
        assert!(checked.recipients().is_empty());
        assert!(checked.send(b"to nobody".to_vec(), false).is_rejected());
    }
    let long = vec![0; VOTE_BYTES_MAX as usize + 1];
    assert!(sender.send(Recipients::All, long, false).is_empty());
    for _ in 0..2 {
        assert_eq!(b.receive(0).await, (own.clone(), b"to all".to_vec()));
    }
}

/// A channel whose receiver is a bottleneck: about a megabyte is on the way when it does not read.
fn narrow(when_full: WhenFull) -> ChannelSpec {
    ChannelSpec {
        outbound_queue: 4,
        inbound_queue: 1,
        when_full,
        ..channel("narrow")
    }
}

/// Sends 200 large numbered messages to `b`, which does not read, and to `c`, which does. Returns what `b` gets later.
async fn overflow(when_full: WhenFull) -> (Vec<u8>, f64) {
    let start = |seed| Node::with_channels(passive(seed), vec![narrow(when_full)]);
    let (mut a, mut b, mut c) = (start(1), start(2), start(3));
    a.meet(&b).await;
    a.meet(&c).await;
    let (slow, quick) = (b.key(), c.key());
    for number in 0..200_u8 {
        let message = vec![number; VOTE_BYTES_MAX as usize];
        let sender = &mut a.channels.first_mut().unwrap().sender;
        sender.send(Recipients::One(slow.clone()), message.clone(), false);
        // The quick one gets each message although the slow one's queue is full.
        sender.send(Recipients::One(quick.clone()), message, false);
        let (_, got) = c.receive(0).await;
        assert_eq!(got.first(), Some(&number));
    }
    let dropped = a.metric("channel_dropped_total{name=\"narrow\"}");
    let mut numbers: Vec<u8> = Vec::new();
    while f64::from(u8::try_from(numbers.len()).unwrap()) + dropped < 200.0 {
        let (_, message) = b.receive(0).await;
        assert_eq!(message.len(), VOTE_BYTES_MAX as usize);
        numbers.extend(message.first());
    }
    assert!(numbers.is_sorted());
    (numbers, dropped)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_queue_drops_the_newest_and_others_do_not_notice() {
    let (numbers, dropped) = overflow(WhenFull::DropNewest).await;
    assert!(dropped > 0.0);
    // What was taken first is served: no gap in front.
    let first: Vec<u8> = (0..5).collect();
    assert_eq!(numbers.get(..5), Some(first.as_slice()));
    assert_ne!(numbers.last(), Some(&199));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_queue_drops_the_oldest_and_the_newest_arrive() {
    let (numbers, dropped) = overflow(WhenFull::DropOldest).await;
    assert!(dropped > 0.0);
    assert_eq!(
        numbers.get(numbers.len() - 4..),
        Some([196, 197, 198, 199].as_slice())
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn votes_pass_a_channel_that_is_stuck() {
    let specs = || vec![channel("blocks"), channel("votes")];
    let mut a = Node::with_channels(passive(1), specs());
    let mut b = Node::with_channels(passive(2), specs());
    a.meet(&b).await;
    // Nobody reads the blocks: they fill every window on the way.
    let blocks = &mut a.channels.first_mut().unwrap().sender;
    for _ in 0..500 {
        let block = vec![0; VOTE_BYTES_MAX as usize];
        assert!(!blocks.send(Recipients::All, block, false).is_empty());
    }
    let votes = &mut a.channels.last_mut().unwrap().sender;
    votes.send(Recipients::All, b"a vote".to_vec(), true);
    assert_eq!(b.receive(1).await, (a.key(), b"a vote".to_vec()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_quota_says_when_a_message_may_be_sent() {
    let mut spec = channel("rare");
    spec.quota.messages_per_second = NonZeroU32::new(2).unwrap();
    let mut a = Node::with_channels(passive(1), vec![spec.clone()]);
    let b = Node::with_channels(passive(2), vec![spec]);
    a.meet(&b).await;
    let sender = &mut a.channels.first_mut().unwrap().sender;
    for _ in 0..2 {
        sender.check(Recipients::All).unwrap();
    }
    let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap();
    let again = sender.check(Recipients::All).err().unwrap();
    let again = again.duration_since(std::time::UNIX_EPOCH).unwrap();
    assert!(again <= now + Duration::from_secs(1), "{again:?} {now:?}");
    until("the quota is back", async || {
        let mut sender = sender.clone();
        sender.check(Recipients::All).is_ok()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_channel_of_validators_is_theirs_alone() {
    let [mut a, mut b, mut c] = [1, 2, 3].map(among_validators);
    a.meet(&b).await;
    c.meet(&b).await;
    let validators = commonware_utils::ordered::Set::from_iter_dedup([a.key(), b.key()]);
    a.network.oracle().track(0, validators.clone());
    b.network.oracle().track(0, validators);
    // Everyone is a validator in the eyes of the outsider, who therefore sends.
    let everyone = [a.key(), b.key(), c.key()];
    let everyone = commonware_utils::ordered::Set::from_iter_dedup(everyone);
    c.network.oracle().track(0, everyone);
    let validator = b.key();
    until("the outsider's message is there", async || {
        c.send(&validator, "an outsider")
            && b.metric("channel_received_total{name=\"votes\"}") > 0.0
    })
    .await;
    assert!(a.send(&validator, "a validator"));
    assert_eq!(b.receive(0).await, (a.key(), b"a validator".to_vec()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_tracked_may_send_and_is_heard_at_once() {
    let [mut a, mut b] = [1, 2].map(among_validators);
    a.meet(&b).await;
    for set in 0..100 {
        let secondary = commonware_utils::ordered::Set::from_iter_dedup([a.key(), b.key()]);
        // The first sets have no validators: nobody may send before the last one.
        a.network
            .oracle()
            .track(set, TrackedPeers::new(<_>::default(), secondary.clone()));
        b.network
            .oracle()
            .track(set, TrackedPeers::new(<_>::default(), secondary));
    }
    assert!(!a.send(&b.key(), "nobody is a validator"));
    let validators = commonware_utils::ordered::Set::from_iter_dedup([a.key(), b.key()]);
    b.network.oracle().track(100, validators.clone());
    a.network.oracle().track(100, validators);
    assert!(a.send(&b.key(), "at once"));
    assert_eq!(b.receive(0).await, (a.key(), b"at once".to_vec()));
}

/// A node with one channel, of validators alone.
fn among_validators(seed: u8) -> Node {
    let spec = ChannelSpec {
        audience: Audience::Primary,
        ..channel("votes")
    };
    Node::with_channels(passive(seed), vec![spec])
}
