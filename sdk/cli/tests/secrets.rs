//! Show that no command prints or logs a secret, at any level of its log.

#![expect(clippy::unwrap_used, reason = "set-up that fails should fail the test")]

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use kumiki_wallet::{Keystore, Passphrase, read_node_key};

const PASSPHRASE: &str = "correct-horse-battery-staple";

/// A home, and everything that was printed in it.
struct Machine {
    home: tempfile::TempDir,
    printed: String,
}

impl Machine {
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let passphrase = home.path().join("passphrase");
        std::fs::write(&passphrase, PASSPHRASE).unwrap();
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let private = std::fs::Permissions::from_mode(0o600);
            std::fs::set_permissions(passphrase, private).unwrap();
        }
        Self {
            home,
            printed: String::new(),
        }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kumiki"));
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("KUMIKI_")) {
            command.env_remove(name);
        }
        command
            .args(arguments)
            .current_dir(self.home.path())
            .env("KUMIKI_HOME", self.home.path().join("kumiki"))
            .env(
                "KUMIKI_PASSPHRASE_FILE",
                self.home.path().join("passphrase"),
            )
            .env("KUMIKI_NODE_LOG_LEVEL", "trace")
            .env("RUST_LOG", "trace")
            .env("RUST_BACKTRACE", "full")
            .stdin(Stdio::null());
        command
    }

    fn run(&mut self, arguments: &[&str]) -> Output {
        let output = self.command(arguments).output().unwrap();
        for bytes in [&output.stdout, &output.stderr] {
            self.printed.push_str(&String::from_utf8_lossy(bytes));
        }
        output
    }

    fn succeeds(&mut self, arguments: &[&str]) {
        let output = self.run(arguments);
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{arguments:?}: {errors}");
    }

    fn path(&self, name: &str) -> String {
        self.home.path().join(name).display().to_string()
    }
}

/// The ways in which a seed might be printed.
fn spellings(seed: &[u8; 32]) -> Vec<String> {
    let hex: String = seed.iter().map(|byte| format!("{byte:02x}")).collect();
    let list: Vec<String> = seed.iter().map(u8::to_string).collect();
    // A part is as good a sign as the whole, and survives line breaks and cuts.
    vec![
        hex[..16].to_owned(),
        hex[..16].to_uppercase(),
        hex[48..].to_owned(),
        list[..6].join(", "),
        list[..6].join(","),
    ]
}

#[test]
fn no_command_prints_or_logs_a_secret() {
    let mut machine = Machine::new();
    let node = machine.path("node");
    let genesis = machine.path("genesis.json");
    for json in [&[][..], &["--json"]] {
        let name = if json.is_empty() { "mine" } else { "other" };
        machine.succeeds(&[json, &["account", "new", name]].concat());
        // There is one already, and the passphrase was read.
        machine.run(&[json, &["account", "new", name]].concat());
        machine.succeeds(&[json, &["account", "list"]].concat());
        // No node answers yet.
        machine.run(&[json, &["account", "show", name]].concat());
    }
    let seed = "5e".repeat(32);
    let seed_file = machine.path("seed");
    for (name, text) in [("taken", seed.clone()), ("malformed", format!("{seed}zz"))] {
        std::fs::write(&seed_file, text).unwrap();
        let imported = machine.run(&["account", "import", name, "--seed-file", &seed_file]);
        assert_eq!(imported.status.success(), name == "taken");
    }
    machine.succeeds(&["node", "keys", "--new", "--home", &node]);
    machine.succeeds(&["node", "keys", "--home", &node, "--json"]);
    let key = read_node_key(Path::new(&node).join("node.key").as_path()).unwrap();
    let public = key.public_key().to_string();
    let chain = [
        "node",
        "genesis",
        "--chain-id",
        "secrets",
        "--validator",
        &public,
    ];
    machine.succeeds(&[&chain[..], &["--out", &genesis]].concat());
    machine.succeeds(&[
        "node",
        "init",
        "--validator",
        "--chain",
        &genesis,
        "--home",
        &node,
    ]);
    machine.succeeds(&["node", "config", "show", "--origin", "--home", &node]);
    run_node(&mut machine, &node);
    // Where the passphrase is wrong, it is not repeated.
    std::fs::write(
        machine.home.path().join("passphrase"),
        format!("{PASSPHRASE}!"),
    )
    .unwrap();
    machine.run(&["validator", "join", "--from", "mine", "--home", &node]);

    let keystore = Keystore::open(&machine.home.path().join("kumiki/keys")).unwrap();
    let mut secrets = vec![PASSPHRASE.to_owned()];
    for name in ["mine", "other"] {
        let passphrase = Passphrase::new(PASSPHRASE.to_owned());
        let key = keystore.unlock(name, &passphrase).unwrap();
        secrets.extend(spellings(&key.to_seed()));
    }
    secrets.extend(spellings(&key.to_seed()));
    secrets.extend(spellings(&[0x5e; 32]));
    assert!(machine.printed.len() > 10_000, "the log is not there");
    for secret in secrets {
        let place = machine.printed.find(&secret);
        assert_eq!(place, None, "'{secret}' is printed");
    }
}

/// Runs the node with its most talkative log, while commands sign with both keys.
fn run_node(machine: &mut Machine, folder: &str) {
    let mut command = machine.command(&["node", "run", "--home", folder, "--rpc-port", "0"]);
    command.arg("--listen").arg("/ip4/127.0.0.1/tcp/0");
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut errors = child.stderr.take().unwrap();
    let log = std::thread::spawn(move || {
        let mut log = Vec::new();
        errors.read_to_end(&mut log).unwrap();
        log
    });
    let mut ready = String::new();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    out.read_line(&mut ready).unwrap();
    assert!(ready.starts_with("ready"), "{ready}");
    machine.succeeds(&["node", "status", "--home", folder]);
    // It has no funds, which is found out after the key was unlocked and has signed.
    for from in ["mine", "other"] {
        let joined = machine.run(&["validator", "join", "--from", from, "--home", folder]);
        assert!(!joined.status.success());
    }
    let pid = child.id();
    let stop = format!("kill -TERM {pid}");
    let sent = Command::new("sh").args(["-c", &stop]).status().unwrap();
    assert!(sent.success());
    child.wait().unwrap();
    machine.printed.push_str(&ready);
    machine
        .printed
        .push_str(&String::from_utf8_lossy(&log.join().unwrap()));
}
