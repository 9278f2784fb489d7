//! `kumiki doctor`: whether this machine has what Kumiki needs.

use std::process::Command;

use kumiki_contract_build::TARGET;
use serde_json::{Value, json};

use crate::arguments::DoctorArguments;
use crate::failure::{Exit, Failure, Outcome};
use crate::home::Home;
use crate::network::Network;
use crate::output::Output;
use crate::sdk_sources::SdkSources;

/// One thing that was looked at.
struct Check {
    name: &'static str,
    /// Whether Kumiki cannot work without it.
    needed: bool,
    result: Result<String, (String, String)>,
}

pub(crate) async fn run(arguments: &DoctorArguments, output: Output) -> Outcome<()> {
    let mut checks = vec![
        program(
            "rustc",
            true,
            "curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh",
        ),
        program(
            "cargo",
            true,
            "curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh",
        ),
        target(),
        home(),
        keys(),
    ];
    checks.push(node(arguments).await);
    let broken = checks.iter().any(|one| one.needed && one.result.is_err());
    let json: Vec<Value> = checks.iter().map(Check::json).collect();
    let lines: Vec<String> = checks.iter().map(Check::text).collect();
    if !broken {
        output.data(&json!({ "ok": true, "checks": json }), &lines.join("\n"));
        return Ok(());
    }
    let first = checks
        .iter()
        .find_map(|one| one.result.as_ref().err().filter(|_| one.needed));
    let failure = Failure::new(
        Exit::System,
        "doctor",
        "something that Kumiki needs is missing",
    );
    let failure = lines
        .iter()
        .fold(failure, |failure, line| failure.detail(line.clone()));
    Err(match first {
        Some((found, next)) => failure.found(found.clone()).next(next.clone()),
        None => failure,
    })
}

impl Check {
    fn json(&self) -> Value {
        match &self.result {
            Ok(found) => json!({ "name": self.name, "ok": true, "found": found }),
            Err((found, next)) => {
                json!({ "name": self.name, "ok": false, "needed": self.needed, "found": found, "next": next })
            }
        }
    }

    fn text(&self) -> String {
        match &self.result {
            Ok(found) => format!("ok       {:<8} {found}", self.name),
            Err((found, next)) => {
                let word = if self.needed { "missing" } else { "note" };
                format!("{word:<8} {:<8} {found}; next: {next}", self.name)
            }
        }
    }
}

fn program(name: &'static str, needed: bool, next: &str) -> Check {
    let output = Command::new(name).arg("--version").output();
    let result = match output {
        Ok(output) if output.status.success() => {
            Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
        }
        Ok(output) => Err((format!("it ends with {}", output.status), next.to_owned())),
        Err(error) => Err((error.to_string(), next.to_owned())),
    };
    Check {
        name,
        needed,
        result,
    }
}

fn target() -> Check {
    let folder = Command::new("rustc")
        .args(["--print", "target-libdir", "--target", TARGET])
        .output()
        .map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    let present = folder.is_ok_and(|folder| std::path::Path::new(&folder).is_dir());
    Check {
        name: "target",
        // 'kumiki build' adds it.
        needed: false,
        result: if present {
            Ok(TARGET.to_owned())
        } else {
            Err((
                format!("no {TARGET}"),
                format!("rustup target add {TARGET}"),
            ))
        },
    }
}

fn home() -> Check {
    let found = Home::find().and_then(|home| SdkSources::unpack(&home).map(|_sources| home));
    Check {
        name: "home",
        needed: true,
        result: match found {
            Ok(home) => Ok(home.path().display().to_string()),
            Err(failure) => Err((
                failure.to_string().replace('\n', ";"),
                "export KUMIKI_HOME=\"$HOME/.kumiki\"".to_owned(),
            )),
        },
    }
}

fn keys() -> Check {
    let found = Home::find()
        .and_then(|home| home.keystore())
        .and_then(|keystore| keystore.list().map_err(Failure::from));
    Check {
        name: "keys",
        needed: true,
        result: match found {
            Ok(accounts) => Ok(format!("{} accounts, private", accounts.len())),
            Err(failure) => Err((
                failure.to_string().replace('\n', ";"),
                "kumiki account list".to_owned(),
            )),
        },
    }
}

async fn node(arguments: &DoctorArguments) -> Check {
    let result = match Network::connect(&arguments.node).await {
        Ok(network) => Ok(format!(
            "{} serves {}",
            network.client.url(),
            network.client.chain_id()
        )),
        Err(failure) => Err((
            failure.to_string().replace('\n', ";"),
            "kumiki dev".to_owned(),
        )),
    };
    Check {
        name: "node",
        needed: false,
        result,
    }
}
