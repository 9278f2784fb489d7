//! Shows that what one caller makes the node run and hold is bounded, also when the caller goes away or never reads.

use std::sync::Arc;
use std::time::Duration;

use kumiki_protocol::Address;
use kumiki_rpc_api::methods::{EventsApiClient, NodeApiClient, SimulationApiClient};
use kumiki_rpc_api::{Bytes, Cursor};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::held_code::HeldCode;
use crate::live_node::{LiveNode, encoded};
use crate::raw_ws::{RawWs, frame};

const FULL_BLOCK: &str =
    r#"{"jsonrpc":"2.0","id":1,"method":"chain_getBlock","params":{"transactions":"full"}}"#;

const NODE_VERSION: &str = r#"{"jsonrpc":"2.0","id":1,"method":"node_getVersion"}"#;

/// A block that is some 10 MB when it is shown in full.
fn seal_large_block(node: &mut LiveNode) {
    let nobody = Address([9; 32]);
    let transactions = (0..8).map(|nonce| {
        let draft = node.draft(1, nonce).gas_limit(300_000_000);
        let calls = (0..10).fold(draft, |draft, _| draft.call(&nobody, &[7; 60_000]));
        calls.sign()
    });
    let transactions = transactions.collect();
    node.seal(transactions);
}

fn error_code(answer: &Value) -> i64 {
    answer["error"]["code"].as_i64().unwrap_or(0)
}

#[tokio::test]
async fn a_simulation_keeps_its_turn_when_its_caller_goes_away() {
    let mut node = LiveNode::start_with(|limits| limits.simulations = 1).await;
    let mut held = HeldCode::deploy(&mut node);
    let call = held.call(1);
    let request = format!(
        "POST / HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{call}",
        call.len()
    );
    let mut caller = TcpStream::connect(node.address()).await.unwrap();
    caller.write_all(request.as_bytes()).await.unwrap();
    held.entered().await;
    drop(caller);
    // The only connection left is the one that asks.
    node.until_metrics_show("kumiki_rpc_connections 1\n").await;
    let metrics = node.get("/metrics").await.1;
    assert!(metrics.contains("kumiki_rpc_simulations 1\n"), "{metrics}");
    held.release();
    let next = node.http();
    let answer = next.simulate_call(held.contract, Bytes(Vec::new()), None, None, None);
    answer.await.unwrap();
}

#[tokio::test]
async fn simulations_that_find_no_place_to_wait_are_told_so() {
    let mut node = LiveNode::start_with(|limits| limits.simulations = 1).await;
    let held = HeldCode::deploy(&mut node);
    let mut socket = RawWs::open(&node).await;
    // One runs, 32 wait.
    for id in 0..34 {
        socket.send(&held.call(id)).await.unwrap();
    }
    assert_eq!(error_code(&socket.next().await), 4003);
    held.release();
    for _answered in 0..33 {
        let answer = socket.next().await;
        assert!(answer["result"].is_object(), "{answer}");
    }
}

#[tokio::test]
async fn calls_over_the_limit_of_a_connection_are_told_so() {
    let mut node = LiveNode::start_with(|limits| limits.calls_per_connection = 16).await;
    let held = HeldCode::deploy(&mut node);
    let mut socket = RawWs::open(&node).await;
    for id in 0..17 {
        socket.send(&held.call(id)).await.unwrap();
    }
    let refused = socket.next().await;
    assert_eq!((error_code(&refused), &refused["id"]), (4009, &json!(16)));
    assert_eq!(refused["error"]["data"]["name"], "callsTooMany");
    held.release();
    for _answered in 0..16 {
        assert!(socket.next().await["result"].is_object());
    }
    socket.send(&held.call(17)).await.unwrap();
    assert!(socket.next().await["result"].is_object());
}

#[tokio::test]
async fn waiters_over_the_limit_of_an_address_are_told_so() {
    let mut node = LiveNode::start_with(|limits| limits.waiters_per_ip = 1).await;
    let mut socket = RawWs::open(&node).await;
    for sender in 0..2 {
        let transaction = serde_json::to_string(&encoded(&node.draft(sender, 0).sign())).unwrap();
        let call = format!(
            r#"{{"jsonrpc":"2.0","id":{sender},"method":"tx_submitAndWait","params":{{"transaction":{transaction}}}}}"#
        );
        socket.send(&call).await.unwrap();
    }
    assert_eq!(error_code(&socket.next().await), 4008);
    node.seal_waiting(1).await;
    let waited = socket.next().await;
    assert_eq!(waited["result"]["height"], 1, "{waited}");
}

#[tokio::test]
async fn a_batch_stops_when_its_answers_become_too_large() {
    let mut node = LiveNode::start().await;
    seal_large_block(&mut node);
    let batch = format!("[{}]", [FULL_BLOCK; 50].join(","));
    let (_, answer) = node.post("", &batch).await;
    let answer: Value = serde_json::from_str(&answer).unwrap();
    assert_eq!(error_code(&answer), -32011);
    let metrics = node.get("/metrics").await.1;
    let counted = metrics
        .lines()
        .filter(|line| line.contains(r#"method="chain_getBlock""#))
        .filter_map(|line| line.rsplit_once(' '))
        .filter_map(|(_, count)| count.parse::<u32>().ok())
        .sum::<u32>();
    assert!(
        (2..10).contains(&counted),
        "{counted} of 50 were carried out"
    );
}

#[tokio::test]
async fn a_client_that_calls_and_never_reads_is_not_read_from_and_then_cut() {
    let mut node = LiveNode::start_with(|limits| limits.slow_reader_ms = 500).await;
    seal_large_block(&mut node);
    let mut socket = RawWs::open_narrow(&node).await;
    // The first answer is more than the sockets hold: all others, refusals too, wait behind it.
    socket.send(FULL_BLOCK).await.unwrap();
    let answered = r#"kumiki_rpc_calls_total{method="chain_getBlock",code="0"} 1"#;
    node.until_metrics_show(answered).await;
    // A server that reads on has taken all of these, some 100 MB, before it cuts the connection.
    let padded = frame(&(" ".repeat(128 << 10) + FULL_BLOCK));
    let flood = async {
        for _call in 0..768 {
            socket.socket.write_all(&padded).await?;
        }
        Ok::<(), std::io::Error>(())
    };
    let flooded = tokio::time::timeout(Duration::from_secs(60), flood).await;
    assert!(flooded.unwrap().is_err(), "the server has read everything");
    assert_eq!(node.http().node_version().await.unwrap().name, "kumiki");
}

/// Posts a body of 1 MiB until it is answered with this status, and has `between` done after each other answer.
async fn until_answered(node: &LiveNode, status: u16, mut between: impl AsyncFnMut()) {
    let large = " ".repeat(1 << 20) + r#"{"jsonrpc":"2.0","id":1,"method":"node_getVersion"}"#;
    let answered = async {
        while node.post("", &large).await.0 != status {
            between().await;
        }
    };
    let in_time = tokio::time::timeout(Duration::from_secs(60), answered).await;
    in_time.unwrap_or_else(|_elapsed| panic!("large bodies are never answered {status}"));
}

#[tokio::test]
async fn large_bodies_of_an_address_have_a_bound_together_and_small_ones_are_served() {
    let node = LiveNode::start_with(|limits| limits.request_timeout_ms = 600_000).await;
    let head = "POST / HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 1100000\r\n\r\n";
    let mut half_sent = Vec::new();
    // One after the other, and smaller than what is posted: one that found no room beside a posted body is gone, and the
    // next takes its place.
    until_answered(&node, 503, async || {
        let mut socket = TcpStream::connect(node.address()).await.unwrap();
        socket.write_all(head.as_bytes()).await.unwrap();
        socket.write_all(&vec![b' '; 1_000_000]).await.unwrap();
        half_sent.push(socket);
    })
    .await;
    assert_eq!(node.http().node_version().await.unwrap().name, "kumiki");
    drop(half_sent);
    until_answered(&node, 200, tokio::task::yield_now).await;
}

#[tokio::test]
async fn large_answers_that_an_address_does_not_read_have_a_bound_together() {
    let mut node = LiveNode::start_with(|limits| limits.slow_reader_ms = 600_000).await;
    seal_large_block(&mut node);
    let mut unread = Vec::new();
    // Each answer is some 10 MB: three fit.
    for _answer in 0..3 {
        let mut socket = RawWs::open_narrow(&node).await;
        socket.send(FULL_BLOCK).await.unwrap();
        unread.push(socket);
    }
    let answered = r#"kumiki_rpc_calls_total{method="chain_getBlock",code="0"} 3"#;
    node.until_metrics_show(answered).await;
    let refused = async {
        loop {
            let answer: Value = serde_json::from_str(&node.post("", FULL_BLOCK).await.1).unwrap();
            if error_code(&answer) == 4012 {
                return answer;
            }
        }
    };
    let refused = tokio::time::timeout(Duration::from_secs(60), refused).await;
    assert_eq!(refused.unwrap()["error"]["data"]["name"], "memoryFull");
    drop(unread);
    let served = async {
        while !node.post("", FULL_BLOCK).await.1.contains("result") {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), served)
        .await
        .unwrap();
}

#[tokio::test]
async fn connections_that_say_nothing_make_room_for_those_that_do() {
    let node = LiveNode::start_with(|limits| limits.connections = 8).await;
    let mut silent = Vec::new();
    for last in 0..8 {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind(([127, 0, 0, 2 + last], 0).into()).unwrap();
        silent.push(socket.connect(node.address()).await.unwrap());
    }
    // All places are taken once eight connections are seen; each of these takes one of theirs.
    for _newcomer in 0..8 {
        assert_eq!(node.post("", NODE_VERSION).await.0, 200);
    }
    node.until_metrics_show(r#"kumiki_rpc_refusals_total{reason="displaced"}"#)
        .await;
}

#[tokio::test]
async fn a_page_of_large_events_is_short_and_the_next_goes_on() {
    let mut node = LiveNode::start_with(|limits| limits.event_page_events = 1_000).await;
    let contract = node.deploy();
    for nonce in 0..16 {
        let draft = node.draft(1, nonce).gas_limit(300_000_000);
        let calls = (0..32).fold(draft, |draft, _| draft.call(&contract, &[7; 4_096]));
        node.seal(vec![calls.sign()]);
    }
    let client = node.http();
    let (mut seen, mut after, mut pages): (Vec<Cursor>, _, _) = (Vec::new(), None, 0);
    loop {
        let page = client.query_events(None, None, None, after, Some(1_000));
        let page = page.await.unwrap();
        let bytes: usize = page.events.iter().map(|event| event.data.0.len()).sum();
        assert!(bytes <= (1 << 20) + 4_096, "{bytes} bytes in a page");
        seen.extend(page.events.iter().filter_map(|event| event.cursor));
        pages += 1;
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(seen.len(), 16 * 32);
    assert!(seen.is_sorted() && pages > 1, "{pages} pages");
}

#[tokio::test]
async fn a_stopped_server_uses_the_store_no_more_whatever_its_connections_do() {
    let mut node = LiveNode::start_with(|limits| limits.request_timeout_ms = 600_000).await;
    let head = "POST / HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 50\r\n\r\n{";
    // One sends half a request, one follows heads, one waits for a receipt that never comes.
    let mut half = TcpStream::connect(node.address()).await.unwrap();
    half.write_all(head.as_bytes()).await.unwrap();
    let mut follows = RawWs::open(&node).await;
    let subscribe = r#"{"jsonrpc":"2.0","id":1,"method":"chain_subscribeHeads"}"#;
    follows.send(subscribe).await.unwrap();
    assert!(follows.next().await["result"].is_u64());
    let mut waits = RawWs::open(&node).await;
    let transaction = serde_json::to_string(&encoded(&node.draft(0, 0).sign())).unwrap();
    let wait = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"tx_submitAndWait","params":[{transaction}]}}"#
    );
    waits.send(&wait).await.unwrap();
    node.until_metrics_show("kumiki_mempool_pending_transactions 1\n")
        .await;
    assert!(Arc::strong_count(&node.storage) > 1);
    node.server.take().unwrap().stop().await;
    assert_eq!(Arc::strong_count(&node.storage), 1);
}
