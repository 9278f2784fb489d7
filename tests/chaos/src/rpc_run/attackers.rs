//! Run attackers in a process of their own, which takes no processor time that a node wants.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

use crate::rpc_attack::{Attack, Outcomes, Target};

/// Far above what attackers take to begin and to be answered.
const SHOWN_WITHIN: Duration = Duration::from_secs(120);

/// The process of attackers.
pub(super) struct Attackers {
    name: &'static str,
    child: Child,
    said: Lines<BufReader<ChildStdout>>,
}

impl Attackers {
    pub(super) fn start(program: &Path, attack: &Attack, target: &Target) -> Result<Self, String> {
        // As many sockets as the machine gives, and no processor time that a node wants.
        let mut command = Command::new("sh");
        command
            .args([
                "-c",
                r#"ulimit -n "$(ulimit -Hn)"; exec nice -n 19 "$@""#,
                "sh",
            ])
            .arg(program)
            .args(["--attack", attack.name])
            .args(target.arguments())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true);
        let child = command.spawn();
        let mut child = child.map_err(|error| format!("attackers: {error}"))?;
        let stdout = child.stdout.take().ok_or("attackers say nothing")?;
        Ok(Self {
            name: attack.name,
            child,
            said: BufReader::new(stdout).lines(),
        })
    }

    /// Waits until all attackers have begun, and the node has done to them what it must.
    pub(super) async fn shown(&mut self) -> Result<(), String> {
        let line = tokio::time::timeout(SHOWN_WITHIN, self.said.next_line()).await;
        match line {
            Ok(Ok(Some(_shown))) => Ok(()),
            Ok(ended) => Err(format!("{}: attackers ended with {ended:?}", self.name)),
            // What is missing shows in what they say in the end.
            Err(_elapsed) => Ok(()),
        }
    }

    /// They end when their standard input does, and say what came of it.
    pub(super) async fn stop(mut self) -> Result<Outcomes, String> {
        drop(self.child.stdin.take());
        let mut last = String::new();
        while let Some(line) = self
            .said
            .next_line()
            .await
            .map_err(|error| error.to_string())?
        {
            last = line;
        }
        let status = self.child.wait().await.map_err(|error| error.to_string())?;
        serde_json::from_str(&last)
            .map_err(|error| format!("attackers ended with {status} and said {last:?}: {error}"))
    }
}
