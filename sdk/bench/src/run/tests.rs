//! Drive a chain that makes nothing final.

use kumiki_consensus::Sealing;
use kumiki_node::{Node, NodeConfig, dev_genesis};
use kumiki_wallet::dev_account;

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transaction_that_never_becomes_final_ends_the_run_and_is_named() {
    let alice = dev_account::find("alice").unwrap();
    let dir = tempfile::tempdir().unwrap();
    let genesis = dev_genesis(&[alice.address], 1 << 100, 1_700_000_000_000);
    let mut config = NodeConfig::dev(dir.path().to_owned(), genesis, 0);
    config = config.sealed(Sealing::Every(Duration::from_secs(24 * 3_600)));
    let node = Node::start(config).await.unwrap();
    let url = format!("http://{}", node.rpc_address());
    let options = Options::standard(url, alice.key, Load::Native);
    let patience = Duration::from_secs(1);
    let run = run_with(&options, patience, |_doing| {});
    let ended = tokio::time::timeout(Duration::from_secs(60), run).await;
    match ended.expect("no end") {
        Err(BenchError::Stalled { what, hash, .. }) => {
            assert_eq!(what, "set-up transaction");
            assert!(node.mempool().contains(&hash));
        }
        other => panic!("ended with {other:?}"),
    }
    node.stop().await.unwrap();
}
