//! Peers that mean harm, on every protocol that a node can speak, neither fork nor stall nor fill the nodes.

use std::time::Duration;

use kumiki_chaos::{HostilePlan, hostile};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn peers_that_mean_harm_neither_fork_nor_stall_nor_fill_the_nodes() {
    let plan = HostilePlan {
        each: Duration::from_secs(5),
        rounds: 1,
        seed: 23,
    };
    let report = hostile(&plan).await.unwrap();
    println!("{report:?}");
    assert_eq!(report.broken, Vec::<String>::new());
    assert!(
        report.acknowledged > 100,
        "honest clients were not served: {report:?}"
    );
}
