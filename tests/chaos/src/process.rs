//! Read what a node's process uses, as Linux counts it.

use crate::Nodes;

/// What Linux counts processor time in, on every architecture that Rust runs on there.
const TICKS_PER_SECOND: f64 = 100.0;

/// A node's process.
#[derive(Clone, Copy, Debug)]
pub struct Process(u32);

impl Process {
    /// The process of a local network's node.
    ///
    /// # Errors
    /// When its folder does not say.
    pub fn of(nodes: &Nodes, node: usize) -> Result<Self, String> {
        let path = nodes.folder(node).join("pid");
        let text = std::fs::read_to_string(&path)
            .map_err(|error| format!("the process id of node {node}: {error}"))?;
        let pid = text.trim().parse();
        Ok(Self(pid.map_err(|_| format!("{text:?} is no process id"))?))
    }

    /// Its memory, in KiB.
    ///
    /// # Errors
    /// When it is gone.
    pub fn memory_kib(self) -> Result<u64, String> {
        let path = format!("/proc/{}/status", self.0);
        let status = std::fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))?;
        let line = status.lines().find(|line| line.starts_with("VmRSS"));
        line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok())
            .ok_or_else(|| format!("{path} says nothing of memory"))
    }

    /// Its open sockets.
    ///
    /// # Errors
    /// When it is gone.
    pub fn sockets(self) -> Result<usize, String> {
        let path = format!("/proc/{}/fd", self.0);
        let entries = std::fs::read_dir(&path).map_err(|error| format!("{path}: {error}"))?;
        // What is closed meanwhile is no link any more.
        let targets = entries.filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok());
        let sockets = targets.filter(|target| target.to_string_lossy().starts_with("socket:"));
        Ok(sockets.count())
    }

    /// Processor time that it has had, in seconds.
    ///
    /// # Errors
    /// When it is gone.
    pub fn processor_seconds(self) -> Result<f64, String> {
        let path = format!("/proc/{}/stat", self.0);
        let stat = std::fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))?;
        // The name before them is in parentheses and may hold any character.
        let fields = stat.rsplit(')').next().unwrap_or_default();
        let mut fields = fields.split_whitespace().skip(11);
        let mut ticks = || fields.next()?.parse::<f64>().ok();
        let total = ticks().zip(ticks()).map(|(user, kernel)| user + kernel);
        total
            .map(|ticks| ticks / TICKS_PER_SECOND)
            .ok_or_else(|| format!("{path} says nothing of time"))
    }
}
