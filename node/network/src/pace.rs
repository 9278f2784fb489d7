//! Spend a rate: a token bucket kept as the instant until which everything spent is paid for.

use std::time::{Duration, Instant};

/// So many units a second, and a burst that may be spent ahead of time.
///
/// Spending never fails; it goes into debt, and the debt says how long to wait. So a caller that does one bounded
/// piece of work and then waits keeps the rate exactly, and callers that share a pace are served in turn.
#[derive(Debug)]
pub(crate) struct Pace {
    unit: Duration,
    per_second: u64,
    burst: Duration,
    paid_until: Instant,
}

impl Pace {
    /// A pace of `per_second` units, of which `burst` can be spent at once.
    pub(crate) fn new(per_second: u64, burst: u64, now: Instant) -> Self {
        let per_second = per_second.max(1);
        Self {
            unit: Duration::from_secs(1) / u32::try_from(per_second).unwrap_or(u32::MAX),
            per_second,
            burst: span(burst.max(1), per_second),
            paid_until: now,
        }
    }

    /// Spends `units` and returns how long to wait before spending again.
    pub(crate) fn spend(&mut self, units: u64, now: Instant) -> Duration {
        self.paid_until = self.paid_until.max(now) + span(units, self.per_second);
        self.paid_until.saturating_duration_since(now + self.burst)
    }

    /// How long until one unit can be spent without waiting.
    pub(crate) fn wait(&self, now: Instant) -> Duration {
        let next = self.paid_until.max(now) + self.unit;
        next.saturating_duration_since(now + self.burst.max(self.unit))
    }
}

/// How long `units` take; longer than a day is a day, so that no sum overflows.
fn span(units: u64, per_second: u64) -> Duration {
    let nanos = u128::from(units) * 1_000_000_000 / u128::from(per_second);
    let day = Duration::from_secs(24 * 60 * 60);
    u64::try_from(nanos).map_or(day, |nanos| Duration::from_nanos(nanos).min(day))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_exceeds_the_burst_waits_at_the_rate() {
        let start = Instant::now();
        let mut pace = Pace::new(100, 50, start);
        assert_eq!(pace.wait(start), Duration::ZERO);
        assert_eq!(pace.spend(50, start), Duration::ZERO);
        assert_eq!(pace.spend(100, start), Duration::from_secs(1));
        assert_eq!(pace.wait(start), Duration::from_millis(1_010));
        let later = start + Duration::from_millis(1_010);
        assert_eq!(pace.wait(later), Duration::ZERO);
    }

    #[test]
    fn a_pause_does_not_save_more_than_the_burst() {
        let start = Instant::now();
        let mut pace = Pace::new(100, 50, start);
        let later = start + Duration::from_secs(3_600);
        assert_eq!(pace.spend(50, later), Duration::ZERO);
        assert_eq!(pace.spend(50, later), Duration::from_millis(500));
    }
}
