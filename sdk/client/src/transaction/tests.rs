//! Lose connections, nonces and chains under a transaction that is followed to its end.

use std::time::Duration;

use jsonrpsee::http_client::HttpClientBuilder;
use kumiki_rpc_api::ErrorCode;

use super::*;
use crate::test_node::{AT_ONCE, NOT_TODAY, TestNode};

const START_MS: u64 = 1_700_000_000_000;
/// Far above what any of these needs: without an end, they go on for ever.
const FOR_EVER: Duration = Duration::from_secs(60);

/// How following `transaction` ends, which it must.
async fn end(client: &Client, transaction: &Transaction) -> Result<Height, ClientError> {
    tokio::time::timeout(FOR_EVER, client.submit_and_wait(transaction))
        .await
        .expect("no end")
        .map(|receipt| receipt.height)
}

fn code(ended: Result<Height, ClientError>) -> ErrorCode {
    match ended {
        Err(ClientError::Api(error)) => error.code,
        other => panic!("ended with {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_lost_in_the_first_wait_does_not_lose_the_receipt() {
    let node = TestNode::start(START_MS, AT_ONCE).await;
    let (client, proxy) = node.behind_proxy().await;
    proxy.lose_next_answer();
    let height = end(&client, &node.transfer(0, 7).sign()).await.unwrap();
    assert_eq!(height, 1);
    proxy.lose_next_request();
    let height = end(&client, &node.transfer(1, 7).sign()).await.unwrap();
    assert_eq!(height, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_is_not_there_is_named_at_once() {
    let node = TestNode::start(START_MS, AT_ONCE).await;
    let (mut client, _proxy) = node.behind_proxy().await;
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", closed.local_addr().unwrap());
    drop(closed);
    client.http = HttpClientBuilder::default().build(url).unwrap();
    let ended = end(&client, &node.transfer(0, 7).sign()).await;
    assert!(
        matches!(ended, Err(ClientError::Unreachable { .. })),
        "{ended:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_nonce_used_by_another_ends_the_wait_on_an_idle_chain() {
    let node = TestNode::start(START_MS, AT_ONCE).await;
    let (client, proxy) = node.behind_proxy().await;
    node.execute(node.transfer(0, 1).sign()).await;
    proxy.lose_next_request();
    let ended = end(&client, &node.transfer(0, 2).sign()).await;
    assert_eq!(code(ended), ErrorCode::NonceTooLow);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replacement_ends_the_wait_on_a_chain_that_makes_no_blocks() {
    let node = TestNode::start(START_MS, NOT_TODAY).await;
    let (client, proxy) = node.behind_proxy().await;
    let first = node.transfer(0, 1);
    let price = first.body.gas_price;
    let first = first.sign();
    let replacement = node.transfer(0, 2).gas_price(price * 2).sign();
    proxy.lose_next_request();
    let replace = async {
        node.waits(&first.hash()).await;
        node.node.mempool().submit(replacement).await.unwrap();
    };
    let (ended, ()) = tokio::join!(end(&client, &first), replace);
    assert_eq!(code(ended), ErrorCode::Replaced);

    // Handed in once more after a lost connection, it does not wait for a block that never comes either.
    proxy.lose_next_request();
    let ended = end(&client, &first).await;
    assert_eq!(code(ended), ErrorCode::ReplacementUnderpriced);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chain_that_began_anew_ends_the_wait() {
    let node = TestNode::start(START_MS, NOT_TODAY).await;
    let other = TestNode::start(START_MS + 1, AT_ONCE).await;
    let (client, proxy) = node.behind_proxy().await;
    let transaction = node.transfer(0, 1).valid_until(1).sign();
    let reset = async {
        node.waits(&transaction.hash()).await;
        proxy.redirect(other.node.rpc_address());
        proxy.cut();
    };
    let (ended, ()) = tokio::join!(end(&client, &transaction), reset);
    assert_eq!(code(ended), ErrorCode::WrongChain);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_head_of_another_chain_does_not_make_a_transaction_expired() {
    let node = TestNode::start(START_MS, NOT_TODAY).await;
    let other = TestNode::start(START_MS + 1, AT_ONCE).await;
    for nonce in 0..2 {
        other.execute(other.transfer(nonce, 1).sign()).await;
    }
    let (client, proxy) = node.behind_proxy().await;
    let transaction = node.transfer(0, 1).valid_until(1).sign();
    let reset = async {
        node.waits(&transaction.hash()).await;
        proxy.redirect(other.node.rpc_address());
        proxy.cut();
    };
    let (ended, ()) = tokio::join!(end(&client, &transaction), reset);
    assert!(
        matches!(ended, Err(ClientError::WrongChain { .. })),
        "{ended:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_receipt_of_another_transaction_is_refused() {
    let node = TestNode::start(START_MS, AT_ONCE).await;
    let (client, proxy) = node.behind_proxy().await;
    let (asked, other) = (node.transfer(0, 1).sign(), node.transfer(1, 1).sign());
    proxy.rewrite(&asked.hash().to_string(), &other.hash().to_string());
    let ended = end(&client, &asked).await;
    assert!(
        matches!(ended, Err(ClientError::Protocol { .. })),
        "{ended:?}"
    );
}
