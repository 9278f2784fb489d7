//! The caps on bandwidth hold.

use std::num::NonZeroU64;

use commonware_p2p::{Recipients, Sender as _};
use tokio::time::Instant;

use crate::node::{Node, VOTE_BYTES_MAX, passive};

const CAP: u64 = 1_000_000;
const MESSAGES: u64 = 48;

/// Sends 3 MB from one node to another, and says how fast they went, in parts of the cap.
async fn speed(mut a: Node, mut b: Node) -> f64 {
    a.meet(&b).await;
    let before = a.metric("sent_bytes_total");
    let start = Instant::now();
    let sender = &mut a.channels.first_mut().unwrap().sender;
    for _ in 0..MESSAGES {
        let message = vec![0; VOTE_BYTES_MAX as usize];
        assert!(!sender.send(Recipients::All, message, false).is_empty());
    }
    for _ in 0..MESSAGES {
        b.receive(0).await;
    }
    let seconds = start.elapsed().as_secs_f64();
    let bytes = a.metric("sent_bytes_total") - before;
    assert!(bytes >= 3_000_000.0);
    let cap = 1_000_000.0;
    bytes / seconds / cap
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn uploads_stay_within_the_cap() {
    let mut capped = passive(1);
    capped.limits.upload_bytes_per_second = NonZeroU64::new(CAP);
    let speed = speed(Node::start(capped), Node::start(passive(2))).await;
    assert!(speed < 1.1, "{speed}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn downloads_stay_within_the_cap() {
    let mut capped = passive(2);
    capped.limits.download_bytes_per_second = NonZeroU64::new(CAP);
    let speed = speed(Node::start(passive(1)), Node::start(capped)).await;
    // What the windows and buffers of the connection hold has left the sender, not arrived.
    assert!(speed < 1.1, "{speed}");
}
