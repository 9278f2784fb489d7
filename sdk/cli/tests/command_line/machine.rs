//! Give a test a project, a home of its own and a dev chain, and compare with golden files.

use std::cell::RefCell;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError, mpsc};
use std::time::Duration;

use serde_json::{Value, json};

/// Far above what a build takes; a line that has not come by then never will.
const LINE_WAIT_MAX: Duration = Duration::from_mins(5);

/// Who builds the project of a template as it is. All builds go to one folder, where the Wasm of two crates of one name
/// would be one file.
static BUILDING: [(&str, Mutex<()>); 3] = [
    ("counter", Mutex::new(())),
    ("token", Mutex::new(())),
    ("empty", Mutex::new(())),
];

/// A project made by `kumiki new`, and a home that all runs of these tests share, so that builds are reused.
pub(crate) struct Machine {
    folder: tempfile::TempDir,
    project: PathBuf,
    home: PathBuf,
    chain: Option<Child>,
    /// The next steps that answers named, as they were.
    next_steps: RefCell<Vec<String>>,
    _alone: Option<MutexGuard<'static, ()>>,
}

impl Machine {
    /// Makes a project called like its template.
    pub(crate) fn with_project(template: &str) -> Self {
        Self::with_project_called(template, template)
    }

    /// Makes a project. Those that are built at the same time have names of their own: their Wasm lies in one folder.
    pub(crate) fn with_project_called(name: &str, template: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let shared = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let lock = BUILDING.iter().find(|(template, _)| *template == name);
        // A test that failed has stopped building.
        let alone = lock.map(|(_, lock)| lock.lock().unwrap_or_else(PoisonError::into_inner));
        let machine = Self {
            project: folder.path().join(name),
            home: folder.path().join("home"),
            folder,
            chain: None,
            next_steps: RefCell::default(),
            _alone: alone,
        };
        // Sources of the SDK and what cargo made of them outlive one run.
        std::fs::create_dir_all(shared.join("sdk")).unwrap();
        std::fs::create_dir_all(&machine.home).unwrap();
        #[cfg(unix)]
        std::os::unix::fs::symlink(shared.join("sdk"), machine.home.join("sdk")).unwrap();
        let made = machine
            .command(
                &["new", name, "--template", template],
                machine.folder.path(),
            )
            .output()
            .unwrap();
        assert!(
            made.status.success(),
            "{}",
            String::from_utf8_lossy(&made.stderr)
        );
        let other = "\n[networks.other]\nrpc = \"RPC\"\ngenesis = \"GENESIS\"\n";
        let other = other.replace("GENESIS", &format!("0x{}", "11".repeat(32)));
        let config = std::fs::read_to_string(machine.project.join("kumiki.toml")).unwrap();
        machine.write("kumiki.toml", format!("{config}{other}").as_bytes());
        std::fs::copy(
            machine.project.join("kumiki.toml"),
            machine.folder.path().join("config"),
        )
        .unwrap();
        machine
    }

    fn command(&self, arguments: &[&str], folder: &Path) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kumiki"));
        let inherited: Vec<String> = std::env::vars()
            .map(|(name, _)| name)
            .filter(|name| name.starts_with("KUMIKI_") || name.starts_with("CARGO_"))
            .collect();
        for name in inherited.iter().filter(|name| *name != "CARGO_HOME") {
            command.env_remove(name);
        }
        command
            .args(arguments)
            .current_dir(folder)
            .env("KUMIKI_HOME", &self.home)
            .env(
                "CARGO_TARGET_DIR",
                Path::new(env!("CARGO_TARGET_TMPDIR")).join("target"),
            )
            .env("COLUMNS", "100")
            .stdin(Stdio::null());
        command
    }

    /// Starts `kumiki dev` and returns the line it prints when ready.
    pub(crate) fn start_chain(&mut self) -> Value {
        let mut child = self
            .command(
                &["dev", "--json", "--port", "0", "--no-watch"],
                &self.project,
            )
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let stdout = child.stdout.take().unwrap();
        BufReader::new(stdout).read_line(&mut line).unwrap();
        self.chain = Some(child);
        let ready: Value = serde_json::from_str(&line).unwrap();
        assert!(ready["ready"] == json!(true), "{ready:#}");
        let config = self.folder.path().join("config");
        let text = std::fs::read_to_string(&config).unwrap();
        std::fs::write(&config, text.replace("RPC", ready["rpc"].as_str().unwrap())).unwrap();
        self.restore_config();
        ready
    }

    /// Starts `kumiki dev` with its watcher; what it prints comes line by line.
    pub(crate) fn start_watching(&mut self) -> Lines {
        let mut child = self
            .command(&["dev", "--port", "0"], &self.project)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (sender, lines) = mpsc::channel();
        let errors = sender.clone();
        let stdout = child.stdout.take().unwrap();
        let stderr = child.stderr.take().unwrap();
        std::thread::spawn(move || forward(stdout, &sender));
        std::thread::spawn(move || forward(stderr, &errors));
        self.chain = Some(child);
        Lines(lines)
    }

    /// Asks the chain to stop as Ctrl-C does, and waits until it has.
    pub(crate) fn stop_chain(&mut self) {
        let mut child = self.chain.take().unwrap();
        let pid = child.id().to_string();
        let sent = Command::new("kill").args(["-INT", &pid]).status().unwrap();
        assert!(sent.success());
        let status = child.wait().unwrap();
        assert!(status.success(), "kumiki dev ended with {status}");
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments, &self.project).output().unwrap()
    }

    /// Starts a command whose output is read while it runs.
    pub(crate) fn spawn(&self, arguments: &[&str]) -> Child {
        let mut command = self.command(arguments, &self.project);
        command.stdout(Stdio::piped()).spawn().unwrap()
    }

    /// What a command that must succeed answers with `--json`.
    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        let lines = self.lines(arguments);
        assert_eq!(lines.len(), 1, "{arguments:?} prints one document");
        lines[0].clone()
    }

    /// The documents that a command which must succeed prints.
    pub(crate) fn lines(&self, arguments: &[&str]) -> Vec<Value> {
        let output = self.run(&[arguments, &["--json"]].concat());
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(
            output.status.success(),
            "{arguments:?}: {text}{}",
            String::from_utf8_lossy(&output.stderr)
        );
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    /// A command, its exit code and its output, without what differs between runs.
    pub(crate) fn answer(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let code = output.status.code().unwrap();
        let text = format!(
            "$ kumiki {}\n{}{}exit {code}\n\n",
            arguments.join(" "),
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        let next = text.lines().filter_map(|line| line.split_once("next:"));
        let next = next.map(|(_, step)| step.trim().to_owned());
        self.next_steps.borrow_mut().extend(next);
        self.scrub(&text)
    }

    /// Pastes every next step that answers named into a shell: none may be a wrong command line.
    pub(crate) fn paste_next_steps(&self) {
        for step in self.next_steps.take() {
            // A chain that would run on, and a passphrase that nobody would type.
            if step.starts_with("kumiki dev") || step.starts_with("kumiki account new") {
                continue;
            }
            let output = self.shell(&step).output().unwrap();
            let code = output.status.code().unwrap();
            assert!(
                // 4: the address of a node that is not there.
                matches!(code, 0 | 4),
                "'{step}' ends with {code}: {}",
                String::from_utf8_lossy(&output.stderr)
            );
        }
    }

    /// What a line of shell prints, which must succeed.
    pub(crate) fn shell_output(&self, line: &str) -> String {
        let output = self.shell(line).output().unwrap();
        let [out, err] =
            [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
        assert!(output.status.success(), "{line}\n{out}{err}");
        out
    }

    /// A line of shell that finds `kumiki`.
    fn shell(&self, line: &str) -> Command {
        let mut command = self.command(&[], &self.project);
        let program = Path::new(env!("CARGO_BIN_EXE_kumiki")).parent().unwrap();
        let path = std::env::var("PATH").unwrap();
        command.env("PATH", format!("{}:{path}", program.display()));
        let mut shell = Command::new("sh");
        shell.args(["-c", line]).current_dir(&self.project);
        for (name, value) in command.stdin(Stdio::null()).get_envs() {
            match value {
                Some(value) => shell.env(name, value),
                None => shell.env_remove(name),
            };
        }
        shell.stdin(Stdio::null());
        shell
    }

    fn scrub(&self, text: &str) -> String {
        let folder = self.folder.path().display().to_string();
        let real = std::fs::canonicalize(self.folder.path()).unwrap();
        let text = text
            .replace(&real.display().to_string(), "DIR")
            .replace(&folder, "DIR");
        let text = mask(&text, "kumi1", |one| one.is_ascii_alphanumeric(), 30);
        let text = mask(&text, "0x", |one| one.is_ascii_hexdigit(), 30);
        let text = mask(&text, "127.0.0.1:", |one| one.is_ascii_digit(), 3);
        mask(&text, "port ", |one| one.is_ascii_digit(), 3)
    }

    /// Makes an account without funds.
    pub(crate) fn add_account(&self, name: &str) {
        self.write("passphrase", b"secret");
        let made = self.json(&["account", "new", name, "--passphrase-file", "passphrase"]);
        assert_eq!(made["name"], json!(name));
    }

    pub(crate) fn write(&self, name: &str, content: &[u8]) {
        let path = self.project.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    /// Gives the project this `kumiki.toml`.
    pub(crate) fn configure(&self, text: &str) {
        std::fs::write(self.folder.path().join("config"), text).unwrap();
        self.restore_config();
    }

    /// What a command prints, on stdout and stderr, and its exit code.
    pub(crate) fn printed(&self, arguments: &[&str]) -> (String, Option<i32>) {
        let output = self.run(arguments);
        let [out, err] =
            [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
        (out + &err, output.status.code())
    }

    /// Saves a file with `from` in it replaced.
    pub(crate) fn edit(&self, name: &str, from: &str, to: &str) {
        let text = std::fs::read_to_string(self.project.join(name)).unwrap();
        assert!(text.contains(from), "{name} has no '{from}'");
        self.write(name, text.replace(from, to).as_bytes());
    }

    /// Saves a file once, with each first text in it replaced by the second.
    pub(crate) fn edit_all(&self, name: &str, edits: &[(&str, &str)]) {
        let mut text = std::fs::read_to_string(self.project.join(name)).unwrap();
        for (from, to) in edits {
            assert!(text.contains(from), "{name} has no '{from}'");
            text = text.replace(from, to);
        }
        self.write(name, text.as_bytes());
    }

    /// What a command that must fail so answers with `--json`.
    pub(crate) fn refused(&self, arguments: &[&str], exit: i32) -> Value {
        let output = self.run(&[arguments, &["--json"]].concat());
        let text = String::from_utf8(output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(exit), "{arguments:?}: {text}");
        let answer: Value = serde_json::from_str(&text).unwrap();
        answer["error"].clone()
    }

    /// Starts a command, hands its process over once it has printed a line with `part` on stderr.
    pub(crate) fn start_until(&self, arguments: &[&str], part: &str) -> Child {
        let mut child = self
            .command(arguments, &self.project)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stderr = child.stderr.take().unwrap();
        let mut lines = BufReader::new(stderr).lines().map(Result::unwrap);
        assert!(lines.any(|line| line.contains(part)), "no '{part}'");
        child
    }

    /// Starts a command.
    pub(crate) fn start(&self, arguments: &[&str]) -> Child {
        self.command(arguments, &self.project)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap()
    }

    pub(crate) fn project(&self) -> &Path {
        &self.project
    }

    pub(crate) fn restore_config(&self) {
        std::fs::copy(
            self.folder.path().join("config"),
            self.project.join("kumiki.toml"),
        )
        .unwrap();
    }
}

/// Lines that a running program prints.
pub(crate) struct Lines(mpsc::Receiver<String>);

impl Lines {
    /// Waits for a line with `part` in it.
    #[track_caller]
    pub(crate) fn wait_for(&self, part: &str) {
        self.wait_for_all(&[part]);
    }

    /// Waits until each part was in a line, in whatever order: what goes to stdout and what goes to stderr have none.
    #[track_caller]
    pub(crate) fn wait_for_all(&self, parts: &[&str]) {
        let mut missing = parts.to_vec();
        let mut before = Vec::new();
        while !missing.is_empty() {
            let Ok(line) = self.0.recv_timeout(LINE_WAIT_MAX) else {
                panic!("no lines with {missing:?}, only {before:#?}");
            };
            missing.retain(|part| !line.contains(part));
            before.push(line);
        }
    }
}

fn forward(output: impl std::io::Read, lines: &mpsc::Sender<String>) {
    for line in BufReader::new(output).lines() {
        // A test that has seen enough reads no more.
        let _unread = lines.send(line.unwrap());
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        if let Some(child) = &mut self.chain {
            // A test that failed leaves no chain behind.
            let _gone = child.kill();
        }
    }
}

/// `text` with what follows `prefix` replaced, where it is at least `least` characters of `part`.
fn mask(text: &str, prefix: &str, part: fn(char) -> bool, least: usize) -> String {
    let mut pieces = text.split(prefix);
    let mut masked = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let length = piece.find(|one| !part(one)).unwrap_or(piece.len());
        masked.push_str(prefix);
        if length >= least {
            masked.push('…');
            masked.push_str(&piece[length..]);
        } else {
            masked.push_str(piece);
        }
    }
    masked
}

/// The same JSON with types instead of values; of an array the first element stands for all.
pub(crate) fn shape(value: &Value) -> Value {
    match value {
        Value::Null => json!("null"),
        Value::Bool(_) => json!("bool"),
        Value::Number(_) => json!("number"),
        Value::String(_) => json!("string"),
        Value::Array(items) => Value::Array(items.first().map(shape).into_iter().collect()),
        Value::Object(entries) => entries
            .iter()
            .map(|(key, value)| (key.clone(), shape(value)))
            .collect(),
    }
}

/// Compares with `tests/golden/NAME.txt`, or rewrites it under `KUMIKI_BLESS=1`.
pub(crate) fn check_golden(name: &str, found: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/golden/{name}.txt"));
    if std::env::var_os("KUMIKI_BLESS").is_some() {
        std::fs::write(&path, found).unwrap();
        return;
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    for (line, (expected, found)) in expected.lines().zip(found.lines()).enumerate() {
        assert_eq!(expected, found, "{}:{}", path.display(), line + 1);
    }
    assert_eq!(expected, found, "{}", path.display());
}
