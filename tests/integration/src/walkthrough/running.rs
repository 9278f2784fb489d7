//! Keep a command running, with what it prints, until it is dropped.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use super::document::{Step, matches_line};

/// How long a command may take to say that it is ready before we believe that it hangs.
const HANGS_AFTER: Duration = Duration::from_secs(600);

/// A command in the background; dropping it ends it and all it started.
#[derive(Debug)]
pub struct Running {
    child: Child,
}

impl Running {
    /// Starts `command` and waits for the last line that `step` shows.
    ///
    /// # Errors
    /// When it ends before, or never prints the line.
    pub(super) fn start(mut command: Command, step: &Step) -> Result<Self, String> {
        let mut child = command.spawn().map_err(|error| format!("bash: {error}"))?;
        let (sender, lines) = channel();
        if let Some(stdout) = child.stdout.take() {
            forward(stdout, sender.clone());
        }
        if let Some(stderr) = child.stderr.take() {
            forward(stderr, sender);
        }
        // Made before waiting, so that a command that never gets ready is ended too.
        let running = Self { child };
        let printed = wait_for_last_line(&lines, step)?;
        match step.first_missing(&printed) {
            Some(line) => Err(format!(
                "$ {}\n{printed}\ndid not print the line: {line}",
                step.command
            )),
            None => Ok(running),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let group = format!("-{}", self.child.id());
        let _ended_already = Command::new("kill").args(["-TERM", "--", &group]).status();
        let _reaped = self.child.wait();
    }
}

/// Hands on lines until the stream ends, so that the command never blocks on a full pipe.
fn forward(stream: impl Read + Send + 'static, lines: Sender<String>) {
    std::thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            eprintln!("  | {line}");
            let _nobody_waits = lines.send(line);
        }
    });
}

fn wait_for_last_line(lines: &Receiver<String>, step: &Step) -> Result<String, String> {
    let ready = step.shown.last().ok_or_else(|| {
        format!(
            "$ {}: a background block shows the line that says ready",
            step.command
        )
    })?;
    let started = Instant::now();
    let mut printed = String::new();
    loop {
        let left = HANGS_AFTER.saturating_sub(started.elapsed());
        let line = match lines.recv_timeout(left) {
            Ok(line) => line,
            Err(RecvTimeoutError::Disconnected) => {
                return Err(format!(
                    "$ {}\n{printed}\nended before it was ready: {ready}",
                    step.command
                ));
            }
            Err(RecvTimeoutError::Timeout) => {
                return Err(format!(
                    "$ {}\n{printed}\nnever got ready: {ready}",
                    step.command
                ));
            }
        };
        printed.push_str(&line);
        printed.push('\n');
        if matches_line(ready, &line) {
            return Ok(printed);
        }
    }
}
