//! Order the blocks of a chain with one validator: seal when a transaction waits, or by the clock.

use std::sync::Arc;
use std::time::Duration;

use kumiki_protocol::{Certificate, Hash, Proposal, SecretKey, ValidatorSet};
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior};

use crate::{Application, BuildRequest, Decided, Tip};

#[cfg(test)]
mod tests;

/// The time of day in milliseconds since 1970, as node assembly (or a test, or a simulator) tells it.
pub type Clock = Arc<dyn Fn() -> u64 + Send + Sync>;

/// When a solo chain makes a block.
///
/// A contract's time is its block's, so on a chain without blocks time stands still; the first block after a
/// pause carries the time it was sealed at. A chain whose contracts must see time pass without transactions
/// asks for `Every`, or for a heartbeat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sealing {
    /// As soon as a transaction waits; what arrives while a block is made goes into the next one together.
    AtOnce {
        /// Makes an empty block after this long without one; `None`: an idle chain makes none.
        heartbeat: Option<Duration>,
    },
    /// One block per interval, empty or not.
    Every(Duration),
}

/// Why a driver returned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// It was asked to.
    Stopped,
    /// The application has stopped. Why is the application's to say.
    ApplicationGone,
}

/// The driver of a chain whose only validator is this node.
pub struct Solo<A> {
    /// The chain.
    pub application: Arc<A>,
    /// The validator's key.
    pub key: SecretKey,
    /// Hash of the chain's genesis.
    pub genesis_hash: Hash,
    /// When to make blocks.
    pub sealing: Sealing,
    /// What time it is.
    pub clock: Clock,
}

impl<A> std::fmt::Debug for Solo<A> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Solo")
            .field("validator", &self.key.public_key())
            .field("sealing", &self.sealing)
            .finish_non_exhaustive()
    }
}

/// What a wait ended with.
enum Reason {
    Seal { allow_empty: bool },
    Stop,
}

impl<A: Application> Solo<A> {
    /// Makes blocks after `tip` until `stop` turns true or its sender goes away. A block in the making is
    /// finished first.
    pub async fn run(self, mut tip: Tip, mut stop: watch::Receiver<bool>) -> Ended {
        let mut ticks = self.ticks();
        loop {
            match self.wait(&mut ticks, &mut stop).await {
                Reason::Stop => return Ended::Stopped,
                Reason::Seal { allow_empty } => match self.seal(tip, allow_empty).await {
                    Ok(Some(sealed)) => {
                        tip = sealed;
                        if let Sealing::AtOnce { .. } = self.sealing
                            && let Some(ticks) = &mut ticks
                        {
                            ticks.reset();
                        }
                    }
                    // What waited could not be executed and is gone; let others run before looking again.
                    Ok(None) => tokio::task::yield_now().await,
                    Err(ended) => return ended,
                },
            }
        }
    }

    fn ticks(&self) -> Option<tokio::time::Interval> {
        let period = match self.sealing {
            Sealing::AtOnce { heartbeat } => heartbeat?,
            Sealing::Every(period) => period,
        };
        let period = period.max(Duration::from_millis(1));
        let mut ticks = tokio::time::interval_at(Instant::now() + period, period);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Some(ticks)
    }

    async fn wait(
        &self,
        ticks: &mut Option<tokio::time::Interval>,
        stop: &mut watch::Receiver<bool>,
    ) -> Reason {
        let tick = async {
            match ticks {
                Some(ticks) => {
                    ticks.tick().await;
                }
                None => std::future::pending().await,
            }
        };
        let work = async {
            match self.sealing {
                Sealing::AtOnce { .. } => self.application.work_waits().await,
                Sealing::Every(_) => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            // A sender that went away counts as a request to stop.
            _ = stop.wait_for(|stop| *stop) => Reason::Stop,
            () = tick => Reason::Seal { allow_empty: true },
            () = work => Reason::Seal { allow_empty: false },
        }
    }

    /// Builds, signs and commits one block on `tip`.
    async fn seal(&self, tip: Tip, allow_empty: bool) -> Result<Option<Tip>, Ended> {
        let height = tip.height.saturating_add(1);
        let validators: Arc<ValidatorSet> = self
            .application
            .validators(height)
            .ok_or(Ended::ApplicationGone)?;
        let request = BuildRequest {
            height,
            parent: tip.block_hash,
            time_ms: (self.clock)(),
            proposer: self.key.public_key(),
            allow_empty,
            ancestors: Vec::new(),
        };
        let built = self.application.build(request).await;
        let Some(block) = built.map_err(|_closed| Ended::ApplicationGone)? else {
            return Ok(None);
        };
        let block_hash = block.hash();
        let certificate = Certificate::sign(
            &self.genesis_hash,
            Proposal::solo(height, block_hash),
            &validators,
            &[&self.key],
        );
        let committed = self.application.commit(Decided {
            block,
            certificate: Some(certificate),
        });
        committed.await.map_err(|_closed| Ended::ApplicationGone)?;
        Ok(Some(Tip { height, block_hash }))
    }
}
