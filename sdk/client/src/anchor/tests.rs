//! A real network whose validators change is followed from genesis and from a block, and lies about it are refused.

use std::path::Path;
use std::time::Duration;

use kumiki_consensus::simplex::Pace;
use kumiki_network::{Multiaddr, NetworkConfig, NetworkLimits};
use kumiki_node::{GenesisSource, Node, NodeConfig, NodeHandle, OrderingConfig, dev_genesis};
use kumiki_protocol::{SecretKey, ValidatorsCall, state_key};
use kumiki_testkit::{Account, Draft, account, validator};

use super::*;
use crate::proxy::Proxy;

const EPOCH_BLOCKS: u32 = 8;
/// Generous: the machine may be busy.
const DEADLINE: Duration = Duration::from_secs(180);
/// Where the network is stopped.
const HEIGHT: Height = 40;

fn keys() -> Vec<SecretKey> {
    (1..=4).map(validator).collect()
}

/// The fourth validator has funds to pay for its leaving.
fn genesis() -> Genesis {
    let leaver = Account::of_key(validator(4));
    let mut genesis = dev_genesis(&[account(0).address, leaver.address], 1 << 80, 1_000);
    genesis.validators = keys().iter().map(SecretKey::public_key).collect();
    genesis.parameters.execution_lag = 2;
    genesis.parameters.epoch_blocks = EPOCH_BLOCKS;
    genesis
}

async fn start(dir: &Path, key: SecretKey, bootstrap: Vec<Multiaddr>) -> NodeHandle {
    let dir = dir.join(key.public_key().to_string());
    let listen = vec!["/ip4/127.0.0.1/tcp/0".parse().unwrap()];
    let mut network = NetworkConfig::new(key, genesis().hash(), listen);
    network.bootstrap = bootstrap;
    network.limits = NetworkLimits::loopback();
    let mut config = NodeConfig::dev(dir, genesis(), 0);
    config.genesis = GenesisSource::Exactly(genesis());
    config.ordering = OrderingConfig::Network {
        pace: Pace {
            block_time: Duration::from_millis(20),
            heartbeat: Duration::from_millis(200),
        },
        network: Box::new(network),
    };
    Node::start(config).await.unwrap()
}

/// A node of a network one of whose four validators has left. The others have stopped: the chain stands still.
async fn node_of_changed_network(dir: &Path) -> NodeHandle {
    let mut nodes: Vec<NodeHandle> = Vec::new();
    for key in keys() {
        let mut known = Vec::new();
        for node in &nodes {
            known.extend(node.network().unwrap().listening().await.unwrap());
        }
        nodes.push(start(dir, key, known).await);
    }
    let leaver = Account::of_key(validator(4));
    let call = ValidatorsCall::Leave(leaver.public_key());
    let leave = Draft::new(&genesis(), &leaver, 0)
        .gas_limit(5_000_000)
        .action(call.action(0))
        .sign();
    nodes[0].mempool().submit(leave).await.unwrap();
    let mut heads = nodes[0].heads();
    let reached = heads.wait_for(|tip| tip.height >= HEIGHT);
    let reached = tokio::time::timeout(DEADLINE, reached).await;
    reached.expect("the network does not go on").unwrap();
    let node = nodes.remove(0);
    for other in nodes {
        other.stop().await.unwrap();
    }
    node
}

#[track_caller]
fn assert_unproven<T: std::fmt::Debug>(result: Result<T, ClientError>, why: &str) {
    match result {
        Err(ClientError::Unproven { reason }) => assert!(reason.contains(why), "{reason}"),
        other => panic!("{why}: {other:?}"),
    }
}

#[track_caller]
fn assert_unreached<T: std::fmt::Debug>(result: Result<T, ClientError>, why: &str) {
    match result {
        Err(ClientError::Unreached { reason, .. }) => assert!(reason.contains(why), "{reason}"),
        other => panic!("{why}: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_network_whose_validators_changed_is_followed_and_lies_about_it_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let node = node_of_changed_network(dir.path()).await;
    let url = format!("http://{}", node.rpc_address());
    let client = Client::connect(&url, Some(genesis().hash())).await.unwrap();
    follow_from_genesis(&client).await;
    follow_from_a_block(&client).await;
    refuse_lies(&node).await;
    node.stop().await.unwrap();
}

async fn follow_from_genesis(client: &Client) {
    let mut anchor = client.proof_anchor().await.unwrap();
    let key = state_key::validators();
    for (at, epoch) in [(33, 4), (2, 0), (6, 1), (20, 2)] {
        let proven = client.proven_state(&mut anchor, &key, None, Some(at)).await;
        let (proven, _) = proven.unwrap();
        assert_eq!((proven.height, proven.epoch), (at, epoch));
    }
    assert_eq!(anchor.newest().epoch(), 4);
    let sizes = [
        client.validators_of(&mut anchor, 0).await.unwrap(),
        client.validators_of(&mut anchor, 4).await.unwrap(),
    ];
    assert_eq!(sizes.map(|one| one.validators().keys().len()), [4, 3]);
    for height in [0, 7, 8, 31, 33] {
        let header = client.proven_header(&mut anchor, height).await.unwrap();
        assert_eq!(header.height, height);
    }
    // As where only the second of two blocks has a certificate.
    let first = client.finality(17).await.unwrap().to_proof().unwrap();
    let mut second = client.finality(18).await.unwrap().to_proof().unwrap();
    second.headers.insert(0, first.headers[0].clone());
    let (header, _) = client.decided(&mut anchor, &second).await.unwrap();
    assert_eq!(header.height, 17);
    // Before any question is asked.
    let far = anchor.nearest(EPOCHS_MAX + 5);
    assert_unreached(far, "more than 10000");
}

async fn follow_from_a_block(client: &Client) {
    let hash = client.header(Some(20)).await.unwrap().header.hash;
    let mut anchor = client.proof_anchor_at(20, hash).await.unwrap();
    assert_eq!(anchor.first_epoch(), 2);
    for height in [16, 20, 23, 33] {
        client.proven_header(&mut anchor, height).await.unwrap();
    }
    let before = client.proven_header(&mut anchor, 15).await;
    assert_unreached(before, "lies before");
    let other = client.proof_anchor_at(21, hash).await;
    assert_unproven(other, "trusted is");
}

async fn refuse_lies(node: &NodeHandle) {
    let proxy = Proxy::to(node.rpc_address()).await;
    let client = Client::connect(&proxy.url(), Some(genesis().hash()))
        .await
        .unwrap();
    let fresh = client.proof_anchor().await.unwrap();
    let mut anchor = fresh.clone();
    proxy.rewrite(r#""version":1"#, r#""version":2"#);
    let altered = client.proven_header(&mut anchor, 1).await;
    assert_unproven(altered, "protocol version");
    let altered = client.validators_of(&mut anchor, 1).await;
    assert_unproven(altered, "the end of epoch 0");

    // The set of the next epoch, with a key that nobody voted in.
    let stranger = validator(99).public_key().to_string();
    proxy.rewrite(&validator(1).public_key().to_string(), &stranger);
    let other = client.validators_of(&mut anchor, 1).await;
    assert_unproven(other, "other validators");

    // The end of another epoch, and one that the node does not have.
    proxy.rewrite(r#"{"epoch":1}"#, r#"{"epoch":0}"#);
    let repeated = client.validators_of(&mut anchor, 2).await;
    assert_unproven(repeated, "does not end the epoch");
    proxy.rewrite(r#"{"epoch":1}"#, r#"{"epoch":9}"#);
    let missing = client.validators_of(&mut anchor, 2).await;
    assert_unreached(missing, "how epoch 1 ended");

    // Heights whose epochs never came: the walk ends where the signed ends of epochs do, or does not begin.
    proxy.rewrite_nothing();
    for (height, why) in [
        (99, "does not show how epoch"),
        (1 << 40, "more than 10000"),
    ] {
        let mut anchor = fresh.clone();
        let mut claimed = client.finality(33).await.unwrap().to_proof().unwrap();
        claimed.headers[0].height = height;
        let claimed = client.decided(&mut anchor, &claimed).await;
        assert_unreached(claimed, why);
        assert!(anchor.newest().epoch() < 12);
    }

    // Another genesis, with another validator.
    let key = |number| hex::encode(validator(number).public_key().0);
    proxy.rewrite(&key(1), &key(99));
    assert_unproven(client.proof_anchor().await, "genesis hashes to");
}
