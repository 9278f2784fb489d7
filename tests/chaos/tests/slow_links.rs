//! `kumiki localnet fault delay` and `drop`: what they do can be seen, and nothing stays of it after `heal`.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that finds nothing should fail"
)]

use std::time::{Duration, Instant};

use kumiki_chaos::{Load, Net, check, opening};
use kumiki_client::{Client, Draft};
use kumiki_wallet::dev_account;

/// Of all that a delayed node sends or receives.
const DELAY: Duration = Duration::from_millis(400);
/// There and back.
const ROUND_TRIP: Duration = Duration::from_millis(800);
/// What a lost piece comes late by, in milliseconds.
const RESENT_MS: f64 = 200.0;
/// Looks until something is seen; a busy machine stretches them.
const LOOKS: u32 = 600;

/// Waits until the round trips that node 0 has measured, of each other node, are as `wanted` says.
async fn round_trips(net: &Net, wanted: impl Fn(&[f64]) -> bool) -> Vec<f64> {
    let mut measured = Vec::new();
    for _ in 0..LOOKS {
        let client = net.client_soon(0).await.unwrap();
        let peers = client.node_peers().await.unwrap();
        measured = peers.iter().filter_map(|peer| peer.rtt_ms).collect();
        measured.sort_by(f64::total_cmp);
        if measured.len() == 3 && wanted(&measured) {
            return measured;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("the round trips are {measured:?} ms");
}

/// The time from handing a transfer in at `client`'s node until it is final there.
async fn time_to_final(client: &Client) -> Duration {
    let accounts = dev_account::all();
    let (from, to) = (accounts.first().unwrap(), accounts.last().unwrap());
    let draft = Draft::transfer(to.address, 1);
    let prepared = client
        .prepare(&draft, &from.key.public_key())
        .await
        .unwrap();
    let begun = Instant::now();
    client.send(prepared.body, &from.key).await.unwrap();
    begun.elapsed()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn delays_and_losses_are_felt_and_healed() {
    let net = Net::start(4, 0, &[]).unwrap();
    let opening = opening(&net).await.unwrap();
    let client = net.client_soon(0).await.unwrap();
    let round_trip_ms = ROUND_TRIP.as_secs_f64() * 1_000.0;
    let fast = round_trips(&net, |all| all.iter().all(|rtt| *rtt < RESENT_MS)).await;
    let delay = DELAY.as_millis().to_string();
    net.localnet(&["fault", "delay", &delay, "2", "3"]).unwrap();
    // One of the three others is as near as before.
    let slow = round_trips(&net, |all| {
        all.iter().skip(1).all(|rtt| *rtt >= round_trip_ms)
    })
    .await;
    // Three of four must vote, so a delayed one has heard of the transfer, and is heard.
    let late = time_to_final(&client).await;
    assert!(late >= ROUND_TRIP, "final after {late:?}");
    net.localnet(&["fault", "heal"]).unwrap();
    let healed = round_trips(&net, |all| all.iter().all(|rtt| *rtt < RESENT_MS)).await;
    let mut soon = time_to_final(&client).await;
    for _ in 0..LOOKS {
        if soon < ROUND_TRIP {
            break;
        }
        soon = time_to_final(&client).await;
    }
    assert!(soon < ROUND_TRIP, "final after {soon:?}");
    println!("round trips in ms: {fast:.1?}, delayed {slow:.1?}, healed {healed:.1?}");
    println!("a transfer is final after {late:?} delayed, {soon:?} healed");

    net.localnet(&["fault", "drop", "40", "0", "1", "2", "3"])
        .unwrap();
    let load = Load::start(&net, 5);
    let lossy = round_trips(&net, |all| all.iter().any(|rtt| *rtt >= RESENT_MS)).await;
    println!("round trips with losses in ms: {lossy:.1?}");
    let height = net.height(0).await.unwrap();
    for node in 0..4 {
        net.higher_than(height + 5, node, LOOKS).await.unwrap();
    }
    net.localnet(&["fault", "heal"]).unwrap();
    round_trips(&net, |all| all.iter().all(|rtt| *rtt < RESENT_MS)).await;
    let height = net.height(0).await.unwrap();
    for node in 0..4 {
        net.higher_than(height + 5, node, LOOKS).await.unwrap();
    }
    let told = load.finish().await;
    let broken = check(&net, opening, &told).await.unwrap();
    assert_eq!(broken, Vec::<String>::new());
    assert!(told.transactions.len() > 20, "there was no load");
}
