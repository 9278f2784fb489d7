//! Holds every error to the one schema, whoever finds it: parser, transport, batch, subscription or method.

use kumiki_rpc_api::{ErrorCode, ErrorData, ProtocolError};
use serde_json::Value;

use crate::live_node::{LiveNode, code_of_bytes};
use crate::raw_ws::RawWs;

/// The data of the error in `answer`, which must have `number`.
fn data_of(answer: &Value, number: i32) -> ErrorData {
    let error = &answer["error"];
    assert_eq!(error["code"], number, "{answer}");
    let data: ErrorData = serde_json::from_value(error["data"].clone())
        .unwrap_or_else(|wrong| panic!("{wrong}: {answer}"));
    assert!(!data.detail.is_empty() && !data.hint.is_empty(), "{answer}");
    data
}

fn assert_protocol_error(answer: &Value, expected: ProtocolError) {
    let data = data_of(answer, expected.number());
    assert_eq!(
        (data.name.as_str(), data.retry),
        (expected.name(), expected.retry())
    );
}

fn call(method: &str, params: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{params}}}"#)
}

/// Messages, and what is wrong with them.
fn wrong_messages() -> Vec<(String, ProtocolError)> {
    let limits = call("rpc_limits", "{}");
    vec![
        ("nonsense".to_owned(), ProtocolError::Parse),
        (
            r#"{"jsonrpc":"2.0","id":1,"#.to_owned(),
            ProtocolError::Parse,
        ),
        (format!("[{limits},"), ProtocolError::Parse),
        ("{}".to_owned(), ProtocolError::InvalidRequest),
        ("[]".to_owned(), ProtocolError::InvalidRequest),
        (
            r#"{"jsonrpc":"2.0","id":1}"#.to_owned(),
            ProtocolError::InvalidRequest,
        ),
        (call("no_such", "{}"), ProtocolError::MethodNotFound),
        (
            call("account_get", r#"{"address":1}"#),
            ProtocolError::InvalidParams,
        ),
        (call("account_get", "{}"), ProtocolError::InvalidParams),
        (
            call("tx_submitAndWait", r#"{"transaction":1}"#),
            ProtocolError::InvalidParams,
        ),
        (call("rpc.discover", "{}"), ProtocolError::AnswerTooLarge),
        (
            format!("[{}]", [limits.as_str(); 11].join(",")),
            ProtocolError::BatchTooLong,
        ),
        (
            // Each a quarter of what an answer may have.
            format!(
                "[{}]",
                vec![call("contract_getCode", r#"{"codeHash":"HASH"}"#); 9].join(",")
            ),
            ProtocolError::BatchAnswerTooLarge,
        ),
    ]
}

/// A node with small limits, and a code of 8 KiB on its chain, whose hash it gives.
async fn small_node() -> (LiveNode, String) {
    let mut node = LiveNode::start_with(|limits| {
        limits.batch_calls = 10;
        limits.response_bytes = 64 << 10;
        limits.request_bytes = 16 << 10;
        limits.subscriptions_per_connection = 1;
    })
    .await;
    let code = code_of_bytes(8 << 10);
    let deploy = node.draft(0, 0).gas_limit(900_000_000).deploy(&code, &[]);
    node.seal(vec![deploy.sign()]);
    let receipt = node.storage.receipt(1, 0).unwrap().unwrap();
    assert_eq!(receipt.status, kumiki_protocol::Status::Ok);
    let hash = kumiki_protocol::sha3_256(&[&code]).to_string();
    (node, hash)
}

#[tokio::test]
async fn errors_over_http_have_their_data() {
    let (node, code_hash) = small_node().await;
    for (message, expected) in wrong_messages() {
        let message = message.replace("HASH", &code_hash);
        let (status, body) = node.post("", &message).await;
        assert_eq!(status, 200);
        assert_protocol_error(&serde_json::from_str(&body).unwrap(), expected);
    }
    let subscribe = call("chain_subscribeHeads", "{}");
    for message in [subscribe, call("events_unsubscribe", "[1]")] {
        let (_, body) = node.post("", &message).await;
        let data = data_of(&serde_json::from_str(&body).unwrap(), 4006);
        assert_eq!(data.name, ErrorCode::NeedsWebSocket.name());
    }
}

#[tokio::test]
async fn errors_over_websocket_have_their_data_and_come_once() {
    let (node, code_hash) = small_node().await;
    let mut socket = RawWs::open(&node).await;
    let mut cases = wrong_messages();
    cases.extend([
        (" ".repeat(16 << 10) + "1", ProtocolError::RequestTooLarge),
        (
            call("chain_subscribeHeads", r#"{"from":"x"}"#),
            ProtocolError::InvalidParams,
        ),
        (
            call("events_subscribe", r#"{"filter":{"contract":1}}"#),
            ProtocolError::InvalidParams,
        ),
        (
            call("events_subscribe", r#"[null,-1]"#),
            ProtocolError::InvalidParams,
        ),
    ]);
    let version = call("rpc_version", "{}").replace(r#""id":1"#, r#""id":"next""#);
    for (message, expected) in cases {
        socket
            .send(&message.replace("HASH", &code_hash))
            .await
            .unwrap();
        assert_protocol_error(&socket.next().await, expected);
        // Were there a second answer, it would come before this one.
        socket.send(&version).await.unwrap();
        assert_eq!(socket.next().await["id"], "next", "after {message}");
    }
    socket
        .send(&call("chain_subscribeHeads", "{}"))
        .await
        .unwrap();
    assert!(socket.next().await["result"].is_u64());
    socket
        .send(&call("chain_subscribeHeads", "{}"))
        .await
        .unwrap();
    assert_protocol_error(&socket.next().await, ProtocolError::SubscriptionsTooMany);
}

#[tokio::test]
async fn a_subscription_in_a_batch_is_refused_and_the_rest_is_answered_once() {
    let node = LiveNode::start().await;
    let mut socket = RawWs::open(&node).await;
    let version = call("rpc_version", "{}").replace(r#""id":1"#, r#""id":2"#);
    for method in ["chain_subscribeHeads", "events_subscribe"] {
        let batch = format!("[{},{version}]", call(method, "{}"));
        socket.send(&batch).await.unwrap();
        let answers = socket.next().await;
        let answers = answers.as_array().unwrap();
        assert_eq!(answers.len(), 2);
        let refused = answers.iter().find(|one| one["id"] == 1).unwrap();
        assert_eq!(data_of(refused, 4010).name, "subscriptionInBatch");
        let answered = answers.iter().find(|one| one["id"] == 2).unwrap();
        assert!(answered["result"]["api"].is_string());
        socket.send(&version).await.unwrap();
        assert_eq!(socket.next().await["id"], 2);
    }
}
