//! Load a whole node for a moment, over its real port.
//!
//! `KUMIKI_BENCH_SECONDS` makes the run longer; the report is printed with `--nocapture`.

use kumiki_bench::{Load, Options, run};
use kumiki_node::{Node, NodeConfig, dev_genesis, system_clock};
use kumiki_wallet::dev_account;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_short_run_counts_what_became_final() {
    let seconds = std::env::var("KUMIKI_BENCH_SECONDS").map_or(1, |text| text.parse().unwrap());
    let alice = dev_account::find("alice").unwrap();
    let dir = tempfile::tempdir().unwrap();
    let now = system_clock()();
    let genesis = dev_genesis(&[alice.address], 1 << 100, now);
    let node = Node::start(NodeConfig::dev(dir.path().to_owned(), genesis, 0))
        .await
        .unwrap();
    let options = Options {
        seconds,
        ..Options::standard(
            format!("http://{}", node.rpc_address()),
            alice.key,
            Load::Native,
        )
    };
    let report = run(&options, |doing| println!("{doing}")).await.unwrap();
    println!("{report}");
    assert!(report.transactions > 0 && report.blocks > 0);
    assert!(report.idle.count > 0 && report.loaded.count > 0);
    assert!(
        report.stages.iter().all(|stage| stage.share > 0.0),
        "{report}"
    );
    node.stop().await.unwrap();
}
