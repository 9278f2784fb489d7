//! Kill a running process as it enters an exact system call on an exact file, or let that call fail, with strace.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::tool::{missing, tool};

/// Far above what it takes until a node writes to a file.
const DEADLINE: Duration = Duration::from_secs(120);

/// A process that is killed as soon as it enters a call.
#[derive(Debug)]
pub struct Strike {
    strace: Child,
    call: String,
    trace: PathBuf,
}

/// Where a process was killed.
#[derive(Clone, Debug)]
pub struct Hit {
    /// The file that the call was for.
    pub file: PathBuf,
    /// The call as strace shows it. It was not executed.
    pub line: String,
    /// Where in that file the write before it began, if there was one: what no sync has made durable.
    pub written_at: Option<u64>,
}

impl Strike {
    /// What keeps this machine from it, as text to print.
    ///
    /// # Errors
    /// In CI, where it must work.
    pub fn missing() -> Result<Option<String>, String> {
        let why = match (tool(&["strace", "-V"]), tool(&["id", "-u"])) {
            (Err(error), _) | (_, Err(error)) => Some(error),
            (Ok(_), Ok(user)) if user.trim() == "0" => None,
            (Ok(_), Ok(user)) => Some(format!("this is user {}", user.trim())),
        };
        let skipped = why.map(|why| missing("root and strace", &why));
        skipped.transpose()
    }

    /// Lets the process `pid` end with SIGKILL as it enters `call` on one of `files`. What it writes to them before is
    /// noted in the file `trace`.
    ///
    /// # Errors
    /// When strace cannot do so.
    pub fn aim(pid: &str, call: &str, files: &[PathBuf], trace: &Path) -> Result<Self, String> {
        Self::attach(pid, (call, "signal=KILL"), files, trace)
    }

    /// Lets the first such call of the process `pid` on one of `files` fail with an error of the system, `EIO` say.
    ///
    /// # Errors
    /// When strace cannot do so.
    pub fn fail(
        pid: &str,
        (call, error): (&str, &str),
        files: &[PathBuf],
        trace: &Path,
    ) -> Result<Self, String> {
        let harm = format!("error={error}:when=1");
        Self::attach(pid, (call, &harm), files, trace)
    }

    fn attach(
        pid: &str,
        (call, harm): (&str, &str),
        files: &[PathBuf],
        trace: &Path,
    ) -> Result<Self, String> {
        let mut command = Command::new("strace");
        command.args(["-f", "-y", "-p", pid, "-o"]).arg(trace);
        let calls = "trace=pwrite64,pwritev,pwritev2,fsync,fdatasync";
        command.args(["-e", calls, "-e", &format!("inject={call}:{harm}")]);
        for file in files {
            command.arg("-P").arg(file);
        }
        let mut strace = command
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| format!("strace: {error}"))?;
        let stderr = strace.stderr.take();
        let mut said = stderr
            .into_iter()
            .flat_map(|one| BufReader::new(one).lines());
        let attached = said
            .by_ref()
            .map_while(Result::ok)
            .find(|line| line.contains("attached") || line.contains("attach:"));
        // Read on, or strace would stop at a full pipe.
        let _reader = std::thread::spawn(move || said.count());
        match attached {
            Some(line) if line.contains(" attached") => Ok(Self {
                strace,
                call: call.to_owned(),
                trace: trace.to_owned(),
            }),
            line => Err(format!("strace does not attach to {pid}: {line:?}")),
        }
    }

    /// Waits until the process is killed, and shows from the trace that it was there.
    ///
    /// # Errors
    /// When it was not killed, or elsewhere.
    pub fn wait(mut self) -> Result<Hit, String> {
        let trace = self.trace_to_the_end()?;
        hit(&trace, &self.call)
            .ok_or_else(|| format!("the trace shows no kill in {}:\n{trace}", self.call))
    }

    /// Waits until the process has ended after its call failed, and gives back the call as strace shows it.
    ///
    /// # Errors
    /// When it goes on, or no call failed.
    pub fn failed(mut self) -> Result<String, String> {
        let trace = self.trace_to_the_end()?;
        let line = trace.lines().find(|line| line.contains("(INJECTED)"));
        line.map(str::to_owned)
            .ok_or_else(|| format!("no {} failed:\n{trace}", self.call))
    }

    fn trace_to_the_end(&mut self) -> Result<String, String> {
        let end = Instant::now() + DEADLINE;
        loop {
            match self.strace.try_wait().map_err(|error| error.to_string())? {
                Some(_) => break,
                None if Instant::now() >= end => {
                    // Detaches, and the process goes on.
                    let _ended = self.strace.kill();
                    let _reaped = self.strace.wait();
                    return Err(format!(
                        "within {DEADLINE:?} there was no {}, or the process went on after it",
                        self.call
                    ));
                }
                None => std::thread::sleep(Duration::from_millis(20)),
            }
        }
        std::fs::read_to_string(&self.trace).map_err(|error| error.to_string())
    }
}

/// Reads where the process of a trace was killed: at the first call that did not return.
fn hit(trace: &str, call: &str) -> Option<Hit> {
    let lines: Vec<(&str, &str)> = trace
        .lines()
        .filter_map(|line| line.split_once(' '))
        .map(|(thread, rest)| (thread, rest.trim()))
        .collect();
    if !lines
        .iter()
        .any(|(_, rest)| rest.contains("killed by SIGKILL"))
    {
        return None;
    }
    let no_return = |rest: &str| rest.ends_with("= ?") || rest.starts_with("+++ killed");
    let opening = format!("{call}(");
    let (at, (_, line)) = lines.iter().enumerate().find(|(at, (thread, rest))| {
        // Where other threads are shown between, the end of a call is the thread's next line.
        let next = lines.iter().skip(at + 1).find(|(other, _)| other == thread);
        rest.starts_with(&opening)
            && (no_return(rest)
                || rest.ends_with("<unfinished ...>")
                    && next.is_some_and(|(_, end)| no_return(end)))
    })?;
    let (file, _) = line.split_once('<')?.1.split_once('>')?;
    let within = format!("<{file}>");
    let written = lines
        .iter()
        .take(at)
        .rev()
        .find(|(_, before)| before.starts_with("pwrite") && before.contains(&within));
    Some(Hit {
        file: file.into(),
        line: (*line).to_owned(),
        written_at: written.and_then(|(_, before)| offset(before)),
    })
}

/// The offset of a write: `pwrite64(fd, "…", size, offset)`, `pwritev2(fd, […], count, offset, flags)`.
fn offset(line: &str) -> Option<u64> {
    let end = line.rfind("], ").or_else(|| line.rfind('"'))?;
    let numbers = line
        .get(end..)?
        .split(|letter: char| !letter.is_ascii_digit());
    let mut numbers = numbers.filter(|text| !text.is_empty());
    numbers.nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_shows_the_call_that_did_not_return() {
        let trace = "7 pwrite64(4</d/a>, \"a\\\"]\"..., 3, 42) = 3\n\
                     8 pwritev2(4</d/b>, [{iov_base=\"x\"..., iov_len=3}], 1, 4141, RWF_DSYNC|0x80 <unfinished ...>\n\
                     9 fdatasync(5</d/c>) = 0\n\
                     7 fdatasync(4</d/a> <unfinished ...>\n\
                     8 <... pwritev2 resumed>) = 3\n\
                     7 <... fdatasync resumed>)           = ?\n\
                     7 +++ killed by SIGKILL +++\n";
        let hit = |call| hit(trace, call).map(|hit| (hit.file, hit.written_at));
        assert_eq!(hit("fdatasync"), Some(("/d/a".into(), Some(42))));
        assert_eq!(hit("pwritev2"), None);
        let alive = trace.replace("7 +++ killed by SIGKILL +++\n", "");
        assert!(super::hit(&alive, "fdatasync").is_none());
        assert_eq!(offset(trace.lines().nth(1).unwrap()), Some(4141));
    }
}
