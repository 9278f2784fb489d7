//! Measure networks that are made for it, and see that they are gone afterwards.

#![expect(clippy::unwrap_used, reason = "set-up that fails should fail the test")]

use std::path::{Path, PathBuf};
use std::time::Instant;

use kumiki_integration::localnet::{DEADLINE, Machine};

/// The folders of networks that were made in `folder` and are still there.
fn networks(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap();
    entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.to_string_lossy().contains("kumiki-localnet-"))
        .collect()
}

/// Whether a process runs that was started for what lies in `folder`.
fn runs_in(folder: &Path) -> bool {
    let folder = folder.display().to_string();
    std::fs::read_dir("/proc").unwrap().any(|entry| {
        let command = std::fs::read(entry.unwrap().path().join("cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&command).contains(&folder)
    })
}

#[test]
fn a_short_run_measures_a_network_with_one_offline_and_leaves_nothing() {
    let machine = Machine::new();
    let report = machine.json(&[
        "bench",
        "--localnet",
        "4",
        "--offline",
        "1",
        "--seconds",
        "2",
        "--kind",
        "native",
        "--rate",
        "200",
    ]);
    let load = &report["loads"][0];
    assert!(load["transactions"].as_u64().unwrap() > 0, "{report:#}");
    assert!(load["idle"]["p50Ms"].as_f64().unwrap() > 0.0);
    assert!(load["loaded"]["p99Ms"].as_f64().unwrap() > 0.0);
    assert_eq!(load["cost"]["nodes"], 3);
    for cost in [
        "cpuMsPerHeight",
        "cpuMicrosPerTransaction",
        "sentBytesPerTransaction",
    ] {
        assert!(load["cost"][cost].as_f64().unwrap() > 0.0, "{report:#}");
    }
    assert!(report["empty"]["heights"].as_u64().unwrap() > 0);
    assert!(report["empty"]["cost"]["sentBytesPerHeight"].as_f64() > Some(0.0));
    assert!(networks(machine.path()).is_empty());
    assert!(!runs_in(machine.path()));
}

#[test]
fn an_emulated_delay_is_in_every_time() {
    let machine = Machine::new();
    let report = machine.json(&[
        "bench",
        "--localnet",
        "4",
        "--delay-ms",
        "25",
        "--seconds",
        "2",
        "--kind",
        "native",
        "--rate",
        "200",
    ]);
    let idle = &report["loads"][0];
    // A proposal and two votes, one after the other, whatever the machine.
    assert!(idle["idle"]["p50Ms"].as_f64() > Some(75.0), "{report:#}");
    assert!(idle["idleDelays"].as_f64() > Some(3.0), "{report:#}");
    assert_eq!(report["goalMs"], 137.5);
}

#[test]
fn a_run_that_is_stopped_leaves_no_process_and_no_folder() {
    let machine = Machine::new();
    let running = machine.start(&["bench", "--localnet", "4", "--kind", "native"]);
    let deadline = Instant::now() + DEADLINE;
    while !networks(machine.path())
        .iter()
        .any(|folder| folder.join("node-3/pid").is_file())
    {
        assert!(Instant::now() < deadline, "no network is started");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    assert!(runs_in(machine.path()));
    assert_eq!(running.stop(), Some(130));
    assert!(networks(machine.path()).is_empty());
    while runs_in(machine.path()) {
        assert!(Instant::now() < deadline, "a process is left");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

#[test]
fn a_network_that_could_decide_nothing_is_refused() {
    let machine = Machine::new();
    let refused = machine.failure(&["bench", "--localnet", "4", "--offline", "2"], 2);
    assert!(refused.contains("at most 1 of 4"), "{refused}");
}
