//! Order the blocks of a chain with one validator: seal when a transaction waits, or by the clock.

use std::sync::Arc;
use std::time::Duration;

use kumiki_protocol::{Certificate, Hash, Height, Proposal, SecretKey, ValidatorSet};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, MissedTickBehavior};

use crate::{Application, BuildRequest, Decided, Tip};

mod time;

pub use time::{ChainTime, TIME_MAX_MS, Warp};

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

/// What a developer asks of a chain of one machine.
#[derive(Debug)]
pub enum Order {
    /// Makes so many blocks at once; the first of them take what waits.
    Mine {
        /// How many.
        blocks: u32,
        /// Told when they are committed.
        done: oneshot::Sender<Tip>,
    },
    /// Moves the time, which goes on from there, and makes a block that shows it.
    Warp {
        /// Where to.
        to: Warp,
        /// Told when the block is committed; `None` where time would go back, or beyond [`TIME_MAX_MS`].
        done: oneshot::Sender<Option<Tip>>,
    },
    /// Takes every block above a height back; the chain and its time go on from there.
    Rewind {
        /// Height of the block that becomes the newest.
        to: Height,
        /// Told when they are gone; `None` where the state at that height is not kept.
        done: oneshot::Sender<Option<Tip>>,
    },
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
    /// What time it is on the chain.
    pub time: ChainTime,
    /// What a developer asks for; `None` where nobody may.
    pub orders: Option<mpsc::Receiver<Order>>,
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
    Obey(Order),
    Stop,
}

impl<A: Application> Solo<A> {
    /// Makes blocks after `tip` until `stop` turns true or its sender goes away. A block in the making is
    /// finished first.
    pub async fn run(mut self, mut tip: Tip, mut stop: watch::Receiver<bool>) -> Ended {
        let mut ticks = self.ticks();
        let mut orders = self.orders.take();
        loop {
            match self.wait(&mut ticks, &mut orders, &mut stop).await {
                Reason::Stop => return Ended::Stopped,
                Reason::Obey(order) => {
                    if let Err(ended) = self.obey(order, &mut tip, &stop).await {
                        return ended;
                    }
                    if let Some(ticks) = &mut ticks {
                        ticks.reset();
                    }
                }
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
        orders: &mut Option<mpsc::Receiver<Order>>,
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
            order = next_order(orders) => Reason::Obey(order),
            () = tick => Reason::Seal { allow_empty: true },
            () = work => Reason::Seal { allow_empty: false },
        }
    }

    /// Does what a developer asks. Whoever asked may have stopped waiting.
    async fn obey(
        &mut self,
        order: Order,
        tip: &mut Tip,
        stop: &watch::Receiver<bool>,
    ) -> Result<(), Ended> {
        match order {
            Order::Mine { blocks, done } => {
                for _ in 0..blocks {
                    if *stop.borrow() {
                        return Err(Ended::Stopped);
                    }
                    *tip = self.seal_even_empty(*tip).await?;
                }
                let _waits = done.send(*tip);
            }
            Order::Warp { to, done } => {
                if !self.time.warp(to) {
                    let _waits = done.send(None);
                    return Ok(());
                }
                *tip = self.seal_even_empty(*tip).await?;
                let _waits = done.send(Some(*tip));
            }
            Order::Rewind { to, done } => {
                let rewound = self.application.rewind(to).await;
                let rewound = rewound.map_err(|_closed| Ended::ApplicationGone)?;
                if let Some((found, time_ms)) = rewound {
                    *tip = found;
                    self.time.rewind(time_ms);
                }
                let _waits = done.send(rewound.map(|(tip, _)| tip));
            }
        }
        Ok(())
    }

    async fn seal_even_empty(&mut self, tip: Tip) -> Result<Tip, Ended> {
        // There is always a block to make on the tip where an empty one will do.
        self.seal(tip, true).await?.ok_or(Ended::ApplicationGone)
    }

    /// Builds, signs and commits one block on `tip`.
    async fn seal(&mut self, tip: Tip, allow_empty: bool) -> Result<Option<Tip>, Ended> {
        let height = tip.height.saturating_add(1);
        let validators: Arc<ValidatorSet> = self
            .application
            .validators(height)
            .ok_or(Ended::ApplicationGone)?;
        let request = BuildRequest {
            height,
            parent: tip.block_hash,
            time_ms: self.time.now_ms(),
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

/// The next order; never one where nobody can give any.
async fn next_order(orders: &mut Option<mpsc::Receiver<Order>>) -> Order {
    if let Some(open) = orders {
        if let Some(order) = open.recv().await {
            return order;
        }
        *orders = None;
    }
    std::future::pending().await
}
