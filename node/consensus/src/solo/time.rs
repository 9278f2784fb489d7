//! Tell the time of a chain, which a developer may have moved ahead of the clock.

use super::Clock;

/// The last moment of the year 9999, in milliseconds since 1970: a chain's time can be moved so far.
pub const TIME_MAX_MS: u64 = 253_402_300_799_999;

/// Where the time of a chain is moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Warp {
    /// On by so many milliseconds.
    By(u64),
    /// To a moment, in milliseconds since 1970.
    To(u64),
}

/// A chain's time: that of the clock, or ahead of it.
#[derive(Clone)]
pub struct ChainTime {
    clock: Clock,
    ahead_ms: u64,
    /// A time to go on from, once it is asked for.
    resume_ms: Option<u64>,
}

impl std::fmt::Debug for ChainTime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ChainTime")
            .field("ahead_ms", &self.ahead_ms)
            .field("resume_ms", &self.resume_ms)
            .finish_non_exhaustive()
    }
}

impl ChainTime {
    /// The time of the clock.
    #[must_use]
    pub const fn of(clock: Clock) -> Self {
        Self {
            clock,
            ahead_ms: 0,
            resume_ms: None,
        }
    }

    /// Goes on from `ms` where the clock is behind it when the time is first asked for.
    #[must_use]
    pub const fn resuming(mut self, ms: u64) -> Self {
        self.resume_ms = Some(ms);
        self
    }

    /// Milliseconds since 1970.
    pub(super) fn now_ms(&mut self) -> u64 {
        let clock = (self.clock)();
        if let Some(resume_ms) = self.resume_ms.take() {
            self.ahead_ms = resume_ms.saturating_sub(clock);
        }
        clock.saturating_add(self.ahead_ms)
    }

    /// Moves the time on; `false`, and nothing moves, where it would go back, or beyond [`TIME_MAX_MS`].
    pub(super) fn warp(&mut self, to: Warp) -> bool {
        let now = self.now_ms();
        let then = match to {
            Warp::By(ms) => now.saturating_add(ms),
            Warp::To(ms) => ms,
        };
        let Some(further_ms) = then.checked_sub(now).filter(|_| then <= TIME_MAX_MS) else {
            return false;
        };
        self.ahead_ms = self.ahead_ms.saturating_add(further_ms);
        true
    }

    /// Goes back to what it would be if the block of this time had just been made.
    pub(super) const fn rewind(&mut self, ms: u64) {
        self.resume_ms = Some(ms);
    }
}
