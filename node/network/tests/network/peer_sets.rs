//! Consensus sees who is connected and blocked, with indices that rise.

use commonware_p2p::{Blocker as _, Manager as _, Provider as _};
use commonware_utils::ordered::Set;

use crate::node::{Node, passive, until, within};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connected_peers_become_secondary_and_leave_again() {
    let (a, b) = (Node::start(passive(1)), Node::start(passive(2)));
    let mut oracle = a.network.oracle();
    let validators = Set::from_iter_dedup([a.key()]);
    oracle.track(5, validators.clone());
    let mut updates = within(oracle.subscribe()).await;
    let mut last = within(updates.recv()).await.unwrap();
    assert_eq!(last.latest.primary, validators);
    a.meet(&b).await;
    for there in [true, false] {
        if !there {
            b.network.shutdown().await;
        }
        loop {
            let update = within(updates.recv()).await.unwrap();
            assert!(update.index > last.index);
            assert_eq!(update.latest.primary, validators);
            last = update;
            if last.latest.secondary.position(&b.key()).is_some() == there {
                break;
            }
        }
    }
    assert_eq!(within(oracle.peer_set(last.index)).await, Some(last.latest));
    assert_eq!(
        within(oracle.peer_set(5)).await.unwrap().primary,
        validators
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_blocked_peer_is_gone_until_it_is_let_in_again() {
    let (a, b) = (Node::start(passive(1)), Node::start(passive(2)));
    let mut oracle = a.network.oracle();
    let mut blocked = oracle.blocked();
    assert_eq!(within(blocked.recv()).await, Some(Set::default()));
    a.meet(&b).await;
    oracle.block(b.key());
    let only_b = Set::from_iter_dedup([b.key()]);
    assert_eq!(within(blocked.recv()).await, Some(only_b));
    until("the connection is down", async || {
        b.peer(&a).await.is_none()
    })
    .await;
    b.network.dial(a.address().await).unwrap();
    until("it is refused", async || {
        a.metric("connections_refused_total") > 0.5
    })
    .await;
    assert!(a.peer(&b).await.is_none());
    a.network.unban(&b.key()).unwrap();
    assert_eq!(within(blocked.recv()).await, Some(Set::default()));
    a.meet(&b).await;
}
