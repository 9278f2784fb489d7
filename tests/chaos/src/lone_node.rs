//! Run a network of one validator, as an operator would, on whatever disk a test gives it.

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use crate::tool::tool;
use crate::{Net, Nodes};

/// Far above what a node takes to notice that its disk fails, and to end.
const DEADLINE: Duration = Duration::from_secs(180);

/// A node that decides alone. Dropping it kills it.
#[derive(Debug)]
pub struct LoneNode {
    /// Where it answers and what it logs, as node 0.
    pub nodes: Nodes,
    net: Net,
    home: PathBuf,
    log: PathBuf,
    child: Option<Child>,
}

impl LoneNode {
    /// Makes its folder in `place`. Its log lies elsewhere: a full disk must not hide what it says.
    ///
    /// # Errors
    /// What the program says.
    pub fn make(place: &Path) -> Result<Self, String> {
        let net = Net::start(1, 0, &[])?;
        net.localnet(&["down"])?;
        let home = place.join("node");
        let (from, to) = (
            net.folder(0).display().to_string(),
            home.display().to_string(),
        );
        tool(&["cp", "-a", &from, &to])?;
        let nodes = Nodes::new(net.rpc.clone(), net.scratch().join("lone"));
        std::fs::create_dir_all(nodes.folder(0)).map_err(|error| error.to_string())?;
        Ok(Self {
            log: nodes.folder(0).join("log"),
            nodes,
            net,
            home,
            child: None,
        })
    }

    /// The folder of its data.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.home.join("data")
    }

    /// Starts it, with a new log.
    ///
    /// # Errors
    /// What the system says.
    pub fn start(&mut self) -> Result<(), String> {
        let failed = |error: std::io::Error| error.to_string();
        drop(File::create(&self.log).map_err(failed)?);
        // Both append, or one would write over the other.
        let log = OpenOptions::new().append(true).open(&self.log);
        let log = log.map_err(failed)?;
        let errors = log.try_clone();
        let mut command = self.net.command();
        command.args(["node", "run", "--home"]).arg(&self.home);
        command.stdin(Stdio::null()).stdout(log);
        let child = command.stderr(errors.map_err(failed)?).spawn();
        self.child = Some(child.map_err(failed)?);
        Ok(())
    }

    /// Its process id, while it runs.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// Waits until it ends by itself, and gives back its exit code.
    ///
    /// # Errors
    /// When it does not.
    pub async fn ended(&mut self) -> Result<Option<i32>, String> {
        let mut child = self.child.take().ok_or("it does not run")?;
        let end = Instant::now() + DEADLINE;
        loop {
            if let Some(status) = child.try_wait().map_err(|error| error.to_string())? {
                return Ok(status.code());
            }
            if Instant::now() >= end {
                self.child = Some(child);
                let log = self.nodes.log_end(0);
                return Err(format!("it goes on where it cannot write; {log}"));
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Asks it to stop, and waits until it has.
    ///
    /// # Errors
    /// When it does not run, or does not stop.
    pub async fn stop(&mut self) -> Result<Option<i32>, String> {
        let pid = self.pid().ok_or("it does not run")?;
        tool(&["sh", "-c", &format!("kill -TERM {pid}")])?;
        self.ended().await
    }
}

impl Drop for LoneNode {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            // It may have ended before.
            let _ended = child.kill();
            let _reaped = child.wait();
        }
    }
}
