//! Validators join and leave at every epoch, under load, without a gap.

use kumiki_chaos::{TurnoverPlan, turnover};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn validators_come_and_go_at_every_epoch_under_load() {
    let plan = TurnoverPlan {
        epoch_blocks: 48,
        changes: 5,
        seed: 3,
    };
    let report = turnover(&plan).await.unwrap();
    println!("{report:?}");
    assert_eq!(report.broken, Vec::<String>::new());
    assert!(report.acknowledged > 100, "{report:?}");
}
