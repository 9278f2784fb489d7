//! Callers of the RPC that mean harm neither stop nor slow nor fill a validator, and honest ones beside them are served.

use std::time::Duration;

use kumiki_chaos::rpc_attack::ATTACKS;
use kumiki_chaos::{RpcPlan, attack_rpc};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callers_that_mean_harm_neither_stop_nor_fill_a_validator_and_honest_ones_are_served() {
    let plan = RpcPlan {
        attacks: ATTACKS.iter().collect(),
        window: Duration::from_secs(1),
        quiet: Duration::from_millis(100),
        // Honest transactions go through the node that is attacked.
        through: 0,
        growth_kib_max: 384 << 10,
        program: env!("CARGO_BIN_EXE_kumiki-chaos").into(),
    };
    let report = attack_rpc(&plan).await.unwrap();
    println!(
        "{} acknowledged, tried again: {:?}",
        report.acknowledged, report.failures
    );
    assert_eq!(report.broken, Vec::<String>::new());
    assert_eq!(report.rows.len(), ATTACKS.len());
}
