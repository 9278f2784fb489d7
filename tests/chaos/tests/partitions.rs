//! Validators on machines of their own, whose wires are cut: who can form a quorum goes on, nobody forks, and all go on
//! once the wires are whole.

#![expect(clippy::unwrap_used, reason = "a failing test panics")]

use std::time::{Duration, Instant};

use kumiki_chaos::{Cluster, Load, World, check, enter, opening};

/// How long each cut lasts: longer than what a node takes to give up a dead connection.
const CUT: Duration = Duration::from_secs(30);
/// Heights that stood still for so long stand still for good, where nobody can decide.
const STILL: Duration = Duration::from_secs(5);
/// Healed within 10 s, says the goal: three times 10 s of looks, which a busy machine stretches.
const HEALED_LOOKS: u32 = 600;
/// Patience with those that go on.
const LOOKS: u32 = 1_200;

/// What is cut, from whom to whom, and who goes on all the same.
struct Case {
    name: &'static str,
    cut: &'static [(usize, usize)],
    goes_on: &'static [usize],
    stands_still: &'static [usize],
}

/// Three of four are a quorum.
const CASES: [Case; 5] = [
    Case {
        name: "a minority of one is cut off",
        cut: &[(3, 0), (3, 1), (3, 2), (0, 3), (1, 3), (2, 3)],
        goes_on: &[0, 1, 2],
        stands_still: &[3],
    },
    Case {
        name: "a majority is cut off, each alone",
        cut: &[
            (0, 1),
            (0, 2),
            (0, 3),
            (1, 0),
            (1, 2),
            (1, 3),
            (2, 0),
            (2, 1),
            (2, 3),
            (3, 0),
            (3, 1),
            (3, 2),
        ],
        goes_on: &[],
        stands_still: &[0, 1, 2, 3],
    },
    Case {
        name: "split in half",
        cut: &[
            (0, 2),
            (0, 3),
            (1, 2),
            (1, 3),
            (2, 0),
            (2, 1),
            (3, 0),
            (3, 1),
        ],
        goes_on: &[],
        stands_still: &[0, 1, 2, 3],
    },
    Case {
        name: "one way: nobody hears one",
        cut: &[(1, 0), (1, 2), (1, 3)],
        goes_on: &[0, 2, 3],
        stands_still: &[],
    },
    Case {
        name: "one way: one hears nobody",
        cut: &[(0, 2), (1, 2), (3, 2)],
        goes_on: &[0, 1, 3],
        stands_still: &[2],
    },
];

/// Waits until none of `nodes` has moved for a while, and gives back their heights.
async fn stand_still(cluster: &Cluster, nodes: &[usize]) -> Vec<Option<u64>> {
    let heights = async || {
        let mut all = Vec::new();
        for node in nodes {
            all.push(cluster.nodes.height(*node).await);
        }
        all
    };
    let (mut last, mut since) = (heights().await, Instant::now());
    while since.elapsed() < STILL {
        tokio::time::sleep(Duration::from_millis(200)).await;
        let now = heights().await;
        if now != last {
            (last, since) = (now, Instant::now());
        }
    }
    last
}

async fn hold(cluster: &Cluster, case: &Case) -> Result<Duration, String> {
    let begun = Instant::now();
    cluster.cut(case.cut)?;
    let still = stand_still(cluster, case.stands_still).await;
    let highest = async || {
        let mut highest = 0;
        for node in 0..cluster.nodes.rpc.len() {
            highest = highest.max(cluster.nodes.height(node).await.unwrap_or(0));
        }
        highest
    };
    // Decisions that were under way are made by now: these are new.
    let before = highest().await;
    for node in case.goes_on {
        cluster.nodes.higher_than(before + 3, *node, LOOKS).await?;
    }
    tokio::time::sleep(CUT.saturating_sub(begun.elapsed())).await;
    for node in case.goes_on {
        let now = highest().await;
        cluster.nodes.higher_than(now, *node, LOOKS).await?;
    }
    for (node, height) in case.stands_still.iter().zip(still) {
        let now = cluster.nodes.height(*node).await;
        if now != height {
            return Err(format!("node {node} went from {height:?} to {now:?}"));
        }
    }
    for (_, to) in case.cut {
        if cluster.lost(*to)? == 0 {
            return Err(format!(
                "nothing was lost on the way to {to}: there was no cut"
            ));
        }
    }
    let (at, healed) = (highest().await, Instant::now());
    cluster.heal()?;
    for node in 0..cluster.nodes.rpc.len() {
        cluster.nodes.higher_than(at, node, HEALED_LOOKS).await?;
    }
    Ok(healed.elapsed())
}

async fn run() {
    let cluster = Cluster::start(4).await.unwrap();
    let opening = opening(&cluster.nodes).await.unwrap();
    let load = Load::start(&cluster.nodes, 3);
    for case in &CASES {
        let healed_in = hold(&cluster, case).await;
        let healed_in = healed_in.map_err(|error| format!("{}: {error}", case.name));
        println!(
            "{}: every node has a new block {:?} after healing",
            case.name,
            healed_in.unwrap()
        );
    }
    let told = load.finish().await;
    let broken = check(&cluster.nodes, opening, &told).await.unwrap();
    println!("{} transactions acknowledged", told.transactions.len());
    assert_eq!(broken, Vec::<String>::new());
    assert!(told.transactions.len() > 100, "there was no load");
}

#[test]
fn cut_off_validators_stall_or_go_on_and_never_fork() {
    match enter("cut_off_validators_stall_or_go_on_and_never_fork").unwrap() {
        World::Inside => tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap()
            .block_on(run()),
        World::Done => {}
        World::Missing(skipped) => println!("{skipped}"),
    }
}
