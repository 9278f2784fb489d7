//! Run `kumiki` as a machine of its own does, with networks and nodes that end with the test.

use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::program::{Home, kumiki};

/// Far above what anything here takes; what has not come by then never will.
pub const DEADLINE: Duration = Duration::from_secs(120);
/// Time between two looks.
const LOOK: Duration = Duration::from_millis(100);

/// A home in which a network may run; it ends with this value.
#[derive(Debug, Default)]
pub struct Machine {
    home: Home,
}

impl Machine {
    /// A machine on which nothing runs.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Its folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.home.path()
    }

    /// `kumiki` with these arguments.
    #[must_use]
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(kumiki());
        self.home.prepare(&mut command);
        command
            .args(arguments)
            .env("TMPDIR", self.home.path())
            .current_dir(self.home.path())
            .stdin(Stdio::null());
        command
    }

    /// Runs a command to its end.
    ///
    /// # Panics
    /// When the program cannot be run.
    #[must_use]
    pub fn run(&self, arguments: &[&str]) -> Output {
        let output = self.command(arguments).output();
        output.expect("the program runs")
    }

    /// What a command that must succeed prints.
    ///
    /// # Panics
    /// When it fails, with what it printed.
    #[must_use]
    pub fn text(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(
            output.status.success(),
            "{arguments:?} ends with {}: {text}{}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
        text
    }

    /// The same with `--json`, read.
    ///
    /// # Panics
    /// When it fails, or prints no JSON.
    #[must_use]
    pub fn json(&self, arguments: &[&str]) -> Value {
        let text = self.text(&[arguments, &["--json"]].concat());
        serde_json::from_str(&text).expect("it prints one document")
    }

    /// What a command that must fail with the exit code `code` says.
    ///
    /// # Panics
    /// When it ends otherwise.
    #[must_use]
    pub fn failure(&self, arguments: &[&str], code: i32) -> String {
        let output = self.run(arguments);
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {text}");
        text
    }

    /// Runs a command with `--json` until what it answers satisfies `enough`, and gives that back.
    ///
    /// # Panics
    /// When that does not happen in time, with what it printed last.
    pub fn wait_for(&self, arguments: &[&str], enough: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let output = self.run(&[arguments, &["--json"]].concat());
            let answer = serde_json::from_slice(&output.stdout).unwrap_or(Value::Null);
            if output.status.success() && enough(&answer) {
                return answer;
            }
            assert!(
                Instant::now() < deadline,
                "{arguments:?} never answers what is expected, last: {answer:#}"
            );
            std::thread::sleep(LOOK);
        }
    }

    /// Starts a command that goes on running.
    ///
    /// # Panics
    /// When the program cannot be run.
    #[must_use]
    pub fn start(&self, arguments: &[&str]) -> Running {
        let mut command = self.command(arguments);
        command.stdout(Stdio::piped()).stderr(Stdio::null());
        Running(command.spawn().expect("the program runs"))
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // Where no network was made, there is none to end.
        let _no_network = self
            .command(&["localnet", "down", "--wipe"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
    }
}

/// A program that runs until it is told to stop, or the test ends.
#[derive(Debug)]
pub struct Running(Child);

impl Running {
    /// Waits for the first line that it prints.
    ///
    /// # Panics
    /// When it prints none.
    pub fn first_line(&mut self) -> String {
        use std::io::BufRead as _;
        let output = self.0.stdout.take().expect("its first line is read once");
        let mut line = String::new();
        let read = std::io::BufReader::new(output).read_line(&mut line);
        assert!(
            read.is_ok_and(|length| length > 0),
            "it ended: {:?}",
            self.0.try_wait()
        );
        line
    }

    /// Asks it to stop, as a service manager does, and gives back its exit code.
    ///
    /// # Panics
    /// When it does not end in time.
    pub fn stop(mut self) -> Option<i32> {
        let pid = self.0.id();
        let sent = Command::new("sh")
            .args(["-c", &format!("kill -TERM {pid}")])
            .status();
        assert!(sent.is_ok_and(|status| status.success()));
        let deadline = Instant::now() + DEADLINE;
        loop {
            if let Ok(Some(status)) = self.0.try_wait() {
                return status.code();
            }
            assert!(Instant::now() < deadline, "process {pid} does not stop");
            std::thread::sleep(LOOK);
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // A test that failed leaves nothing behind.
        let _ended = self.0.kill();
        let _reaped = self.0.wait();
    }
}
