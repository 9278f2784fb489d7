//! A write or sync that fails, in the chain or in the journals of the ordering engine, ends the node with a clear error;
//! what it acknowledged is there when it starts again.

#![expect(clippy::unwrap_used, reason = "a failing test panics")]

use std::path::{Path, PathBuf};

use kumiki_chaos::{Load, LoneNode, Strike, chain_file, check, opening, vote_journals};

/// Looks at a node that comes up or goes on; a busy machine stretches them.
const LOOKS: u32 = 2_400;
/// The program's exit code for a node that fails.
const NODE: i32 = 4;

/// A call that fails, and how.
struct Point {
    call: &'static str,
    error: &'static str,
    files: fn(&Path) -> Vec<PathBuf>,
}

const POINTS: [Point; 8] = [
    Point {
        call: "pwrite64",
        error: "EIO",
        files: chain_file,
    },
    Point {
        call: "fdatasync",
        error: "EIO",
        files: chain_file,
    },
    Point {
        call: "pwrite64",
        error: "ENOSPC",
        files: chain_file,
    },
    Point {
        call: "fdatasync",
        error: "ENOSPC",
        files: chain_file,
    },
    Point {
        call: "pwritev2",
        error: "EIO",
        files: vote_journals,
    },
    Point {
        call: "pwritev2",
        error: "ENOSPC",
        files: vote_journals,
    },
    Point {
        call: "fdatasync",
        error: "EIO",
        files: |data| cache(data, "verified"),
    },
    Point {
        call: "pwrite64",
        error: "ENOSPC",
        files: |data| cache(data, "finalizations"),
    },
];

fn cache(data: &Path, what: &str) -> Vec<PathBuf> {
    let name = format!("marshal-cache-cache-0-{what}-value");
    vec![data.join("consensus").join(name).join("0000000000000000")]
}

async fn fail(node: &mut LoneNode, point: &Point, trace: &Path) {
    let pid = node.pid().unwrap().to_string();
    let files = (point.files)(&node.data());
    let aimed = Strike::fail(&pid, (point.call, point.error), &files, trace).unwrap();
    let failed = tokio::task::spawn_blocking(move || aimed.failed());
    let failed = failed.await.unwrap().unwrap();
    let code = node.ended().await.unwrap();
    let log = node.nodes.log(0);
    println!("{failed}");
    assert_eq!(code, Some(NODE), "{log}");
    let reason = match point.error {
        "EIO" => "Input/output error",
        _ => "No space left on device",
    };
    assert!(log.contains(reason), "{reason} is not told: {log}");
    assert!(log.contains("next:"), "no advice: {log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failing_write_or_sync_ends_the_node_and_loses_nothing() {
    // What this holds the node to is too much to be passed over in silence.
    assert_eq!(Strike::missing().unwrap(), None);
    let scratch = tempfile::tempdir().unwrap();
    let mut node = LoneNode::make(scratch.path()).unwrap();
    node.start().unwrap();
    let mut height = node.nodes.higher_than(1, 0, LOOKS).await.unwrap();
    let opening = opening(&node.nodes).await.unwrap();
    let load = Load::start(&node.nodes, 3);
    for (number, point) in POINTS.iter().enumerate() {
        let trace = scratch.path().join(format!("trace-{number}"));
        fail(&mut node, point, &trace).await;
        node.start().unwrap();
        height = node.nodes.higher_than(height + 1, 0, LOOKS).await.unwrap();
    }
    let told = load.finish().await;
    let broken = check(&node.nodes, opening, &told).await.unwrap();
    assert_eq!(broken, Vec::<String>::new());
    assert!(told.transactions.len() > 50, "there was no load");
    println!("{} acknowledged, all there", told.transactions.len());
    assert_eq!(node.stop().await.unwrap(), Some(0));
}
