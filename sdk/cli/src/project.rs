//! Find a project and read its `kumiki.toml`, or take a single cargo crate as one.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use kumiki_client::abi::ArgumentText;
use kumiki_protocol::Hash;
use serde::Deserialize;

use crate::failure::{Exit, Failure, Outcome, closest};
use crate::next_step::shell_word;

const FILE: &str = "kumiki.toml";

/// What `kumiki.toml` says.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    #[serde(rename = "project")]
    pub(crate) _project: Option<ProjectSection>,
    #[serde(default)]
    pub(crate) contracts: BTreeMap<String, ContractSection>,
    #[serde(default)]
    pub(crate) dev: DevSection,
    #[serde(default)]
    pub(crate) networks: BTreeMap<String, NetworkSection>,
}

/// The user's own networks, in `KUMIKI_HOME`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct UserNetworks {
    #[serde(default)]
    pub(crate) networks: BTreeMap<String, NetworkSection>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ProjectSection {
    #[serde(rename = "name")]
    pub(crate) _name: String,
}

/// One contract of the project.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ContractSection {
    /// Folder of its crate, from the project's folder.
    pub(crate) path: PathBuf,
    /// Arguments of `init`, by name.
    #[serde(default)]
    pub(crate) init: BTreeMap<String, toml::Value>,
    /// Most bytes that its Wasm may have.
    pub(crate) size_max: Option<usize>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DevSection {
    pub(crate) port: Option<u16>,
    pub(crate) block_time_ms: Option<u64>,
}

/// Where a chain is reached, and which chain it is.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NetworkSection {
    pub(crate) rpc: String,
    pub(crate) genesis: Option<Hash>,
}

/// A contract to build.
#[derive(Clone, Debug)]
pub(crate) struct Contract {
    /// The name it is called by.
    pub(crate) name: String,
    /// Folder of its crate.
    pub(crate) folder: PathBuf,
    /// Name of its crate.
    pub(crate) package: String,
    /// Arguments of `init`.
    pub(crate) init: Vec<ArgumentText>,
    pub(crate) size_max: Option<usize>,
}

/// A folder with contracts.
#[derive(Clone, Debug)]
pub(crate) struct Project {
    pub(crate) folder: PathBuf,
    /// Root of the cargo workspace that the contracts belong to.
    pub(crate) cargo_root: PathBuf,
    pub(crate) config: Config,
    pub(crate) contracts: Vec<Contract>,
}

impl Project {
    /// The project that `folder` lies in: the nearest folder with a `kumiki.toml`, else the nearest with a
    /// `Cargo.toml`.
    pub(crate) fn find(folder: &Path) -> Outcome<Self> {
        let folder = fs::canonicalize(folder).map_err(|_missing| {
            Failure::new(Exit::NotFound, "projectUnknown", "there is no such folder")
                .at(folder.display().to_string())
                .next("kumiki new my-app")
        })?;
        let nearest = |name: &str| folder.ancestors().find(|one| one.join(name).is_file());
        if let Some(root) = nearest(FILE) {
            return Self::with_config(root);
        }
        let Some(root) = nearest("Cargo.toml") else {
            return Err(Failure::new(
                Exit::NotFound,
                "projectUnknown",
                "this is no Kumiki project",
            )
            .at(folder.display().to_string())
            .expected("a kumiki.toml, or the Cargo.toml of a contract")
            .next("kumiki new my-app && cd my-app"));
        };
        let name = package_name(root)?;
        let contract = Contract {
            package: name.clone(),
            name,
            folder: root.to_owned(),
            init: Vec::new(),
            size_max: None,
        };
        Self::new(root, Config::default(), vec![contract])
    }

    /// As [`Self::find`], but `None` outside any project.
    pub(crate) fn find_optional(folder: &Path) -> Outcome<Option<Self>> {
        match Self::find(folder) {
            Ok(project) => Ok(Some(project)),
            Err(failure) if failure.exit() == Exit::NotFound => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    fn with_config(root: &Path) -> Outcome<Self> {
        let config: Config = read_toml(&root.join(FILE))?;
        let mut contracts = Vec::new();
        for (name, section) in &config.contracts {
            let folder = root.join(&section.path);
            if !folder.join("Cargo.toml").is_file() {
                return Err(Failure::new(
                    Exit::Usage,
                    "contractFolder",
                    format!("contract '{name}' has no crate at its path"),
                )
                .at(root.join(FILE).display().to_string())
                .expected(format!("{}", folder.join("Cargo.toml").display()))
                .found(format!("path = \"{}\"", section.path.display()))
                .next(format!("kumiki new {name}")));
            }
            contracts.push(Contract {
                name: name.clone(),
                package: package_name(&folder)?,
                folder,
                init: init_arguments(&section.init),
                size_max: section.size_max,
            });
        }
        Self::new(root, config, contracts)
    }

    fn new(root: &Path, config: Config, contracts: Vec<Contract>) -> Outcome<Self> {
        let first = contracts.first().map_or(root, |one| one.folder.as_path());
        Ok(Self {
            folder: root.to_owned(),
            cargo_root: cargo_root(first),
            config,
            contracts,
        })
    }

    /// Ignored by version control: artefacts, line tables, the dev chain, deployments.
    pub(crate) fn private_folder(&self) -> PathBuf {
        self.folder.join(".kumiki")
    }

    /// The contract called `name`.
    pub(crate) fn contract(&self, name: &str) -> Outcome<&Contract> {
        self.contracts
            .iter()
            .find(|one| one.name == name)
            .ok_or_else(|| {
                let known: Vec<&str> = self.contracts.iter().map(|one| one.name.as_str()).collect();
                let next = closest(name, known.iter().copied()).or(known.first().copied());
                let failure = Failure::new(
                    Exit::NotFound,
                    "contractUnknown",
                    format!("the project has no contract '{name}'"),
                )
                .at(self.folder.display().to_string())
                .expected(format!("one of {}", known.join(", ")))
                .found(name);
                match next {
                    Some(next) => failure.next(format!("kumiki build {next}")),
                    None => failure,
                }
            })
    }
}

/// Reads a TOML file; an unknown key is an error that names the one that was meant.
pub(crate) fn read_toml<T: serde::de::DeserializeOwned>(path: &Path) -> Outcome<T> {
    let text = fs::read_to_string(path).map_err(|error| Failure::io(path, &error))?;
    toml::from_str(&text).map_err(|error| toml_failure(path, &text, &error))
}

pub(crate) fn toml_failure(path: &Path, text: &str, error: &toml::de::Error) -> Failure {
    let offset = error.span().map_or(0, |span| span.start);
    let line = text.get(..offset).unwrap_or_default().matches('\n').count() + 1;
    let place = format!("{}:{line}", path.display());
    let file = path.file_name().unwrap_or_default().display();
    let message = error.message().lines().next().unwrap_or_default();
    let Some(names) = message.strip_prefix("unknown field ") else {
        return Failure::new(Exit::Usage, "configMalformed", message)
            .at(place)
            .next(format!("see docs/cli.md for the keys of {file}"));
    };
    let mut names = names.split('`').skip(1).step_by(2);
    let found = names.next().unwrap_or_default();
    let known: Vec<&str> = names.collect();
    let failure = Failure::new(
        Exit::Usage,
        "configKeyUnknown",
        format!("unknown key '{found}'"),
    )
    .at(place)
    .expected(format!("one of {}", known.join(", ")))
    .found(found);
    match closest(found, known.iter().copied()) {
        Some(meant) => failure.next(format!(
            "sed -i.bak '{line}s/{found}/{meant}/' {}",
            shell_word(path)
        )),
        None => failure.next(format!("sed -i.bak '{line}d' {}", shell_word(path))),
    }
}

fn init_arguments(init: &BTreeMap<String, toml::Value>) -> Vec<ArgumentText> {
    init.iter()
        .map(|(name, value)| ArgumentText {
            name: name.clone(),
            text: match value {
                toml::Value::String(text) => text.clone(),
                other => serde_json::to_string(other).unwrap_or_default(),
            },
        })
        .collect()
}

#[derive(Deserialize)]
struct CargoManifest {
    package: Option<CargoPackage>,
    workspace: Option<toml::Value>,
}

#[derive(Deserialize)]
struct CargoPackage {
    name: String,
}

fn package_name(folder: &Path) -> Outcome<String> {
    let path = folder.join("Cargo.toml");
    let manifest: CargoManifest = read_toml(&path)?;
    manifest.package.map(|one| one.name).ok_or_else(|| {
        Failure::new(
            Exit::NotFound,
            "projectUnknown",
            "this is a cargo workspace, not a contract",
        )
        .at(path.display().to_string())
        .expected("a kumiki.toml, or the Cargo.toml of a contract")
        .next("kumiki new my-app && cd my-app")
    })
}

/// The nearest folder from `crate_folder` up whose manifest has a `[workspace]`, else `crate_folder` itself.
fn cargo_root(crate_folder: &Path) -> PathBuf {
    crate_folder
        .ancestors()
        .find(|folder| {
            read_toml::<CargoManifest>(&folder.join("Cargo.toml"))
                .is_ok_and(|manifest| manifest.workspace.is_some())
        })
        .unwrap_or(crate_folder)
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config_error(text: &str) -> String {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE);
        fs::write(&path, text).unwrap();
        let failure = read_toml::<Config>(&path).unwrap_err();
        let shown = failure.to_string();
        shown.replace(&folder.path().display().to_string(), "DIR")
    }

    #[test]
    fn unknown_key_is_named_with_its_line_and_the_key_that_was_meant() {
        let shown = config_error("[dev]\nport = 1\nblok_time_ms = 5\n");
        assert_eq!(
            shown,
            "error: unknown key 'blok_time_ms'\n  where:    DIR/kumiki.toml:3\n  expected: one of port, block_time_ms\n  found:    blok_time_ms\n  next:     sed -i.bak '3s/blok_time_ms/block_time_ms/' DIR/kumiki.toml"
        );
    }

    #[test]
    fn malformed_toml_is_located() {
        assert!(config_error("[dev]\nport = \"x\"\n").contains("DIR/kumiki.toml:2"));
        assert!(config_error("[dev\n").contains("DIR/kumiki.toml:1"));
    }
}
