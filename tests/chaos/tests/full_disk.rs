//! A disk that is full, and one that turns read-only, stop a node with a clear error; nothing is lost, and with a sound
//! disk it goes on.

#![expect(clippy::unwrap_used, reason = "a failing test panics")]

use kumiki_chaos::{Load, LoneNode, SmallDisk, World, check, enter, opening};

/// Looks at a node that comes up or goes on; a busy machine stretches them.
const LOOKS: u32 = 2_400;
/// The program's exit codes for what the system refuses, and for a node that fails.
const SYSTEM: i32 = 1;
const NODE: i32 = 4;

/// What the system says where there is no room, and of a file system that has given up; the ordering engine repeats it
/// for some of its files only.
const FULL: [&str; 2] = ["No space left on device", "WriteFailed"];
const GIVEN_UP: [&str; 3] = ["Read-only file system", "Input/output error", "WriteFailed"];

/// It has ended by itself, saying why.
async fn ended_with(node: &mut LoneNode, reasons: &[&str]) {
    let code = node.ended().await.unwrap();
    let log = node.nodes.log(0);
    assert!(matches!(code, Some(SYSTEM | NODE)), "{code:?}; {log}");
    let told = reasons.iter().any(|reason| log.contains(reason));
    assert!(told, "none of {reasons:?} is told; {log}");
    assert!(log.contains("next:"), "no advice; {log}");
}

async fn goes_on(node: &mut LoneNode, height: u64) -> u64 {
    node.start().unwrap();
    node.nodes.higher_than(height + 1, 0, LOOKS).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_or_read_only_disk_stops_a_node_and_loses_nothing() {
    match enter("a_full_or_read_only_disk_stops_a_node_and_loses_nothing").unwrap() {
        World::Inside => {}
        World::Done => return,
        // What this holds the node to is too much to be passed over in silence.
        World::Missing(why) => panic!("{why}"),
    }
    let scratch = tempfile::tempdir().unwrap();
    let disk = SmallDisk::make(scratch.path(), 128).unwrap();
    let mut node = LoneNode::make(&disk.folder).unwrap();
    node.start().unwrap();
    let mut height = node.nodes.higher_than(2, 0, LOOKS).await.unwrap();
    let opening = opening(&node.nodes).await.unwrap();
    let load = Load::start(&node.nodes, 5);
    for _ in 0..3 {
        disk.fill().unwrap();
        ended_with(&mut node, &FULL).await;
        // Still full: it says so again, at once or as soon as it needs room.
        node.start().unwrap();
        ended_with(&mut node, &FULL).await;
        disk.make_room().unwrap();
        height = goes_on(&mut node, height).await;
    }
    for _ in 0..3 {
        disk.give_up().unwrap();
        ended_with(&mut node, &GIVEN_UP).await;
        node.start().unwrap();
        ended_with(&mut node, &GIVEN_UP).await;
        disk.mount_again().unwrap();
        height = goes_on(&mut node, height).await;
    }
    let told = load.finish().await;
    let broken = check(&node.nodes, opening, &told).await.unwrap();
    assert_eq!(broken, Vec::<String>::new());
    assert!(told.transactions.len() > 50, "there was no load");
    println!("{} acknowledged, all there", told.transactions.len());
    assert_eq!(node.stop().await.unwrap(), Some(0));
}
