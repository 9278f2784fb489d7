//! Start, watch and signal the processes of a network, known by files with their ids.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::Localnet;
use crate::failure::{Exit, Failure, Outcome};

/// Time between two looks at a process that is to end.
const LOOK: Duration = Duration::from_millis(20);
/// Of a log, at most so much is read for its last lines.
const LOG_BYTES_MAX: u64 = 1 << 20;

/// What a process does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Up,
    Paused,
    Down,
}

impl State {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Paused => "paused",
            Self::Down => "down",
        }
    }
}

/// A process of the network, running or not: a node, or the relay.
#[derive(Clone, Debug)]
pub(crate) struct Process {
    /// Where its id and its log are.
    pub(crate) folder: PathBuf,
    arguments: Vec<String>,
}

impl Localnet {
    /// The process of `node`.
    pub(crate) fn process(&self, node: usize) -> Process {
        let folder = self.home_of(node);
        let home = folder.display().to_string();
        Process {
            folder,
            arguments: ["node", "run", "--home", &home].map(str::to_owned).into(),
        }
    }

    /// The process that the nodes' connections go through.
    pub(crate) fn relay(&self) -> Process {
        let dir = self.folder.display().to_string();
        Process {
            folder: self.folder.join("relay"),
            arguments: ["localnet", "relay", "--dir", &dir]
                .map(str::to_owned)
                .into(),
        }
    }
}

impl Process {
    pub(crate) fn log_file(&self) -> PathBuf {
        self.folder.join("log")
    }

    fn pid_file(&self) -> PathBuf {
        self.folder.join("pid")
    }

    /// Its id, as it was last started.
    pub(crate) fn pid(&self) -> Option<u32> {
        let text = std::fs::read_to_string(self.pid_file()).ok()?;
        text.trim().parse().ok()
    }

    /// What it does. A process that has its id and is another one counts as down.
    pub(crate) fn state(&self) -> State {
        let Some(seen) = self.pid().and_then(look) else {
            return State::Down;
        };
        let ours = seen.ending
            || self
                .arguments
                .last()
                .is_some_and(|last| seen.command.contains(last));
        match seen.letter {
            _ if !ours => State::Down,
            'T' | 't' => State::Paused,
            'Z' | 'X' if !seen.ending => State::Down,
            _ => State::Up,
        }
    }

    /// Starts it in the background, out of reach of this terminal's Ctrl-C, with its output in its log.
    pub(crate) fn start(&self) -> Outcome<Child> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |error: std::io::Error| Failure::io(&path, &error)
        };
        std::fs::create_dir_all(&self.folder).map_err(failed(&self.folder))?;
        let log_file = self.log_file();
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&log_file)
            .map_err(failed(&log_file))?;
        let errors = log.try_clone().map_err(failed(&log_file))?;
        let program = std::env::current_exe().map_err(failed(Path::new("kumiki")))?;
        let mut command = Command::new(&program);
        // What is set for other commands is not meant for each node alike.
        let meant_for_one = std::env::vars_os().map(|(name, _)| name).filter(|name| {
            name.to_string_lossy()
                .starts_with(crate::node_config::keys::VARIABLES)
        });
        for name in meant_for_one {
            command.env_remove(name);
        }
        command
            .args(&self.arguments)
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(errors);
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let child = command.spawn().map_err(failed(&program))?;
        let pid_file = self.pid_file();
        std::fs::write(&pid_file, child.id().to_string()).map_err(failed(&pid_file))?;
        Ok(child)
    }

    /// Sends a signal by its name (`TERM`); nothing where the process is down.
    pub(crate) fn signal(&self, name: &str) -> Outcome<()> {
        let Some(pid) = self.pid().filter(|_| self.state() != State::Down) else {
            return Ok(());
        };
        // The shell's own `kill`: not every machine has the program.
        let sent = Command::new("sh")
            .args(["-c", &format!("kill -{name} {pid}")])
            .stderr(Stdio::null())
            .status();
        match sent {
            Ok(status) if status.success() || self.state() == State::Down => Ok(()),
            Ok(status) => Err(format!("kill ended with {status}")),
            Err(error) => Err(error.to_string()),
        }
        .map_err(|found| {
            Failure::new(
                Exit::System,
                "signal",
                format!("process {pid} cannot be sent SIG{name}"),
            )
            .at(self.folder.display().to_string())
            .found(found)
            .next("kumiki localnet status")
        })
    }

    /// Waits until it is in `state`; false where that takes longer than `most`.
    pub(crate) async fn becomes(&self, state: State, most: Duration) -> bool {
        let deadline = Instant::now() + most;
        while self.state() != state {
            if Instant::now() >= deadline {
                return false;
            }
            tokio::time::sleep(LOOK).await;
        }
        true
    }

    /// The last `most` lines of its log.
    pub(crate) fn last_lines(&self, most: usize) -> Vec<String> {
        let text = self.read_log_end().unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        let first = lines.len().saturating_sub(most);
        lines
            .iter()
            .skip(first)
            .map(|line| (*line).to_owned())
            .collect()
    }

    fn read_log_end(&self) -> std::io::Result<String> {
        let mut file = File::open(self.log_file())?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(LOG_BYTES_MAX)))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}

/// What the system tells of a process.
struct Seen {
    /// Its state as `ps` shows it.
    letter: char,
    /// It was killed and still holds its files and ports. Its command line is gone by then.
    ending: bool,
    command: String,
}

/// Looks at the process `pid`; none where there is no such process.
fn look(pid: u32) -> Option<Seen> {
    let folder = PathBuf::from(format!("/proc/{pid}"));
    if let Ok(stat) = std::fs::read_to_string(folder.join("stat")) {
        let command = std::fs::read(folder.join("cmdline")).unwrap_or_default();
        return seen_of(&stat, String::from_utf8_lossy(&command).into_owned());
    }
    if cfg!(target_os = "linux") {
        return None;
    }
    let shown = Command::new("ps")
        .args(["-o", "stat=,command=", "-p", &pid.to_string()])
        .output()
        .ok()?;
    let command = String::from_utf8_lossy(&shown.stdout).trim().to_owned();
    Some(Seen {
        letter: command.chars().next()?,
        ending: false,
        command,
    })
}

/// Reads Linux's `/proc/PID/stat` (proc_pid_stat(5)): the state, the kernel's flags, the number of threads.
fn seen_of(stat: &str, command: String) -> Option<Seen> {
    /// The kernel's `PF_EXITING`.
    const EXITING: u64 = 4;
    // The name before them is in parentheses and may hold any character.
    let fields: Vec<&str> = stat.rsplit(')').next()?.split_whitespace().collect();
    let letter = fields.first()?.chars().next()?;
    let number = |at: usize| fields.get(at)?.parse::<u64>().ok();
    // The first thread is a zombie as soon as it has ended itself; the files close with the last one.
    let ending = match letter {
        'Z' | 'X' => number(17)? > 1,
        _ => number(6)? & EXITING != 0,
    };
    Some(Seen {
        letter,
        ending,
        command,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_killed_process_is_down_only_when_its_last_thread_has_ended() {
        let ending = |stat: &str| seen_of(stat, String::new()).map(|seen| seen.ending);
        let stat = |letter: &str, flags: u32, threads: u32| {
            format!("7 (a) b) {letter} 1 7 7 0 -1 {flags} 0 0 0 0 1 2 0 0 20 0 {threads} 0 99 0 0")
        };
        assert_eq!(ending(&stat("R", 0x40_0000, 9)), Some(false));
        assert_eq!(ending(&stat("R", 0x40_0004, 9)), Some(true));
        assert_eq!(ending(&stat("Z", 0x40_000c, 2)), Some(true));
        assert_eq!(ending(&stat("Z", 0x40_000c, 1)), Some(false));
        assert_eq!(ending("7 (cut"), None);
    }
}
