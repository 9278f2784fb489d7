//! Build a contract: cargo with pinned flags, metadata folded, custom sections stripped, checked by the chain's
//! own rules.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use kumiki_abi::metadata::Metadata;
use kumiki_contract_build::{ContractBuild, TARGET};
use kumiki_protocol::{Gas, Hash, limits, sha3_256};
use kumiki_vm::gas;

use crate::debug_files;
use crate::failure::{Exit, Failure, Outcome};
use crate::home::Home;
use crate::next_step::shell_word;
use crate::output::Output;
use crate::project::{Contract, Project};
use crate::rustc_wrapper;
use crate::sdk_sources::{SdkSources, write_if_changed};
use crate::wasm_file;

/// A contract as it is deployed, and what tools need beside it.
#[derive(Clone, Debug)]
pub(crate) struct Built {
    pub(crate) name: String,
    pub(crate) wasm: Vec<u8>,
    pub(crate) code_hash: Hash,
    /// Gas of its deployment, before `init`.
    pub(crate) deploy_gas: Gas,
    pub(crate) abi: Metadata,
    pub(crate) wasm_path: PathBuf,
    pub(crate) abi_path: PathBuf,
    /// The unstripped file, with the line table.
    pub(crate) debug_path: PathBuf,
}

/// Builds contracts of one project.
pub(crate) struct Builder<'a> {
    pub(crate) project: &'a Project,
    pub(crate) home: &'a Home,
    pub(crate) output: Output,
}

impl Builder<'_> {
    /// Builds the contract called `only`, or every contract of the project.
    pub(crate) fn build(&self, only: Option<&str>) -> Outcome<Vec<Built>> {
        let contracts: Vec<&Contract> = match only {
            Some(name) => vec![self.project.contract(name)?],
            None => self.project.contracts.iter().collect(),
        };
        if contracts.is_empty() {
            return Err(
                Failure::new(Exit::Usage, "noContracts", "the project has no contracts")
                    .at(self
                        .project
                        .folder
                        .join("kumiki.toml")
                        .display()
                        .to_string())
                    .expected("a section [contracts.NAME] with path = \"FOLDER\"")
                    .next("kumiki new my-app"),
            );
        }
        ensure_target()?;
        let sdk = SdkSources::unpack(self.home)?;
        let cargo_arguments = sdk.attach(self.project)?;
        contracts
            .into_iter()
            .map(|contract| self.build_one(contract, &sdk, &cargo_arguments))
            .collect()
    }

    fn build_one(
        &self,
        contract: &Contract,
        sdk: &SdkSources,
        cargo_arguments: &[String],
    ) -> Outcome<Built> {
        let unstripped = self.run_cargo(contract, sdk, cargo_arguments)?;
        let not_contract = |error: &dyn std::fmt::Display| {
            Failure::new(
                Exit::Build,
                "notContract",
                format!(
                    "'{}' builds, but is no Kumiki contract: {error}",
                    contract.name
                ),
            )
            .at(contract.folder.display().to_string())
            .next("see the template: kumiki new my-contract --template counter")
        };
        let compiler = compiler_version(&self.project.cargo_root);
        let abi = wasm_file::fold_metadata(&unstripped, &compiler)
            .map_err(|error| not_contract(&error))?;
        let json = serde_json::to_vec(&abi)
            .map_err(|error| Failure::new(Exit::System, "abiJson", error.to_string()))?;
        let compacted =
            kumiki_contract_build::compact(&unstripped).map_err(|error| not_contract(&error))?;
        let wasm = wasm_file::finish(&compacted, &json).map_err(|error| not_contract(&error))?;
        let deploy_gas = check(contract, &wasm)?;
        self.write(contract, wasm, deploy_gas, abi, &unstripped)
    }

    fn write(
        &self,
        contract: &Contract,
        wasm: Vec<u8>,
        deploy_gas: Gas,
        abi: Metadata,
        unstripped: &[u8],
    ) -> Outcome<Built> {
        let folder = self.project.private_folder().join("build");
        let file = |ending: &str| folder.join(format!("{}.{ending}", contract.name));
        let built = Built {
            name: contract.name.clone(),
            code_hash: sha3_256(&[&wasm]),
            wasm_path: file("wasm"),
            abi_path: file("abi.json"),
            debug_path: file("debug.wasm"),
            abi,
            wasm,
            deploy_gas,
        };
        let mut pretty = serde_json::to_vec_pretty(&built.abi)
            .map_err(|error| Failure::new(Exit::System, "abiJson", error.to_string()))?;
        pretty.push(b'\n');
        write_if_changed(&built.wasm_path, &built.wasm)?;
        write_if_changed(&built.abi_path, &pretty)?;
        write_if_changed(&built.debug_path, unstripped)?;
        debug_files::keep(self.project, &built.name, &built.code_hash, unstripped)?;
        Ok(built)
    }
}

impl Builder<'_> {
    /// Runs the recipe and returns the Wasm as cargo made it, with names and line table.
    fn run_cargo(
        &self,
        contract: &Contract,
        sdk: &SdkSources,
        cargo_arguments: &[String],
    ) -> Outcome<Vec<u8>> {
        let mut recipe = ContractBuild {
            package_dir: contract.folder.clone(),
            package: contract.package.clone(),
            target_dir: target_folder(self.project),
            cargo_arguments: cargo_arguments.iter().map(OsString::from).collect(),
        };
        if self.output.json || self.output.quiet {
            recipe.cargo_arguments.push("--quiet".into());
        } else {
            self.output.message(&format!("building {}", contract.name));
        }
        let mut command = recipe.command();
        remap_sdk(&mut command, self.home, sdk);
        rustc_wrapper::install(&mut command);
        let status = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .status()
            .map_err(|error| cargo_missing(&error))?;
        if !status.success() {
            return Err(build_failed(contract, status));
        }
        let path = recipe.wasm_path();
        fs::read(&path).map_err(|_missing| {
            Failure::new(
                Exit::Build,
                "notCdylib",
                format!("contract '{}' builds, but to no Wasm file", contract.name),
            )
            .at(contract.folder.join("Cargo.toml").display().to_string())
            .expected("[lib] crate-type = [\"cdylib\", \"rlib\"]")
            .found(format!("no {}", path.display()))
            .next(format!(
                "printf '\\n[lib]\\ncrate-type = [\"cdylib\", \"rlib\"]\\n' >> {}",
                shell_word(contract.folder.join("Cargo.toml"))
            ))
        })
    }
}

/// Adds to the recipe's flags that the SDK lies somewhere else on every machine.
fn remap_sdk(command: &mut Command, home: &Home, sdk: &SdkSources) {
    const FLAGS: &str = "CARGO_ENCODED_RUSTFLAGS";
    let mut flags = command
        .get_envs()
        .find(|(name, _)| *name == FLAGS)
        .and_then(|(_, value)| value.map(OsString::from))
        .unwrap_or_default();
    // rustc takes the last prefix that matches.
    for (from, to) in [(home.path(), "/kumiki"), (sdk.folder(), "/kumiki/sdk")] {
        flags.push("\u{1f}--remap-path-prefix=");
        flags.push(from);
        flags.push("=");
        flags.push(to);
    }
    command.env(FLAGS, flags);
}

fn build_failed(contract: &Contract, status: std::process::ExitStatus) -> Failure {
    Failure::new(
        Exit::Build,
        "buildFailed",
        format!("contract '{}' does not build", contract.name),
    )
    .at(contract.folder.display().to_string())
    .expected(format!("cargo builds it for {TARGET}"))
    .found(format!("{status}; the compiler's messages are above"))
    .next(format!(
        "cargo check --manifest-path {} --target {TARGET}",
        shell_word(contract.folder.join("Cargo.toml"))
    ))
}

/// Where contracts are compiled: apart from the project's own builds, whose flags differ.
fn target_folder(project: &Project) -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| project.cargo_root.join("target"), PathBuf::from)
        .join("kumiki")
}

/// Cargo as rustup or the user chose it.
pub(crate) fn cargo() -> Command {
    Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

pub(crate) fn cargo_missing(error: &std::io::Error) -> Failure {
    Failure::new(
        Exit::System,
        "cargoMissing",
        format!("cargo did not start: {error}"),
    )
    .expected("cargo on the PATH, as rustup installs it")
    .next("curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh")
}

/// The chain's own rules, and the project's size budget.
fn check(contract: &Contract, wasm: &[u8]) -> Outcome<Gas> {
    let failed = |name: &str, what: String| {
        Failure::new(Exit::Build, name, what).at(contract.folder.display().to_string())
    };
    let limit = contract.size_max.unwrap_or(limits::CODE_BYTES_MAX);
    if wasm.len() > limit.min(limits::CODE_BYTES_MAX) {
        return Err(failed(
            "codeTooLarge",
            format!("contract '{}' is too large", contract.name),
        )
        .expected(format!("at most {limit} bytes"))
        .found(format!("{} bytes", wasm.len()))
        .next("raise size_max in kumiki.toml, or depend on less"));
    }
    check_code(wasm).map_err(|failure| failure.at(contract.folder.display().to_string()))
}

/// Checks that the chain would take `wasm`, and tells the gas of its deployment, before `init`.
pub(crate) fn check_code(wasm: &[u8]) -> Outcome<Gas> {
    let info = kumiki_vm::check_code(wasm).map_err(|error| {
        let failure = Failure::new(Exit::Build, "badWasm", "the chain refuses this Wasm")
            .expected("Wasm 1.0 as 'kumiki build' makes it, within the limits of docs/spec/vm.md")
            .found(one_line(&error.to_string()))
            .next("kumiki build");
        match (&error.function, error.offset) {
            (Some((index, name)), _) => failure.detail(format!(
                "in function {index}{}",
                name.as_ref()
                    .map_or_else(String::new, |name| format!(" ({name})"))
            )),
            (None, Some(offset)) => failure.detail(format!("at byte {offset}")),
            (None, None) => failure,
        }
    })?;
    let per_byte = gas::TRANSACTION_PER_BYTE + gas::DEPLOY_PER_BYTE;
    let size = u64::try_from(wasm.len()).unwrap_or(u64::MAX);
    let transaction = gas::TRANSACTION_BASE + gas::SIGNATURE + gas::DEPLOY;
    let deploy_gas = transaction + size.saturating_mul(per_byte) + info.deploy_gas;
    if deploy_gas > limits::BLOCK_CODE_GAS_MAX {
        return Err(Failure::new(
            Exit::Build,
            "codeTooDear",
            "no block has room for the deployment of this Wasm",
        )
        .expected(format!("at most {} gas", limits::BLOCK_CODE_GAS_MAX))
        .found(format!("{deploy_gas} gas before init"))
        .detail("split it into contracts that call each other, or depend on less")
        .detail("code is paid for by its bytes, functions, locals, branches and how they nest: docs/spec/vm.md 4.4")
        .next("kumiki build"));
    }
    Ok(deploy_gas)
}

/// Engine messages print values over many lines.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn compiler_version(folder: &Path) -> String {
    Command::new("rustc")
        .arg("--version")
        .current_dir(folder)
        .output()
        .ok()
        .and_then(|output| String::from_utf8(output.stdout).ok())
        .map(|text| text.trim().to_owned())
        .unwrap_or_default()
}

fn ensure_target() -> Outcome<()> {
    kumiki_contract_build::ensure_target()
        .map(|_added| ())
        .map_err(|error| {
            Failure::new(
                Exit::Build,
                "targetMissing",
                format!("the Rust target {TARGET} is missing and could not be added"),
            )
            .expected("a toolchain of rustup, and a network to add the target from")
            .found(error.to_string())
            .next(format!("rustup target add {TARGET}"))
        })
}
