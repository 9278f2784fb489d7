//! Measure kernels beside a reference: least times of runs apart from each other, without what an empty call takes.

use std::time::Duration;

use kumiki_protocol::Gas;

use super::chain::{Asked, Deployed, KernelChain};
use super::kernel::{Costs, Kernel, Keys};
use super::report::{Entry, Report};
use crate::disk_chain::Took;

/// What a kernel's rounds should take.
const EXECUTION: Duration = Duration::from_millis(8);
/// The same where the block's commit counts: longer, because a disk's times vary.
const BLOCK: Duration = Duration::from_millis(60);
/// The most gas of one run.
const GAS_MAX: Gas = 2_000_000_000;
/// The most gas of one setup: it is not measured, and writes to disk.
const SETUP_GAS_MAX: Gas = 300_000_000;
/// Kernels that are deployed in one block.
const AT_ONCE: usize = 40;
/// How much slower than at its best the reference may run while a kernel is measured.
const NOISE: f64 = 1.15;
/// How often a disturbed run is repeated.
const TRIES: u32 = 2;

/// A kernel with the least that its runs took.
pub(super) struct Measured {
    pub(super) kernel: Kernel,
    deployed: Deployed,
    rounds: u32,
    /// Entries that its setup has made, and the gas of each.
    set_up: u32,
    setup_gas: Gas,
    /// Without rounds, and with them.
    empty: Option<Took>,
    full: Option<Took>,
}

/// All kernels measured so far.
pub(super) struct Measuring {
    chain: KernelChain,
    reference: Deployed,
    reference_best: Duration,
    reference_worst: Duration,
    /// Keys that nobody has touched begin here.
    fresh: u32,
    pub(super) measured: Vec<Measured>,
}

impl Measured {
    /// Nanoseconds for each gas of the rounds.
    #[expect(clippy::cast_precision_loss, reason = "for reading")]
    pub(super) fn ns_per_gas(&self) -> f64 {
        let (Some(empty), Some(full)) = (self.empty, self.full) else {
            return 0.0;
        };
        let gas = full.gas.saturating_sub(empty.gas).max(1);
        self.least().as_nanos() as f64 / gas as f64
    }

    /// The least that its rounds took.
    fn least(&self) -> Duration {
        let processor = |took: Option<Took>| took.map_or(Duration::ZERO, |took| took.processor);
        processor(self.full).saturating_sub(processor(self.empty))
    }

    /// The most rounds that are affordable, when those it has `took` so much.
    fn rounds_most(&self, took: Took) -> u32 {
        let affordable = u64::from(self.rounds).saturating_mul(GAS_MAX) / took.gas;
        let most = u32::try_from(affordable).unwrap_or(u32::MAX);
        let most = match self.kernel.setup_max {
            u32::MAX => most.min(self.rounds_set_up()),
            _ => most,
        };
        most.clamp(1, self.kernel.rounds_max)
    }

    /// The most rounds whose setup is affordable.
    fn rounds_set_up(&self) -> u32 {
        match SETUP_GAS_MAX.checked_div(self.setup_gas) {
            Some(rounds) => u32::try_from(rounds).unwrap_or(u32::MAX),
            None => u32::MAX,
        }
    }

    fn keep_least(&mut self, empty: Took, full: Took) {
        let less = |one: Took, other: Option<Took>| match other {
            Some(other) => Took {
                processor: one.processor.min(other.processor),
                ..one
            },
            None => one,
        };
        self.empty = Some(less(empty, self.empty));
        self.full = Some(less(full, self.full));
    }
}

impl Measuring {
    pub(super) fn new() -> Self {
        let mut chain = KernelChain::new();
        let chained = "(local.set $a (i64.mul (local.get $a) (local.get $b)))\n".repeat(24);
        let reference = [Kernel::executes("I64Mul", "reference", chained)];
        let reference = chain.deploy_kernels(&reference).remove(0);
        let mut measuring = Self {
            chain,
            reference,
            reference_best: Duration::MAX,
            reference_worst: Duration::ZERO,
            fresh: 1,
            measured: Vec::new(),
        };
        for _ in 0..20 {
            measuring.refer();
        }
        measuring.reference_worst = Duration::ZERO;
        measuring
    }

    /// Runs the reference; says whether the machine is as fast as at its best.
    fn refer(&mut self) -> bool {
        let asked = Asked {
            start: 0,
            rounds: 40_000,
            prepares: false,
        };
        let took = self.chain.run(&self.reference, asked);
        let took = took.expect("the reference only multiplies").processor;
        self.reference_best = self.reference_best.min(took);
        self.reference_worst = self.reference_worst.max(took);
        took < self.reference_best.mul_f64(NOISE)
    }

    /// Finds how many rounds each kernel needs, and measures it for the first time.
    pub(super) fn add(&mut self, kernels: Vec<Kernel>, progress: &dyn Fn(&str)) {
        let count = kernels.len();
        let mut done = 0;
        for kernels in kernels.chunks(AT_ONCE) {
            progress(&format!("kernel {done} of {count}"));
            done += kernels.len();
            let deployed = self.chain.deploy_kernels(kernels);
            for (kernel, deployed) in kernels.iter().zip(deployed) {
                let found = self.measure(kernel.clone(), deployed);
                found.expect("the kernels of the search succeed");
            }
        }
    }

    /// The same for one; gives its nanoseconds for each gas.
    pub(super) fn add_one(&mut self, kernel: Kernel) -> Result<f64, String> {
        let deployed = self.chain.deploy_kernels(std::slice::from_ref(&kernel));
        let deployed = deployed.into_iter().next();
        self.measure(kernel, deployed.expect("one for each kernel"))
    }

    /// Finds how many rounds the kernel needs, and gives its nanoseconds for each gas.
    fn measure(&mut self, kernel: Kernel, deployed: Deployed) -> Result<f64, String> {
        let wanted = match kernel.costs {
            Costs::Execution => EXECUTION,
            Costs::Block => BLOCK,
        };
        let mut measured = Measured {
            kernel,
            deployed,
            rounds: 0,
            set_up: 0,
            setup_gas: 0,
            empty: None,
            full: None,
        };
        let mut rounds = 4.min(measured.kernel.rounds_max);
        loop {
            measured.rounds = rounds;
            (measured.empty, measured.full) = (None, None);
            let took = self.run_and_keep(&mut measured)?;
            let most = measured.rounds_most(took);
            // A disturbed run says that a few rounds are long enough, and then what only the first ones cost stands for all.
            if took.processor >= wanted / 2 || rounds >= most {
                let again = self.run_and_keep(&mut measured)?;
                if again.processor >= wanted / 2 || rounds >= most {
                    break;
                }
            }
            let time = measured.least();
            let factor = wanted.as_secs_f64() / time.as_secs_f64().max(1e-6);
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "bounded just here"
            )]
            let more = (f64::from(rounds) * factor.clamp(2.0, 30.0)) as u32;
            rounds = more.clamp(1, most);
        }
        let found = measured.ns_per_gas();
        self.measured.push(measured);
        Ok(found)
    }

    /// A run whose least times are kept; gives what its rounds took.
    fn run_and_keep(&mut self, measured: &mut Measured) -> Result<Took, String> {
        let (empty, full) = self.run(measured)?;
        measured.keep_least(empty, full);
        Ok(Took {
            processor: full.processor.saturating_sub(empty.processor),
            gas: full.gas.saturating_sub(empty.gas).max(1),
            ..full
        })
    }

    /// One run without rounds and one with them.
    fn run(&mut self, measured: &mut Measured) -> Result<(Took, Took), String> {
        let kernel = &measured.kernel;
        let all = measured.rounds.saturating_mul(kernel.calls);
        let start = match kernel.keys {
            Keys::Same | Keys::Existing | Keys::Restored => 0x0100_0000,
            Keys::New => {
                self.fresh = self.fresh.wrapping_add(all);
                self.fresh.wrapping_sub(all)
            }
        };
        let asked = Asked {
            start,
            rounds: measured.rounds,
            prepares: false,
        };
        let wanted = all.min(kernel.setup_max);
        let is_set_up = match kernel.keys {
            Keys::Same | Keys::New => true,
            Keys::Existing => measured.set_up >= wanted,
            Keys::Restored => false,
        };
        if !is_set_up {
            let prepared = Asked {
                rounds: wanted,
                prepares: true,
                ..asked
            };
            let took = self.chain.run(&measured.deployed, prepared)?;
            measured.set_up = wanted;
            measured.setup_gas = took.gas / u64::from(wanted.max(1));
        }
        let nothing = Asked { rounds: 0, ..asked };
        let empty = self.chain.run(&measured.deployed, nothing)?;
        let full = self.chain.run(&measured.deployed, asked)?;
        Ok((empty, full))
    }

    /// Measures every kernel once more.
    pub(super) fn pass(&mut self) {
        for index in 0..self.measured.len() {
            self.measure_again(index);
        }
    }

    /// Measures one kernel once more, and again while the machine is disturbed.
    pub(super) fn measure_again(&mut self, index: usize) {
        let mut measured = self.measured.swap_remove(index);
        for _ in 0..TRIES {
            let calm = self.refer();
            // What has run once runs again, but for mixtures that write over what they load.
            let Ok((empty, full)) = self.run(&mut measured) else {
                break;
            };
            measured.keep_least(empty, full);
            if calm && self.refer() {
                break;
            }
        }
        self.measured.push(measured);
        let last = self.measured.len() - 1;
        self.measured.swap(index, last);
    }

    pub(super) fn report(&self) -> Report {
        let entries = self.measured.iter().map(|measured| Entry {
            subject: measured.kernel.subject.clone(),
            name: measured.kernel.name.clone(),
            ns_per_gas: measured.ns_per_gas(),
        });
        let spread = self.reference_worst.as_secs_f64() / self.reference_best.as_secs_f64();
        Report::of(entries.collect(), spread)
    }
}
