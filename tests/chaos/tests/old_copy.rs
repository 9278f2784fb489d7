//! A validator whose folder is restored from an old copy votes for nothing twice: it waits until that is safe.

#![expect(clippy::unwrap_used, reason = "a failing test panics")]

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kumiki_chaos::{Load, Net, check, opening};

const NODE: usize = 3;
/// Generous: the machine may be busy.
const DEADLINE: Duration = Duration::from_secs(90);

fn copy(from: &Path, to: &Path) {
    let copied = std::process::Command::new("cp")
        .arg("-a")
        .args([from, to])
        .status()
        .unwrap();
    assert!(copied.success());
}

/// Waits until the node has logged `words`.
async fn logged(net: &Net, words: &str) {
    let end = Instant::now() + DEADLINE;
    while !net.log(NODE).contains(words) {
        assert!(
            Instant::now() < end,
            "'{words}' is not logged; {}",
            net.log_end(NODE)
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_old_copy_of_a_folder_votes_again_only_when_it_is_safe() {
    let net = Arc::new(Net::start(4, 0, &[]).unwrap());
    let opening = opening(&net).await.unwrap();
    let node = NODE.to_string();
    let folder = net.folder(NODE);
    let backup = tempfile::tempdir().unwrap();
    let load = Load::start(&net, 7);
    tokio::time::sleep(Duration::from_secs(2)).await;
    net.localnet(&["fault", "kill", &node]).unwrap();
    copy(&folder, &backup.path().join("copy"));
    net.localnet(&["fault", "restart", &node]).unwrap();
    // It votes again, in views that the copy knows nothing of.
    tokio::time::sleep(Duration::from_secs(4)).await;
    net.localnet(&["fault", "kill", &node]).unwrap();
    std::fs::remove_dir_all(&folder).unwrap();
    copy(&backup.path().join("copy"), &folder);
    net.localnet(&["fault", "restart", &node]).unwrap();
    logged(&net, "the folder is an old copy").await;
    logged(&net, "it votes again").await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let mut told = load.finish().await;
    // The copy is older than what the node has shown before, so its head did go back.
    let went_back = format!("node {NODE} showed height");
    told.broken.retain(|one| !one.starts_with(&went_back));
    let broken = check(&net, opening, &told).await.unwrap();
    assert_eq!(broken, Vec::<String>::new());
}
