//! Remember under which address each contract of the project was deployed, per chain.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use kumiki_protocol::{Address, Hash};
use serde::{Deserialize, Serialize};

use crate::failure::{Exit, Failure, Outcome};
use crate::next_step::shell_word;
use crate::project::Project;
use crate::sdk_sources::write_if_changed;

/// One contract on one chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Deployment {
    pub(crate) address: Address,
    pub(crate) code_hash: Hash,
}

type ByName = BTreeMap<String, Deployment>;

/// The project's deployments: by genesis hash, then by name.
#[derive(Clone, Debug)]
pub(crate) struct Deployments {
    path: PathBuf,
    chains: BTreeMap<String, ByName>,
}

impl Deployments {
    pub(crate) fn load(project: &Project) -> Outcome<Self> {
        let path = project.private_folder().join("deployments.json");
        let chains = read(&path)?;
        Ok(Self { path, chains })
    }

    pub(crate) fn find(&self, chain: &Hash, name: &str) -> Option<&Deployment> {
        self.chains.get(&chain.to_string())?.get(name)
    }

    /// What the contract at `address` is called on `chain`.
    pub(crate) fn name_of(&self, chain: &Hash, address: Address) -> Option<String> {
        let contracts = self.chains.get(&chain.to_string())?;
        let found = contracts.iter().find(|(_, one)| one.address == address);
        found.map(|(name, _)| name.clone())
    }

    /// The names on `chain`.
    pub(crate) fn names(&self, chain: &Hash) -> Vec<&str> {
        self.chains
            .get(&chain.to_string())
            .map(|contracts| contracts.keys().map(String::as_str).collect())
            .unwrap_or_default()
    }

    /// Another chain on which there is a contract called `name`.
    pub(crate) fn elsewhere(&self, name: &str) -> Option<&str> {
        self.chains
            .iter()
            .find(|(_, contracts)| contracts.contains_key(name))
            .map(|(chain, _)| chain.as_str())
    }

    /// Remembers a deployment. Other commands may have remembered theirs meanwhile: those are read again and kept.
    pub(crate) fn record(
        &mut self,
        chain: &Hash,
        name: &str,
        deployment: Deployment,
    ) -> Outcome<()> {
        let _locked = self.lock()?;
        self.chains = read(&self.path)?;
        self.chains
            .entry(chain.to_string())
            .or_default()
            .insert(name.to_owned(), deployment);
        let json = serde_json::to_vec_pretty(&self.chains)
            .map_err(|error| Failure::new(Exit::System, "deployments", error.to_string()))?;
        write_if_changed(&self.path, &json)
    }

    /// Keeps other commands from writing until it is dropped.
    fn lock(&self) -> Outcome<fs::File> {
        let path = self.path.with_extension("lock");
        let failed = |error: std::io::Error| Failure::io(&path, &error);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(failed)?;
        }
        let file = fs::File::create(&path).map_err(failed)?;
        file.lock().map_err(failed)?;
        Ok(file)
    }
}

fn read(path: &Path) -> Outcome<BTreeMap<String, ByName>> {
    match fs::read(path) {
        Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| {
            Failure::new(Exit::System, "deploymentsMalformed", error.to_string())
                .at(path.display().to_string())
                .next(format!("rm {}", shell_word(path)))
        }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(BTreeMap::new()),
        Err(error) => Err(Failure::io(path, &error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_another_command_remembered_meanwhile_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deployments.json");
        let open = || Deployments {
            path: path.clone(),
            chains: read(&path).unwrap(),
        };
        let deployment = |byte| Deployment {
            address: Address([byte; 32]),
            code_hash: Hash([byte; 32]),
        };
        let chain = Hash([1; 32]);
        let (mut watching, mut other) = (open(), open());
        other.record(&chain, "second", deployment(2)).unwrap();
        watching.record(&chain, "first", deployment(1)).unwrap();
        assert_eq!(open().names(&chain), ["first", "second"]);
        assert_eq!(watching.find(&chain, "second"), Some(&deployment(2)));
    }
}
