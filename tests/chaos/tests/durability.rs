//! Kill a validator exactly where something becomes durable, with strace, and hold the network to its promises.
//!
//! A killed process leaves what it wrote to the kernel, synced or not. So where the kill is before a sync, what that
//! sync would have made durable is taken away, as a power failure may.

#![expect(clippy::unwrap_used, reason = "a failing test panics")]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use kumiki_chaos::{Hit, Load, Net, Strike, chain_file, check, opening, vote_journals};

/// Looks at a node that goes on; a busy machine stretches them.
const LOOKS: u32 = 1_200;

/// A place where the process is killed.
struct Point {
    name: &'static str,
    call: &'static str,
    files: fn(&Path) -> Vec<PathBuf>,
    loses: Loss,
}

/// What a power failure takes with it.
enum Loss {
    Nothing,
    /// What was written last and not synced.
    Write,
    /// The end of files that are never synced: the chain has what is in them.
    Archives,
}

const POINTS: [Point; 9] = [
    Point {
        name: "a vote, before it is in the journal",
        call: "pwritev2",
        files: vote_journals,
        loses: Loss::Nothing,
    },
    Point {
        name: "a vote, in the journal and not synced",
        call: "fdatasync",
        files: vote_journals,
        loses: Loss::Write,
    },
    Point {
        name: "a proposed block, before it is in the cache",
        call: "pwrite64",
        files: |data| file(data, "marshal-cache-cache-0-verified-value"),
        loses: Loss::Nothing,
    },
    Point {
        name: "a proposed block, in the cache and not synced",
        call: "fdatasync",
        files: |data| file(data, "marshal-cache-cache-0-verified-value"),
        loses: Loss::Write,
    },
    Point {
        name: "a certificate, before it is in the cache",
        call: "pwrite64",
        files: |data| file(data, "marshal-cache-cache-0-finalizations-value"),
        loses: Loss::Nothing,
    },
    Point {
        name: "a certificate, in the cache and not synced",
        call: "fdatasync",
        files: |data| file(data, "marshal-cache-cache-0-finalizations-value"),
        loses: Loss::Write,
    },
    Point {
        name: "a decided block, while it is committed",
        call: "pwrite64",
        files: chain_file,
        loses: Loss::Nothing,
    },
    Point {
        name: "a commit, written and not synced",
        call: "fdatasync",
        files: chain_file,
        loses: Loss::Archives,
    },
    Point {
        name: "a committed block, before the engine has noted it",
        call: "pwritev2",
        files: |data| {
            let notes = data.join("consensus/marshal-application-metadata");
            vec![notes.join("6c656674"), notes.join("7269676874")]
        },
        loses: Loss::Nothing,
    },
];

fn file(data: &Path, name: &str) -> Vec<PathBuf> {
    vec![data.join("consensus").join(name).join("0000000000000000")]
}

/// Takes away what was written last and not synced. These files only grow.
fn lose(hit: &Hit) {
    if let Some(length) = hit.written_at {
        let file = std::fs::OpenOptions::new().write(true).open(&hit.file);
        file.unwrap().set_len(length).unwrap();
    }
}

/// Takes away the second half of each archive, whose files also only grow.
fn lose_archives(data: &Path) {
    for name in [
        "blocks-keys",
        "blocks-values",
        "certificates-keys",
        "certificates-values",
    ] {
        for path in file(data, &format!("newest-{name}")) {
            let file = std::fs::OpenOptions::new().write(true).open(path).unwrap();
            let length = file.metadata().unwrap().len();
            assert!(length > 0, "there is nothing to lose");
            file.set_len(length / 2).unwrap();
        }
    }
}

async fn strike(net: &Arc<Net>, point: &Point, node: usize, trace: &Path) -> Result<(), String> {
    let folder = net.folder(node);
    let pid = std::fs::read_to_string(folder.join("pid")).map_err(|error| error.to_string())?;
    let files = (point.files)(&folder.join("data"));
    let aimed = Strike::aim(pid.trim(), point.call, &files, trace)?;
    let hit = tokio::task::spawn_blocking(move || aimed.wait());
    let hit = hit.await.map_err(|error| error.to_string())??;
    if !files.contains(&hit.file) {
        return Err(format!("{} is none of {files:?}", hit.file.display()));
    }
    println!("{}: killed at {}", point.name, hit.line);
    let name = node.to_string();
    // Reaps it; it is dead already.
    net.localnet(&["fault", "kill", &name])?;
    match point.loses {
        Loss::Nothing => {}
        Loss::Write => lose(&hit),
        Loss::Archives => lose_archives(&folder.join("data")),
    }
    net.localnet(&["fault", "restart", &name])?;
    // It goes on with the others: two blocks after the highest that any has now.
    let highest = highest(net).await;
    net.higher_than(highest + 1, node, LOOKS).await.map(drop)
}

async fn highest(net: &Net) -> u64 {
    let mut highest = 0;
    for node in 0..net.rpc.len() {
        highest = highest.max(net.height(node).await.unwrap_or(0));
    }
    highest
}

/// Kills all at once under load and takes the end of what was not synced, so that nobody has what the others lost.
async fn black_out(net: &Net) -> Result<(), String> {
    let before = highest(net).await;
    net.localnet(&["fault", "kill", "0", "1", "2", "3"])?;
    for node in 0..4 {
        lose_archives(&net.folder(node).join("data"));
    }
    net.localnet(&["fault", "restart", "0", "1", "2", "3"])?;
    for node in 0..4 {
        net.higher_than(before + 2, node, LOOKS).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_validator_killed_where_something_becomes_durable_loses_nothing() {
    if let Some(skipped) = Strike::missing().unwrap() {
        println!("{skipped}");
        return;
    }
    let net = Arc::new(Net::start(4, 0, &[]).unwrap());
    let opening = opening(&net).await.unwrap();
    let load = Load::start(&net, 11);
    let traces = tempfile::tempdir().unwrap();
    for (number, point) in POINTS.iter().enumerate() {
        let trace = traces.path().join(number.to_string());
        let struck = strike(&net, point, number % 4, &trace).await;
        struck
            .map_err(|error| format!("{}: {error}", point.name))
            .unwrap();
    }
    for _ in 0..3 {
        black_out(&net).await.unwrap();
    }
    let told = load.finish().await;
    let broken = check(&net, opening, &told).await.unwrap();
    assert_eq!(broken, Vec::<String>::new());
    assert!(told.transactions.len() > 100, "there was no load");
    for node in 0..4 {
        // Else a vote had left that is not in the journal.
        assert!(
            !net.log(node).contains("the folder is an old copy"),
            "{}",
            net.log_end(node)
        );
    }
}
