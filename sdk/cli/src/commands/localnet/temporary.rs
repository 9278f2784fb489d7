//! Hold a network that lasts as long as a value: its processes end with it, and its folder is deleted.

use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::make::{self, HEARTBEAT_MS, Plan};
use super::{KILL_TIMEOUT, kill, stop_all, up};
use crate::failure::{Exit, Failure, Outcome};
use crate::localnet::faults::Faults;
use crate::localnet::process::{Process, State};
use crate::localnet::{Layout, Localnet};

/// Time between two looks at processes that are to end.
const LOOK: Duration = Duration::from_millis(10);

/// How a temporary network is made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Temporary {
    pub(crate) validators: u16,
    pub(crate) block_time_ms: u64,
    /// Whether empty blocks follow each other as fast as they can.
    pub(crate) is_restless: bool,
    /// How much longer everything takes between two validators, one way.
    pub(crate) delay_ms: u64,
}

/// A network that runs.
pub(crate) struct RunningNetwork {
    network: Localnet,
    // Deleted last.
    _folder: TempDir,
}

impl RunningNetwork {
    /// Makes and starts one, and waits until every validator has a block.
    pub(crate) async fn start(how: Temporary) -> Outcome<Self> {
        let folder = TempDir::with_prefix("kumiki-localnet-").map_err(|error| {
            Failure::new(Exit::System, "io", "no temporary folder can be made")
                .found(error.to_string())
                .next("kumiki doctor")
        })?;
        let plan = Plan {
            layout: Layout {
                validators: how.validators,
                full_nodes: 0,
                base_port: 0,
            },
            block_time_ms: how.block_time_ms,
            heartbeat_ms: match how.is_restless {
                true => 0,
                false => HEARTBEAT_MS.max(how.block_time_ms),
            },
            epoch_blocks: None,
            // The relay takes processor time, which is to be had where it changes nothing.
            relayed: how.delay_ms > 0,
        };
        let running = Self {
            network: make::network(folder.path(), plan)?,
            _folder: folder,
        };
        up::bring_up(&running.network).await?;
        if how.delay_ms > 0 {
            running.delay(how.delay_ms).await?;
        }
        Ok(running)
    }

    /// Delays are of nodes, and what goes from one to another has those of both.
    async fn delay(&self, delay_ms: u64) -> Outcome<()> {
        let (from, to) = (delay_ms / 2, delay_ms.div_ceil(2));
        let nodes = self.network.nodes();
        // With an odd number, half of the nodes have the larger half.
        let of = |node: usize| if node.is_multiple_of(2) { to } else { from };
        let faults = Faults {
            delay_ms: nodes.map(|node| (node, of(node))).collect(),
            ..Faults::default()
        };
        self.network.set_faults(&faults).await
    }

    /// Where each validator answers, and its process.
    pub(crate) fn nodes(&self) -> Vec<(String, Option<u32>)> {
        let of = |node| (self.network.rpc_of(node), self.network.process(node).pid());
        self.network.nodes().map(of).collect()
    }

    /// Kills the last `count` validators.
    pub(crate) async fn kill_last(&self, count: usize) -> Outcome<()> {
        for node in self.network.nodes().rev().take(count) {
            kill(&self.network.process(node)).await?;
        }
        Ok(())
    }

    fn processes(&self) -> Vec<Process> {
        let nodes = self.network.nodes().map(|node| self.network.process(node));
        nodes.chain([self.network.relay()]).collect()
    }

    /// Stops all of it.
    pub(crate) async fn stop(self) -> Outcome<()> {
        stop_all(&self.processes()).await.map(drop)
    }
}

impl Drop for RunningNetwork {
    fn drop(&mut self) {
        let processes = self.processes();
        for process in &processes {
            // What has stopped has nothing to be told.
            drop(process.signal("KILL"));
        }
        // What still ends may still write, and a folder that is written to cannot be deleted.
        let deadline = Instant::now() + KILL_TIMEOUT;
        while processes.iter().any(|one| one.state() != State::Down) && Instant::now() < deadline {
            std::thread::sleep(LOOK);
        }
    }
}
