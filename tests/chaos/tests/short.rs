//! Short runs of what `cargo xtask chaos` does for as long as one likes.

#![expect(clippy::unwrap_used, reason = "a failing test panics")]

use std::time::Duration;

use kumiki_chaos::{Faults, Plan, run};

const PLAN: Plan = Plan {
    validators: 4,
    full_nodes: 0,
    duration: Duration::from_secs(25),
    interval: Duration::from_secs(5),
    faults: Faults::Kill,
    seed: 1,
};

async fn hold(plan: Plan) {
    let report = run(&plan).await.unwrap();
    println!("{report:?}");
    assert_eq!(report.broken, Vec::<String>::new());
    assert!(report.acknowledged > 100, "{report:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_nodes_lose_nothing_that_was_acknowledged() {
    hold(PLAN).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn paused_cut_off_and_killed_nodes_come_back_to_one_chain() {
    hold(Plan {
        faults: Faults::All,
        full_nodes: 1,
        seed: 2,
        ..PLAN
    })
    .await;
}
