//! Messages go as far as the applications on their way accept them.

use bytes::Bytes;
use kumiki_network::PublishError;

use crate::node::{Node, passive, until, within};

/// Three nodes in a line: what the last one gets went through the middle.
async fn line() -> [Node; 3] {
    let nodes = [1, 2, 3].map(|seed| Node::start(passive(seed)));
    let [a, b, c] = &nodes;
    a.meet(b).await;
    b.meet(c).await;
    nodes
}

fn publish(node: &Node, text: &str) -> Result<(), PublishError> {
    let data = Bytes::copy_from_slice(text.as_bytes());
    node.topics.first().unwrap().publisher.publish(data)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_accepted_message_goes_on_and_a_rejected_one_does_not() {
    let [a, mut b, mut c] = line().await;
    let judge = tokio::spawn(async move {
        let topic = b.topics.first_mut().unwrap();
        let mut rejected = 0;
        while let Some(message) = topic.messages.recv().await {
            match message.data.as_ref() {
                b"bad" => {
                    rejected += 1;
                    message.verdict.reject();
                }
                b"useless" => message.verdict.ignore(),
                b"end" => {
                    message.verdict.accept();
                    break;
                }
                _ => message.verdict.accept(),
            }
        }
        (b, rejected)
    });
    // Peers learn of subscriptions after they have connected: publish until something has got through.
    let mut tries = 0;
    until("a first message is through", async || {
        tries += 1;
        publish(&a, "bad").unwrap();
        publish(&a, "useless").unwrap();
        publish(&a, &format!("good {tries}")).unwrap();
        a.metric("gossip_published_total{name=\"transactions\"}") >= 3.0
    })
    .await;
    let topic = c.topics.first_mut().unwrap();
    let mut seen = Vec::new();
    // A mesh link may be young: the last message is repeated until it is there.
    let end = async {
        loop {
            let message = topic.messages.recv().await.unwrap();
            seen.push(message.data.clone());
            if message.data.as_ref() == b"end" {
                return;
            }
        }
    };
    within(async {
        until("a good message is through", async || {
            publish(&a, "end").unwrap();
            true
        })
        .await;
        end.await;
    })
    .await;
    assert!(
        seen.iter()
            .all(|data| data.as_ref() != b"bad" && data.as_ref() != b"useless")
    );
    let (b, rejected) = judge.await.unwrap();
    assert_eq!(rejected, 1, "the same bad message is not delivered twice");
    assert!(b.peer(&a).await.unwrap().score < -10.0);
    assert!(b.peer(&c).await.unwrap().score > -1.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_forwards_many_bad_messages_is_banned() {
    let (a, mut b) = (Node::start(passive(1)), Node::start(passive(2)));
    a.meet(&b).await;
    let mut tries = 0;
    until("the forwarder is banned", async || {
        tries += 1;
        publish(&a, &format!("bad {tries}")).unwrap();
        let topic = b.topics.first_mut().unwrap();
        let soon = std::time::Duration::from_millis(20);
        while let Ok(Some(message)) = tokio::time::timeout(soon, topic.messages.recv()).await {
            message.verdict.reject();
        }
        b.metric("bans_total") > 0.0
    })
    .await;
    assert!(b.peer(&a).await.is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_beyond_the_limit_is_not_published() {
    let a = Node::start(passive(1));
    let refused = publish(&a, &"x".repeat(1_025));
    let expected = PublishError::TooLong {
        bytes: 1_025,
        limit: 1_024,
    };
    assert_eq!(refused, Err(expected));
}
