//! Keep a local network's folder: which nodes there are, and the process of each.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use kumiki_client::Client;
use kumiki_protocol::PublicKey;
use serde::{Deserialize, Serialize};

use crate::arguments::LocalnetArguments;
use crate::failure::{Exit, Failure, Outcome};
use crate::home::Home;

const FILE: &str = "localnet.json";
/// How long a node may take to stop before it is killed.
const STOP_TIME: Duration = Duration::from_secs(20);
/// Between two looks at a process.
const LOOK: Duration = Duration::from_millis(20);

/// One node of a local network.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct LocalNode {
    pub(crate) number: usize,
    pub(crate) home: PathBuf,
    pub(crate) rpc: String,
    pub(crate) key: PublicKey,
    pub(crate) peer_id: String,
    pub(crate) validator: bool,
}

/// A local network.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct LocalNetwork {
    pub(crate) nodes: Vec<LocalNode>,
}

/// How a node's process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Process {
    Up,
    Paused,
    Down,
}

impl Process {
    pub(crate) const fn text(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Paused => "paused",
            Self::Down => "down",
        }
    }
}

/// The folder that was named, or the user's own.
pub(crate) fn folder(arguments: &LocalnetArguments) -> Outcome<PathBuf> {
    let folder = match &arguments.dir {
        Some(folder) => folder.clone(),
        None => Home::find()?.path().join("localnet"),
    };
    std::path::absolute(&folder).map_err(|error| Failure::io(&folder, &error))
}

impl LocalNetwork {
    /// The network in `folder`; `None` where there is none.
    pub(crate) fn find(folder: &Path) -> Outcome<Option<Self>> {
        let path = folder.join(FILE);
        if !path.is_file() {
            return Ok(None);
        }
        let text = fs::read_to_string(&path).map_err(|error| Failure::io(&path, &error))?;
        serde_json::from_str(&text).map(Some).map_err(|error| {
            Failure::new(Exit::System, "localnetMalformed", error.to_string())
                .at(path.display().to_string())
                .next("kumiki localnet down --wipe")
        })
    }

    /// The network in the folder that was named.
    pub(crate) fn open(arguments: &LocalnetArguments) -> Outcome<Self> {
        let folder = folder(arguments)?;
        Self::find(&folder)?.ok_or_else(|| {
            Failure::new(Exit::NotFound, "noLocalnet", "there is no local network")
                .at(folder.display().to_string())
                .expected("a folder that 'kumiki localnet up' has made")
                .next("kumiki localnet up")
        })
    }

    pub(crate) fn save(&self, folder: &Path) -> Outcome<()> {
        let path = folder.join(FILE);
        let text = serde_json::to_string_pretty(self).unwrap_or_default();
        fs::write(&path, text).map_err(|error| Failure::io(&path, &error))
    }

    pub(crate) fn node(&self, number: usize) -> Outcome<&LocalNode> {
        self.nodes.get(number).ok_or_else(|| {
            Failure::new(
                Exit::NotFound,
                "noNode",
                format!("there is no node {number}"),
            )
            .expected(format!("0 to {}", self.nodes.len().saturating_sub(1)))
            .found(number.to_string())
            .next("kumiki localnet status")
        })
    }
}

impl LocalNode {
    pub(crate) fn log(&self) -> PathBuf {
        self.home.join("node.log")
    }

    fn pid_file(&self) -> PathBuf {
        self.home.join("pid")
    }

    /// The peers that this node must not reach, for its process to read.
    pub(crate) fn cut_file(&self) -> PathBuf {
        self.home.join("cut.json")
    }

    /// Starts the node's process in the background, where it is not running.
    pub(crate) fn start(&self) -> Outcome<()> {
        if self.process() != Process::Down {
            return Ok(());
        }
        let program = std::env::current_exe()
            .map_err(|error| Failure::new(Exit::System, "noProgram", error.to_string()))?;
        let path = self.log();
        let log = fs::OpenOptions::new().create(true).append(true).open(&path);
        let log = log.map_err(|error| Failure::io(&path, &error))?;
        let errors = log
            .try_clone()
            .map_err(|error| Failure::io(&path, &error))?;
        let mut command = Command::new(program);
        command
            .args(["node", "run", "--home"])
            .arg(&self.home)
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(errors);
        // Its own group: Ctrl-C at this terminal is not meant for it.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let child = command
            .spawn()
            .map_err(|error| Failure::io(&self.home, &error))?;
        let path = self.pid_file();
        fs::write(&path, child.id().to_string()).map_err(|error| Failure::io(&path, &error))
    }

    /// The number of the node's process, if there ever was one.
    pub(crate) fn pid(&self) -> Option<u32> {
        fs::read_to_string(self.pid_file())
            .ok()?
            .trim()
            .parse()
            .ok()
    }

    /// How the node's process is. A number that another program has got meanwhile does not count.
    pub(crate) fn process(&self) -> Process {
        let Some(pid) = self.pid() else {
            return Process::Down;
        };
        let arguments = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let home = self.home.display().to_string();
        let ours = arguments
            .split(|byte| *byte == 0)
            .any(|argument| argument == home.as_bytes());
        let status = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let state = status
            .rsplit(')')
            .next()
            .and_then(|rest| rest.trim().chars().next());
        match state {
            Some('T' | 't') if ours => Process::Paused,
            Some('Z' | 'X') | None => Process::Down,
            Some(_) if ours => Process::Up,
            Some(_) => Process::Down,
        }
    }

    /// Sends a signal, where the node runs.
    pub(crate) fn signal(&self, name: &str) -> Outcome<()> {
        let (Some(pid), Process::Up | Process::Paused) = (self.pid(), self.process()) else {
            return Ok(());
        };
        let sent = Command::new("kill")
            .arg(format!("-{name}"))
            .arg(pid.to_string())
            .status();
        match sent {
            Ok(_) => Ok(()),
            Err(error) => Err(Failure::new(Exit::System, "noKill", error.to_string())),
        }
    }

    /// Asks the node to stop and waits; kills it where it takes too long.
    pub(crate) async fn stop(&self) -> Outcome<()> {
        self.signal("CONT")?;
        self.signal("TERM")?;
        if !self.is_down_within(STOP_TIME).await {
            self.kill().await?;
        }
        Ok(())
    }

    /// Kills the node and waits until it is gone.
    pub(crate) async fn kill(&self) -> Outcome<()> {
        self.signal("KILL")?;
        if self.is_down_within(STOP_TIME).await {
            return Ok(());
        }
        Err(Failure::new(
            Exit::System,
            "notKilled",
            format!("node {} does not end", self.number),
        )
        .next("kumiki localnet status"))
    }

    async fn is_down_within(&self, time: Duration) -> bool {
        let end = Instant::now() + time;
        while self.process() != Process::Down || !self.is_unlocked() {
            if Instant::now() >= end {
                return false;
            }
            tokio::time::sleep(LOOK).await;
        }
        true
    }

    /// Whether nobody has the node's store open: a killed process may show as ended before its threads have.
    fn is_unlocked(&self) -> bool {
        let lock = self.home.join("data/chain/lock");
        match fs::File::open(lock) {
            Ok(file) => file.try_lock().is_ok(),
            Err(_none) => true,
        }
    }

    /// A client of the node, if it answers.
    pub(crate) async fn client(&self) -> Option<Client> {
        Client::connect(&self.rpc, None).await.ok()
    }

    /// The last lines that the node logged.
    pub(crate) fn last_lines(&self, count: usize) -> Vec<String> {
        let text = fs::read(self.log()).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        let first = lines.len().saturating_sub(count);
        lines
            .iter()
            .skip(first)
            .map(|line| (*line).to_owned())
            .collect()
    }
}
