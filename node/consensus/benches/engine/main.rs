//! Measure what our driver costs beside the engine it drives: empty heights per second and processor time, of
//! validators in one process over the engine's own network.
//!
//! `cargo bench -p kumiki-consensus --bench engine -- [VALIDATORS] [SECONDS]`. Beside it stands
//! `cargo bench -p kumiki-node --bench network -- [VALIDATORS] [SECONDS]`: whole nodes over our network.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a bench that cannot run should say so, and prints what it measures"
)]

mod alone;
mod driven;
mod wire;

use std::time::{Duration, Instant};

use ::tokio::sync::watch;
use commonware_runtime::{Clock, Runner as _, tokio};
use kumiki_protocol::SecretKey;
use kumiki_testkit::validator;

/// What runs on each validator of a bench: it tells the heights it has finalized.
pub(crate) type Heights = watch::Sender<u64>;

/// The longest wait for votes: nothing is lost here, so none should end early.
pub(crate) const PATIENCE: Duration = Duration::from_secs(2);

fn main() {
    let mut numbers = std::env::args().skip(1).filter_map(|one| one.parse().ok());
    let validators = u8::try_from(numbers.next().unwrap_or(4)).unwrap();
    let seconds = numbers.next().unwrap_or(10);
    println!(
        "{validators} validators in one process over the engine's own network, {seconds} s each:"
    );
    measure("engine alone", validators, seconds, |env, keys, heights| {
        alone::start(env, keys, heights)
    });
    measure("our driver", validators, seconds, |env, keys, heights| {
        driven::start(env, keys, heights)
    });
}

fn measure(
    name: &str,
    validators: u8,
    seconds: u64,
    start: fn(&tokio::Context, &[SecretKey], &Heights),
) {
    let folder = tempfile::tempdir().unwrap();
    let config = tokio::Config::new()
        .with_storage_directory(folder.path())
        .with_worker_threads(2);
    let mut keys: Vec<SecretKey> = (0..validators).map(validator).collect();
    keys.sort_by_key(SecretKey::public_key);
    tokio::Runner::new(config).start(|env| async move {
        let (heights, mut seen) = watch::channel(0);
        start(&env, &keys, &heights);
        // Connections are made and everything is warm.
        seen.wait_for(|height| *height >= 20).await.unwrap();
        let (first, cpu, begin) = (*seen.borrow(), cpu_seconds(), Instant::now());
        env.sleep(Duration::from_secs(seconds)).await;
        let blocks = *seen.borrow() - first;
        #[expect(clippy::cast_precision_loss, reason = "heights of a bench are small")]
        let blocks = blocks as f64;
        println!(
            "{name}: {:.1} heights/s, {:.2} ms CPU per height and validator",
            blocks / begin.elapsed().as_secs_f64(),
            1_000.0 * (cpu_seconds() - cpu) / blocks / f64::from(validators),
        );
    });
}

/// Processor time of this process so far: user and system, in hundredths of a second in `/proc`.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields = stat.rsplit(')').next().unwrap().split_whitespace();
    let ticks: u32 = fields
        .skip(11)
        .take(2)
        .map(|one| one.parse::<u32>().unwrap())
        .sum();
    f64::from(ticks) / 100.0
}
