//! Draw from a seed what happens in one simulation.

use std::time::Duration;

use kumiki_testkit::Random;

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
    /// Whether the nodes without a seat join and leave all the time.
    pub seats_change: bool,
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
            seats_change: false,
            villain: None,
        }
    }

    /// Whatever the seed says. Each seed also chooses which faults there are at all: some bugs only show where others
    /// do not get in the way.
    #[must_use]
    pub fn drawn(seed: u64) -> Self {
        let mut random = random(seed);
        let faults = Faults {
            crashes: random.one_in(2),
            power_losses: random.one_in(2),
            partitions: random.one_in(2),
            one_way: random.one_in(3),
            lost_per_mille: match random.one_in(3) {
                true => u16::try_from(1 + random.below(80)).unwrap_or(1),
                false => 0,
            },
        };
        let mut below = |bound: usize| random.below(bound);
        let latency = Duration::from_millis(1 + u64::try_from(below(60)).unwrap_or(0));
        // Every third network has short epochs, every second a villain.
        let short_epochs = below(3) == 0;
        let villain = Villain::ALL.get(below(Villain::ALL.len() * 2));
        let drawn = Self {
            validators: [4, 4, 4, 5, 7][below(5)],
            observers: u8::try_from(below(3)).unwrap_or(0),
            latency,
            jitter: latency / u32::try_from(1 + below(8)).unwrap_or(1),
            execution_lag: [2, 2, 2, 1, 3][below(5)],
            epoch_blocks: match short_epochs {
                true => [8, 12, 16, 30][below(4)],
                false => 1_000_000,
            },
            transactions_per_second: u32::try_from(5 + below(40)).unwrap_or(5),
            faults,
            villain: villain.copied(),
            ..Self::calm(seed)
        };
        let seats_change = short_epochs && drawn.villain.is_none() && random.one_in(2);
        Self {
            observers: drawn.observers.max(u8::from(seats_change)),
            seats_change,
            ..drawn
        }
    }
}

pub(crate) const fn random(seed: u64) -> Random {
    Random::new(seed ^ 0x5eed_5eed_5eed_5eed)
}
