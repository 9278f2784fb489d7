//! Place built contracts on the dev chain: leave what is there, upgrade what can be, else deploy anew.

use kumiki_client::Client;
use kumiki_client::abi::Abi;
use kumiki_protocol::{Address, Hash};
use kumiki_wallet::dev_account::{self, DevAccount};

use crate::arguments::NodeArguments;
use crate::commands::call::resolve_names;
use crate::contract_build::Built;
use crate::deploy::DeployRequest;
use crate::deployments::{Deployment, Deployments};
use crate::failure::{Exit, Failure, Outcome};
use crate::network::Network;
use crate::project::Project;

/// Deploys from the first published account.
pub(crate) struct Deployer {
    network: Network,
    deployments: Deployments,
    deployer: DevAccount,
}

/// A contract on the dev chain.
pub(crate) struct Placed {
    pub(crate) name: String,
    pub(crate) address: Address,
    pub(crate) how: How,
}

/// How a contract got where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    /// It was there with this code.
    Kept,
    /// Its code was replaced and its state kept.
    Upgraded,
    /// It is new at this address, with fresh state.
    Deployed,
}

impl How {
    pub(crate) const fn text(self) -> &'static str {
        match self {
            Self::Kept => "(as before, state kept)",
            Self::Upgraded => "(new code, state kept)",
            Self::Deployed => "(deployed, fresh state)",
        }
    }
}

impl Deployer {
    pub(crate) async fn connect(project: &Project, url: &str) -> Outcome<Self> {
        let node = NodeArguments {
            rpc: Some(url.to_owned()),
            network: None,
            project: project.folder.clone(),
        };
        let deployer = dev_account::find(dev_account::NAMES[0]).ok_or_else(|| {
            Failure::new(Exit::System, "devAccount", "there is no published account")
        })?;
        Ok(Self {
            network: Network::connect(&node).await?,
            deployments: Deployments::load(project)?,
            deployer,
        })
    }

    /// Places every contract; doing it again with the same code changes nothing.
    pub(crate) async fn place(
        &mut self,
        project: &Project,
        built: &[Built],
    ) -> Outcome<Vec<Placed>> {
        // Another terminal may have deployed since the last save.
        self.deployments = Deployments::load(project)?;
        let mut placed = Vec::new();
        for one in built {
            placed.push(self.place_one(project, one).await?);
        }
        Ok(placed)
    }

    async fn place_one(&mut self, project: &Project, built: &Built) -> Outcome<Placed> {
        let chain = self.network.client.genesis_hash();
        let client = self.network.client.clone();
        let recorded = self.deployments.find(&chain, &built.name).cloned();
        let present = match &recorded {
            Some(recorded) => code_at(&client, recorded.address).await,
            None => None,
        };
        let placed = |address, how| Placed {
            name: built.name.clone(),
            address,
            how,
        };
        if let (Some(recorded), Some(code_hash)) = (&recorded, present)
            && code_hash == built.code_hash
        {
            return Ok(placed(recorded.address, How::Kept));
        }
        let abi = Abi::new(built.abi.clone());
        let init = project.contract(&built.name)?.init.clone();
        let fields = built.abi.init.as_ref().map(|init| init.args.clone());
        let arguments = resolve_names(&self.network, fields.as_deref().unwrap_or_default(), &init)?;
        let request = DeployRequest {
            project: Some(project),
            name: &built.name,
            wasm: &built.wasm,
            abi: &abi,
            arguments: &arguments,
            salt: "",
            immutable: false,
            value: 0,
            gas: None,
            gas_price: None,
            nonce: None,
        };
        let migrates = built
            .abi
            .migrate
            .as_ref()
            .is_some_and(|one| one.args.is_empty());
        let (deployed, how) = match recorded {
            Some(recorded) if present.is_some() && migrates => {
                let key = &self.deployer.key;
                let upgraded = request.upgrade(&client, key, recorded.address).await?;
                (upgraded, How::Upgraded)
            }
            _ => (
                request.send(&client, &self.deployer.key).await?,
                How::Deployed,
            ),
        };
        let deployment = Deployment {
            address: deployed.address,
            code_hash: deployed.code_hash,
        };
        self.deployments.record(&chain, &built.name, deployment)?;
        let how = if deployed.receipt.is_none() {
            How::Kept
        } else {
            how
        };
        Ok(placed(deployed.address, how))
    }
}

async fn code_at(client: &Client, address: Address) -> Option<Hash> {
    client.contract(address).await.ok().map(|one| one.code_hash)
}
