//! Draw from a seed what happens in one simulation.

use std::time::Duration;

use crate::villain::Villain;

/// The faults of one simulation. Every one that is on for a seed comes again and again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// A node is killed and started again.
    pub crashes: bool,
    /// A killed node's disk loses what was not synced.
    pub power_losses: bool,
    /// The network falls into two parts and heals.
    pub partitions: bool,
    /// One direction of one link goes dead and heals.
    pub one_way: bool,
    /// Messages in a thousand that are lost.
    pub lost_per_mille: u16,
}

/// One simulation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scenario {
    /// What everything is drawn from.
    pub seed: u64,
    /// Validators.
    pub validators: u8,
    /// Nodes without a seat.
    pub observers: u8,
    /// How long faults and load go on, in simulated time.
    pub duration: Duration,
    /// Mean time that a message takes.
    pub latency: Duration,
    /// Standard deviation of it.
    pub jitter: Duration,
    /// Blocks between a block and the header that holds its result.
    pub execution_lag: u8,
    /// Blocks of an epoch.
    pub epoch_blocks: u32,
    /// Transactions handed in per simulated second.
    pub transactions_per_second: u32,
    /// What goes wrong.
    pub faults: Faults,
    /// How the first validator breaks the rules, if it does.
    pub villain: Option<Villain>,
}

impl Scenario {
    /// Four validators and no faults.
    #[must_use]
    pub const fn calm(seed: u64) -> Self {
        Self {
            seed,
            validators: 4,
            observers: 1,
            duration: Duration::from_secs(10),
            latency: Duration::from_millis(10),
            jitter: Duration::from_millis(2),
            execution_lag: 2,
            epoch_blocks: 1_000_000,
            transactions_per_second: 20,
            faults: Faults {
                crashes: false,
                power_losses: false,
                partitions: false,
                one_way: false,
                lost_per_mille: 0,
            },
            villain: None,
        }
    }

    /// Whatever the seed says. Each seed also chooses which faults there are at all: some bugs only show where others
    /// do not get in the way.
    #[must_use]
    pub fn drawn(seed: u64) -> Self {
        let mut random = random(seed);
        let mut one_in = |count: u64| random.next_u64().is_multiple_of(count);
        let faults = Faults {
            crashes: one_in(2),
            power_losses: one_in(2),
            partitions: one_in(2),
            one_way: one_in(3),
            lost_per_mille: 0,
        };
        let lost = one_in(3);
        let mut below = |bound: u64| random.next_u64() % bound;
        let latency = Duration::from_millis(1 + below(60));
        Self {
            validators: [4, 4, 4, 5, 7][usize::try_from(below(5)).unwrap_or(0)],
            observers: u8::try_from(below(3)).unwrap_or(0),
            latency,
            jitter: latency / u32::try_from(1 + below(8)).unwrap_or(1),
            execution_lag: [2, 2, 2, 1, 3][usize::try_from(below(5)).unwrap_or(0)],
            epoch_blocks: [1_000_000, 1_000_000, 16, 30, 60]
                [usize::try_from(below(5)).unwrap_or(0)],
            transactions_per_second: u32::try_from(5 + below(40)).unwrap_or(5),
            faults: Faults {
                lost_per_mille: if lost {
                    u16::try_from(1 + below(80)).unwrap_or(1)
                } else {
                    0
                },
                ..faults
            },
            ..Self::calm(seed)
        }
    }
}

/// A small generator for what is decided before a simulation runs (SplitMix64).
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

pub(crate) const fn random(seed: u64) -> Random {
    Random(seed ^ 0x5eed_5eed_5eed_5eed)
}

impl Random {
    pub(crate) fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        let bound = u64::try_from(bound.max(1)).unwrap_or(u64::MAX);
        usize::try_from(self.next_u64() % bound).unwrap_or(0)
    }

    pub(crate) fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }
}
