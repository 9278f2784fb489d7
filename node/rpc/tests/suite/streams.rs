//! Shows that subscriptions give everything once and in order, wherever they begin.

use jsonrpsee::core::client::{Error, Subscription};
use kumiki_protocol::Address;
use kumiki_rpc_api::methods::{ChainApiClient, EventsApiClient};
use kumiki_rpc_api::{Cursor, EventFilter, EventView};

use crate::live_node::LiveNode;
use crate::raw_ws::RawWs;

/// Seals a block whose one transaction emits `count` events.
fn emit(node: &mut LiveNode, contract: &Address, nonce: u64, count: u8) {
    let draft = node.draft(1, nonce).gas_limit(100_000_000);
    let draft = (0..count).fold(draft, |draft, index| draft.call(contract, &[index; 32]));
    node.seal(vec![draft.sign()]);
}

async fn take(stream: &mut Subscription<EventView>, count: usize) -> Vec<Cursor> {
    let mut cursors = Vec::new();
    while cursors.len() < count {
        let event = stream.next().await.unwrap().unwrap();
        cursors.push(event.cursor.unwrap());
    }
    cursors
}

#[tokio::test]
async fn events_resume_after_any_cursor_without_gap_or_duplicate() {
    let mut node = LiveNode::start().await;
    let contract = node.deploy();
    for nonce in 0..8 {
        emit(&mut node, &contract, nonce, 20);
    }
    let client = node.ws().await;
    let mut whole = client.subscribe_events(None, Some(0), None).await.unwrap();
    let mut expected = take(&mut whole, 160).await;
    assert!(expected.windows(2).all(|pair| pair[0] < pair[1]));
    let mut resumed = Vec::new();
    for at in [0, 19, 20, 77, 159] {
        let stream = client
            .subscribe_events(None, None, Some(expected[at]))
            .await
            .unwrap();
        resumed.push((at, stream));
    }
    let mut live = client.subscribe_events(None, None, None).await.unwrap();
    emit(&mut node, &contract, 8, 20);
    expected.extend(take(&mut whole, 20).await);
    for (at, mut stream) in resumed {
        assert_eq!(
            take(&mut stream, 179 - at).await,
            expected[at + 1..],
            "after {at}"
        );
    }
    assert_eq!(take(&mut live, 20).await, expected[160..]);
}

#[tokio::test]
async fn blocks_sealed_while_a_subscription_replays_come_once() {
    let mut node = LiveNode::start().await;
    let contract = node.deploy();
    emit(&mut node, &contract, 0, 20);
    let client = node.ws().await;
    let mut stream = client.subscribe_events(None, Some(0), None).await.unwrap();
    let reading = tokio::spawn(async move { take(&mut stream, 20 * 21).await });
    for nonce in 1..21 {
        emit(&mut node, &contract, nonce, 20);
        tokio::task::yield_now().await;
    }
    let cursors = reading.await.unwrap();
    assert!(cursors.windows(2).all(|pair| pair[0] < pair[1]));
    assert_eq!(cursors.last().unwrap().height, 22);
}

#[tokio::test]
async fn filters_and_pages_find_the_same_events_as_the_stream() {
    let mut node = LiveNode::start().await;
    let contract = node.deploy();
    for nonce in 0..4 {
        emit(&mut node, &contract, nonce, 10);
    }
    let client = node.ws().await;
    let filter = EventFilter {
        contract: Some(contract),
        topics: vec![Some(kumiki_protocol::Hash([3; 32]))],
    };
    let mut found = Vec::new();
    let mut after = None;
    loop {
        let page = client
            .query_events(Some(filter.clone()), None, None, after, Some(1))
            .await
            .unwrap();
        found.extend(page.events.iter().filter_map(|event| event.cursor));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    let mut stream = client
        .subscribe_events(Some(filter.clone()), Some(0), None)
        .await
        .unwrap();
    assert_eq!(take(&mut stream, 4).await, found);
    let elsewhere = EventFilter {
        contract: Some(Address([9; 32])),
        ..filter
    };
    let none = client
        .query_events(Some(elsewhere), None, None, None, None)
        .await
        .unwrap();
    assert!(none.events.is_empty() && none.next.is_none());
}

#[tokio::test]
async fn heads_come_in_order_from_the_height_asked_for() {
    let mut node = LiveNode::start().await;
    for _block in 0..3 {
        node.seal(Vec::new());
    }
    let client = node.ws().await;
    let mut stream = client.subscribe_heads(Some(1)).await.unwrap();
    node.seal(Vec::new());
    for height in 1..=4 {
        assert_eq!(stream.next().await.unwrap().unwrap().height, height);
    }
    let ahead = client.subscribe_heads(Some(99)).await.unwrap_err();
    assert!(matches!(ahead, Error::Call(object) if object.code() == 1001));
}

#[tokio::test]
async fn subscriptions_over_the_limit_or_over_http_say_what_to_do() {
    let node = LiveNode::start_with(|limits| limits.subscriptions_per_connection = 2).await;
    let client = node.ws().await;
    let one = client.subscribe_heads(None).await.unwrap();
    let _two = client.subscribe_heads(None).await.unwrap();
    let third = client.subscribe_heads(None).await.unwrap_err();
    assert!(matches!(third, Error::Call(object) if object.code() == -32006));
    one.unsubscribe().await.unwrap();
    client.subscribe_heads(None).await.unwrap();
    let body = r#"{"jsonrpc":"2.0","id":1,"method":"chain_subscribeHeads"}"#;
    let (_, answer) = node.post("", body).await;
    assert!(
        answer.contains("needsWebSocket") && answer.contains("ws://"),
        "{answer}"
    );
}

/// Subscribes by hand, since the client does not tell why a subscription was closed.
async fn subscribe(node: &LiveNode, method: &str) -> RawWs {
    let mut socket = RawWs::open(node).await;
    let request =
        format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{{"from":1}}}}"#);
    socket.send(&request).await.unwrap();
    let accepted = socket.next().await;
    assert!(accepted["result"].is_u64(), "{accepted}");
    socket
}

#[tokio::test]
async fn streams_end_when_what_they_have_sent_is_taken_back() {
    let mut node = LiveNode::start().await;
    let contract = node.deploy();
    emit(&mut node, &contract, 0, 1);
    node.seal(Vec::new());
    let mut heads = subscribe(&node, "chain_subscribeHeads").await;
    let mut events = subscribe(&node, "events_subscribe").await;
    for height in 1..=3 {
        assert_eq!(heads.next().await["params"]["result"]["height"], height);
    }
    assert_eq!(events.next().await["params"]["result"]["cursor"], "2.0.0");
    node.rewind(1);
    // What replaces them has the same heights.
    for _block in 0..3 {
        node.seal(Vec::new());
    }
    for mut stream in [heads, events] {
        let ended = stream.next().await;
        assert_eq!(
            ended["params"]["error"]["data"]["name"], "chainRewound",
            "{ended}"
        );
    }
}
