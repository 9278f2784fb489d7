//! Run whole nodes in this process: what they seal, keep, and refuse to start with.

#![expect(clippy::unwrap_used, reason = "set-up that fails should fail the test")]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use kumiki_consensus::Sealing;
use kumiki_node::{
    GenesisSource, Node, NodeConfig, NodeError, NodeHandle, OrderingConfig, dev_genesis,
};
use kumiki_protocol::{Genesis, Hash, Status, Transaction, TransactionHash};
use kumiki_storage::Tip;
use kumiki_testkit::{Draft, account, validator};

const START_MS: u64 = 1_700_000_000_000;

fn chain() -> Genesis {
    let accounts: Vec<_> = (0..4).map(|number| account(number).address).collect();
    dev_genesis(&accounts, 1 << 80, START_MS)
}

fn config(dir: &Path) -> NodeConfig {
    let mut config = NodeConfig::dev(dir.to_owned(), chain(), 0);
    // Time that tests can foretell.
    config.clock = Arc::new(|| START_MS + 5_000);
    config
}

async fn start(dir: &Path) -> NodeHandle {
    Node::start(config(dir)).await.unwrap()
}

fn transfer(node: &NodeHandle, sender: u8, nonce: u64) -> Transaction {
    Draft::new(node.genesis(), &account(sender), nonce)
        .gas_limit(200_000)
        .transfer(&account(9).address, 7)
        .sign()
}

/// Waits until a block has the transaction, and returns its height and position.
async fn place(node: &NodeHandle, hash: &TransactionHash) -> (u64, u32) {
    let mut heads = node.heads();
    loop {
        heads.borrow_and_update();
        if let Some(place) = node.storage().transaction_location(hash).unwrap() {
            return place;
        }
        heads.changed().await.unwrap();
    }
}

fn tip(node: &NodeHandle) -> Tip {
    *node.heads().borrow()
}

/// Why a node with this configuration does not start.
async fn refusal(config: NodeConfig) -> NodeError {
    Node::start(config).await.expect_err("it should not start")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restarted_node_has_the_same_blocks_and_root_and_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let node = start(dir.path()).await;
    let first = transfer(&node, 0, 0);
    let hash = node.mempool().submit(first.clone()).await.unwrap();
    let found = place(&node, &hash).await;
    assert_eq!(found, (1, 0));
    let receipt = node.storage().receipt(1, 0).unwrap().unwrap();
    assert_eq!((receipt.transaction, receipt.status), (hash, Status::Ok));
    let before = tip(&node);
    assert_eq!(before.time_ms, START_MS + 5_000);
    node.stop().await.unwrap();

    let node = start(dir.path()).await;
    assert_eq!(tip(&node), before);
    assert_eq!(place(&node, &hash).await, found);
    let again = node.mempool().submit(first).await.unwrap_err();
    assert_eq!(again.name(), "nonceTooLow");
    let second = node.mempool().submit(transfer(&node, 0, 1)).await.unwrap();
    assert_eq!(place(&node, &second).await, (2, 0));
    node.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn certificates_verify_against_the_validators_of_genesis() {
    let dir = tempfile::tempdir().unwrap();
    let node = start(dir.path()).await;
    let hash = node.mempool().submit(transfer(&node, 1, 0)).await.unwrap();
    let (height, _) = place(&node, &hash).await;
    let certificate = node.storage().certificate(height).unwrap().unwrap();
    let validators = node.genesis().validator_set().unwrap();
    let header = node.storage().header(height).unwrap().unwrap();
    assert_eq!(certificate.proposal.block, header.hash());
    assert_eq!(
        certificate.verify(&node.genesis().hash(), &validators),
        Ok(())
    );
    assert_eq!(header.executed.next_validators_hash, validators.hash());
    node.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_block_time_makes_blocks_without_transactions() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = config(dir.path());
    config = config.sealed(Sealing::Every(Duration::from_millis(2)));
    let node = Node::start(config).await.unwrap();
    let mut heads = node.heads();
    heads.wait_for(|tip| tip.height >= 3).await.unwrap();
    let header = node.storage().header(2).unwrap().unwrap();
    assert_eq!(
        (header.transactions_count, header.time_ms),
        (0, START_MS + 5_000)
    );
    node.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transaction_that_its_sender_can_no_longer_pay_is_refused_and_the_next_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let node = start(dir.path()).await;
    let balance = 1_u128 << 80;
    let spend = |nonce, amount| {
        Draft::new(node.genesis(), &account(2), nonce)
            .gas_limit(200_000)
            .transfer(&account(9).address, amount)
            .sign()
    };
    let first = node.mempool().submit(spend(0, balance / 2)).await.unwrap();
    place(&node, &first).await;
    let too_much = node.mempool().submit(spend(1, balance / 2)).await;
    assert_eq!(too_much.unwrap_err().name(), "insufficientFunds");
    let next = node.mempool().submit(spend(1, 1)).await.unwrap();
    place(&node, &next).await;
    node.stop().await.unwrap();
}

#[test]
fn a_node_stops_while_every_thread_for_blocking_work_is_taken() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let dir = tempfile::tempdir().unwrap();
    let node = runtime.block_on(start(dir.path()));
    let (end, may_end) = std::sync::mpsc::channel::<()>();
    let taken = runtime.spawn_blocking(move || may_end.recv().is_err());
    let stopped = async { tokio::time::timeout(Duration::from_secs(60), node.stop()).await };
    let stopped = runtime.block_on(stopped);
    drop(end);
    assert!(runtime.block_on(taken).unwrap());
    stopped.expect("it waits for a thread").unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_with_another_chain_is_refused_with_both_hashes() {
    let dir = tempfile::tempdir().unwrap();
    start(dir.path()).await.stop().await.unwrap();
    let mut other = chain();
    other.time_ms += 1;
    let mut config = config(dir.path());
    config.genesis = GenesisSource::Exactly(other.clone());
    match refusal(config).await {
        NodeError::OtherChain { found, expected } => {
            assert_eq!((found, expected), (chain().hash(), other.hash()));
        }
        error => panic!("refused for another reason: {error}"),
    }
    // Whoever takes what is there gets what is there.
    let node = start(dir.path()).await;
    assert_eq!(node.genesis().hash(), chain().hash());
    node.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_is_not_the_validators_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = config(dir.path());
    config.ordering = OrderingConfig::Solo {
        key: Box::new(validator(3)),
        sealing: Sealing::AtOnce { heartbeat: None },
    };
    let error = refusal(config).await;
    assert!(
        matches!(error, NodeError::NotTheValidator { .. }),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_solo_chain_whose_epochs_end_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let mut genesis = chain();
    genesis.parameters.epoch_blocks = 100;
    let config = NodeConfig::dev(dir.path().to_owned(), genesis, 0);
    let error = refusal(config).await;
    assert!(matches!(error, NodeError::Epochs { found: 100 }), "{error}");
    assert!(error.to_string().contains("4294967295"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_port_in_use_is_named_and_the_folder_is_free_again() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let dir = tempfile::tempdir().unwrap();
    let mut config = NodeConfig::dev(dir.path().to_owned(), chain(), port);
    config.clock = Arc::new(|| START_MS);
    let error = refusal(config).await;
    assert!(error.to_string().contains(&port.to_string()), "{error}");
    start(dir.path()).await.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_whole_chain_executes_again_to_the_same_root() {
    let dir = tempfile::tempdir().unwrap();
    let node = start(dir.path()).await;
    for nonce in 0..5 {
        let hash = node
            .mempool()
            .submit(transfer(&node, 3, nonce))
            .await
            .unwrap();
        place(&node, &hash).await;
    }
    let scratch = tempfile::tempdir().unwrap();
    let vm = node.executor().vm().clone();
    let verified = kumiki_node::verify_chain(node.storage(), vm, scratch.path()).unwrap();
    assert_eq!((verified.blocks, verified.transactions), (5, 5));
    assert_eq!(verified.state_root, tip(&node).state_root);
    assert_ne!(verified.state_root, Hash::ZERO);
    node.stop().await.unwrap();
}

#[tokio::test]
async fn a_node_that_fails_says_why_once_and_can_still_be_stopped() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = config(dir.path());
    config.clock = Arc::new(|| panic!("the clock is broken"));
    let mut node = Node::start(config).await.unwrap();
    let transaction = transfer(&node, 0, 0);
    node.mempool().submit(transaction).await.unwrap();
    let why = node.wait().await.unwrap_err();
    assert!(why.to_string().contains("ordering"), "{why}");
    node.wait().await.unwrap();
    node.stop().await.unwrap();
}
