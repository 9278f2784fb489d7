//! Cut, freeze and redirect the connection under a stream of events.

use kumiki_protocol::{Address, sha3_256};
use kumiki_testkit::{Draft, account};

use super::*;
use crate::test_node::{AT_ONCE, TestNode};

const START_MS: u64 = 1_700_000_000_000;
/// Far above what any of these needs: without a reconnect, they wait for ever.
const FOR_EVER: Duration = Duration::from_secs(60);

/// Emits its input as an event.
const CONTRACT: &str = r#"
(module
  (import "kumiki_v1" "input" (func $input (param i32 i32) (result i32)))
  (import "kumiki_v1" "emit_event" (func $emit (param i32 i32 i32 i32)))
  (memory (export "memory") 1)
  (func (export "init") (param i32))
  (func (export "call") (param i32)
    (drop (call $input (i32.const 64) (i32.const 4096)))
    (call $emit (i32.const 64) (i32.const 1) (i32.const 64) (local.get 0)))
  (func (export "query") (param i32)))"#;

/// A node with the contract above, deployed in block 1.
async fn node_with_contract() -> (TestNode, Address) {
    let node = TestNode::start(START_MS, AT_ONCE).await;
    let code = wat::parse_str(CONTRACT).unwrap();
    let deploy = Draft::new(node.genesis(), &account(1), 0).deploy(&code, &[]);
    assert_eq!(node.execute(deploy.sign()).await, 1);
    let contract = Address::of_contract(&account(1).address, &[0; 32], &sha3_256(&[&code]));
    (node, contract)
}

/// Makes a block that emits `number`.
async fn emit(node: &TestNode, contract: &Address, number: u8) {
    let call = Draft::new(node.genesis(), &account(2), number.into()).call(contract, &[number; 32]);
    node.execute(call.sign()).await;
}

/// The number of the next event, which must come.
async fn next(stream: &mut EventStream) -> u8 {
    let event = tokio::time::timeout(FOR_EVER, stream.next()).await;
    event.expect("no event").unwrap().data.0[0]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_come_without_gap_or_duplicate_across_cut_connections() {
    let (node, contract) = node_with_contract().await;
    let (client, proxy) = node.behind_proxy().await;
    let filter = EventFilter::default();
    let mut stream = client.follow_events(filter, EventStart::Now).await.unwrap();
    // Cut before the first event, after some, and with some on the way.
    proxy.cut();
    emit(&node, &contract, 0).await;
    assert_eq!(next(&mut stream).await, 0);
    emit(&node, &contract, 1).await;
    proxy.cut();
    emit(&node, &contract, 2).await;
    assert_eq!(next(&mut stream).await, 1);
    proxy.cut();
    assert_eq!(next(&mut stream).await, 2);
    proxy.lose_next_answer();
    emit(&node, &contract, 3).await;
    emit(&node, &contract, 4).await;
    assert_eq!(next(&mut stream).await, 3);
    assert_eq!(next(&mut stream).await, 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_went_silent_is_found_out_by_pings() {
    let (node, contract) = node_with_contract().await;
    let (client, proxy) = node.behind_proxy().await;
    let filter = EventFilter::default();
    let mut stream = client.follow_events(filter, EventStart::Now).await.unwrap();
    stream.ping_interval = Duration::from_millis(200);
    emit(&node, &contract, 0).await;
    assert_eq!(next(&mut stream).await, 0);
    proxy.freeze();
    emit(&node, &contract, 1).await;
    assert_eq!(next(&mut stream).await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chain_that_began_anew_ends_the_stream() {
    let (node, contract) = node_with_contract().await;
    let (client, proxy) = node.behind_proxy().await;
    let filter = EventFilter::default();
    let mut stream = client.follow_events(filter, EventStart::Now).await.unwrap();
    emit(&node, &contract, 0).await;
    assert_eq!(next(&mut stream).await, 0);
    let other = TestNode::start(START_MS + 1, AT_ONCE).await;
    proxy.redirect(other.node.rpc_address());
    proxy.cut();
    let ended = tokio::time::timeout(FOR_EVER, stream.next()).await;
    match ended.expect("no end") {
        Err(ClientError::WrongChain {
            expected, found, ..
        }) => {
            assert_eq!(
                (expected, found),
                (node.genesis().hash(), other.genesis().hash())
            );
        }
        other => panic!("ended with {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_that_comes_again_ends_the_stream() {
    let (node, contract) = node_with_contract().await;
    let (client, proxy) = node.behind_proxy().await;
    let filter = EventFilter::default();
    let mut stream = client.follow_events(filter, EventStart::Now).await.unwrap();
    emit(&node, &contract, 0).await;
    assert_eq!(next(&mut stream).await, 0);
    // The node gives the event of block 3 the place of that of block 2.
    proxy.rewrite("3.0.0", "2.0.0");
    emit(&node, &contract, 1).await;
    let ended = tokio::time::timeout(FOR_EVER, stream.next()).await;
    let ended = ended.expect("no end");
    assert!(
        matches!(ended, Err(ClientError::Protocol { .. })),
        "{ended:?}"
    );
}
