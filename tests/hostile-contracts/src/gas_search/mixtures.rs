//! Mix what the worst kernels do, at random from a seed, and keep what is worse than they are.

use std::time::{Duration, Instant};

use kumiki_testkit::Random;

use super::kernel::{Costs, Kernel, Keys, ring};
use super::measuring::Measuring;

/// The subject under which mixtures are reported: they are no instruction's.
pub(super) const SUBJECT: &str = "mixture";
/// Mixtures that go on to be changed.
const KEPT: usize = 12;
/// Parts of the longest mixture.
const PARTS_MAX: usize = 12;

/// Pieces of a mixture: text, and where it comes from.
#[derive(Clone)]
struct Mixture {
    parts: Vec<usize>,
    ns_per_gas: f64,
}

/// Searches for so long; what was found is among what is measured.
pub(super) fn search(
    measuring: &mut Measuring,
    random: &mut Random,
    time: Duration,
    progress: &dyn Fn(&str),
) {
    let start = Instant::now();
    let pieces = pieces(measuring);
    if pieces.is_empty() || time.is_zero() {
        return;
    }
    let mut kept: Vec<Mixture> = Vec::new();
    let mut tried = 0_u32;
    while start.elapsed() < time {
        let parts = next(&kept, pieces.len(), random);
        let mut kernel = mixed(&pieces, &parts);
        kernel.name = format!("mixture {tried}: {}", kernel.name);
        tried += 1;
        // Some pieces write over what others load addresses from: such a mixture traps.
        let Ok(ns_per_gas) = measuring.add_one(kernel) else {
            continue;
        };
        let worst_kept = kept.last().map_or(0.0, |mixture| mixture.ns_per_gas);
        if kept.len() < KEPT || ns_per_gas > worst_kept {
            kept.push(Mixture { parts, ns_per_gas });
            kept.sort_by(|one, other| other.ns_per_gas.total_cmp(&one.ns_per_gas));
            kept.truncate(KEPT);
        } else {
            measuring.measured.pop();
        }
        if tried.is_multiple_of(100) {
            let best = kept.first().map_or(0.0, |mixture| mixture.ns_per_gas);
            progress(&format!(
                "{tried} mixtures in {} s, the worst {best:.2} ns per gas",
                start.elapsed().as_secs()
            ));
        }
    }
    let mixtures: Vec<usize> = (0..measuring.measured.len())
        .filter(|index| measuring.measured[*index].kernel.subject == SUBJECT)
        .collect();
    // A disturbance makes a mixture look worse than it is: each is measured again, apart from the first time.
    for _ in 0..3 {
        for index in &mixtures {
            measuring.measure_again(*index);
        }
    }
}

/// Kernels that can stand beside others: they need no setup and no functions of their own, and can be repeated for ever.
fn pieces(measuring: &Measuring) -> Vec<Kernel> {
    let can_be_mixed = |kernel: &&Kernel| {
        kernel.costs == Costs::Execution
            && kernel.keys == Keys::Same
            && kernel.items.is_empty()
            && kernel.query.is_empty()
            && kernel.cold.is_empty()
            && kernel.calls == 1
            && kernel.rounds_max > 1_000_000
    };
    let mut all: Vec<(f64, Kernel)> = measuring
        .measured
        .iter()
        .map(|measured| (measured.ns_per_gas(), &measured.kernel))
        .filter(|(_, kernel)| can_be_mixed(kernel))
        .map(|(time, kernel)| (time, kernel.clone()))
        .collect();
    all.sort_by(|one, other| other.0.total_cmp(&one.0));
    all.into_iter().map(|(_, kernel)| kernel).collect()
}

/// A new mixture, or one of those kept with a part more, less or exchanged. The worst kernels come first.
fn next(kept: &[Mixture], pieces: usize, random: &mut Random) -> Vec<usize> {
    let piece = |random: &mut Random| {
        let bound = random.below(pieces) + 1;
        random.below(bound)
    };
    if kept.len() < KEPT || random.one_in(4) {
        let count = 2 + random.below(4);
        return (0..count).map(|_| piece(random)).collect();
    }
    let mut parts = kept[random.below(kept.len())].parts.clone();
    let at = random.below(parts.len());
    match random.below(4) {
        0 if parts.len() < PARTS_MAX => parts.insert(at, piece(random)),
        1 if parts.len() > 2 => {
            parts.remove(at);
        }
        2 => {
            let other = random.below(parts.len());
            parts.swap(at, other);
        }
        _ => parts[at] = piece(random),
    }
    parts
}

fn mixed(pieces: &[Kernel], parts: &[usize]) -> Kernel {
    let parts = parts.iter().filter_map(|part| pieces.get(*part));
    let parts: Vec<&Kernel> = parts.collect();
    let names: Vec<String> = parts
        .iter()
        .map(|part| format!("{} ({})", part.subject, part.name))
        .collect();
    // Where a piece loads from, the one before may have left anything.
    let body: String = parts
        .iter()
        .map(|part| {
            format!(
                "(local.set $x (i32.and (local.get $x) (i32.const 0xffffc0))) {}",
                part.body
            )
        })
        .collect();
    Kernel {
        // One ring serves all: each of its words leads to another.
        once: ring(18, 64, 0),
        pages: 256,
        ..Kernel::executes(SUBJECT, names.join(", "), body)
    }
}
