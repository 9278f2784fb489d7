//! Place built contracts on the dev chain: leave what is there, upgrade in place what keeps its state, else say why not.

use kumiki_client::abi::Abi;
use kumiki_protocol::Address;
use kumiki_wallet::dev_account::{self, DevAccount};

use crate::arguments::NodeArguments;
use crate::commands::call::resolve_names;
use crate::contract_build::Built;
use crate::deploy::DeployRequest;
use crate::deployments::{Deployment, Deployments};
use crate::failure::{Exit, Failure, Outcome};
use crate::network::Network;
use crate::next_step::with_options;
use crate::project::Project;
use crate::upgrade::{Layout, Standing, Takeover, choices, line};

/// Deploys from the first published account.
pub(crate) struct Deployer {
    network: Network,
    deployments: Deployments,
    deployer: DevAccount,
    /// How the user named the project, for commands to paste.
    node: NodeArguments,
}

/// A contract on the dev chain.
pub(crate) struct Placed {
    pub(crate) name: String,
    pub(crate) address: Address,
    pub(crate) how: How,
    /// Why it is as it is, and what to do, where that needs words.
    pub(crate) notes: Vec<String>,
}

/// How a contract got where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    /// It was there with this code.
    Kept,
    /// Its code was replaced and its state kept.
    Upgraded,
    /// Its code was replaced, and the new code's `migrate` rewrote its state.
    Migrated,
    /// It is new at this address, with fresh state.
    Deployed,
    /// It has its old code still: the new code cannot take its state over.
    HeldBack,
}

impl How {
    pub(crate) const fn text(self) -> &'static str {
        match self {
            Self::Kept => "(as before, state kept)",
            Self::Upgraded => "(new code, state kept)",
            Self::Migrated => "(new code, state migrated)",
            Self::Deployed => "(deployed, fresh state)",
            Self::HeldBack => "(old code and state kept: choose what happens to the state)",
        }
    }
}

impl Deployer {
    /// Connects to the chain at `url`; `named` is how the user named the project.
    pub(crate) async fn connect(
        project: &Project,
        named: &std::path::Path,
        url: &str,
    ) -> Outcome<Self> {
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
            node: NodeArguments {
                rpc: None,
                network: None,
                project: named.to_owned(),
            },
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
        let client = self.network.client.clone();
        let recorded = self
            .deployments
            .find(&client.genesis_hash(), &built.name)
            .map(|one| one.address);
        let standing = match recorded {
            Some(address) => Standing::find(&client, address).await?,
            None => None,
        };
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
        let placed = match standing {
            Some(standing) if standing.code_hash == built.code_hash => Placed {
                name: built.name.clone(),
                address: standing.address,
                how: How::Kept,
                notes: Vec::new(),
            },
            Some(standing) => self.upgrade(&request, &standing).await?,
            None => {
                let deployed = request.send_fresh(&client, &self.deployer.key).await?;
                Placed {
                    name: built.name.clone(),
                    address: deployed.address,
                    how: How::Deployed,
                    notes: Vec::new(),
                }
            }
        };
        if placed.how != How::HeldBack && placed.how != How::Kept {
            let deployment = Deployment {
                address: placed.address,
                code_hash: built.code_hash,
            };
            let chain = client.genesis_hash();
            self.deployments.record(&chain, &built.name, deployment)?;
        }
        Ok(placed)
    }

    /// Gives a contract its new code where that takes the state over; else leaves it, and says what can be done.
    async fn upgrade(&self, request: &DeployRequest<'_>, standing: &Standing) -> Outcome<Placed> {
        let placed = |how, notes| Placed {
            name: request.name.to_owned(),
            address: standing.address,
            how,
            notes,
        };
        if let Err(failure) = standing.check_admin(request.name, self.deployer.address) {
            let reset = self.pasted(&format!("kumiki upgrade {} --reset", request.name));
            let notes = vec![
                failure.to_string(),
                format!("  {reset}\n    a fresh contract"),
            ];
            return Ok(placed(How::HeldBack, notes));
        }
        let client = &self.network.client;
        let layout = Layout::between(client, standing, request.abi).await?;
        let (takeover, how) = if is_for_this_upgrade(standing, request.abi) {
            (Takeover::Migrate(Vec::new()), How::Migrated)
        } else if layout.is_safe() {
            (Takeover::AsItIs, How::Upgraded)
        } else {
            return Ok(placed(How::HeldBack, self.explain(request, &layout)));
        };
        let to = (standing.address, takeover);
        match request.upgrade(client, &self.deployer.key, to).await {
            Ok(()) => Ok(placed(how, Vec::new())),
            // Nothing changed: the contract answers with its old code.
            Err(failure) if failure.exit() == Exit::Execution => {
                let mut notes = vec![failure.to_string()];
                notes.extend(self.explain(request, &layout));
                Ok(placed(How::HeldBack, notes))
            }
            Err(failure) => Err(failure),
        }
    }

    fn explain(&self, request: &DeployRequest<'_>, layout: &Layout) -> Vec<String> {
        let refused = layout.refused(&[]);
        let mut lines = Vec::new();
        if !refused.is_empty() {
            lines.push(format!(
                "the new code of {} does not read what is stored:",
                request.name
            ));
            lines.extend(refused.iter().map(|one| format!("  {}", line(one))));
        }
        lines.push(format!(
            "{} keeps its old code until you save a change that fits, or choose:",
            request.name
        ));
        let kind = self.network.client.kind();
        let choices = choices(request.name, request.abi, &refused, kind);
        lines.extend(
            choices
                .iter()
                .map(|(command, what)| format!("  {}\n    {what}", self.pasted(command))),
        );
        lines
    }

    /// A command as it works where the user is.
    fn pasted(&self, command: &str) -> String {
        with_options(command, &self.node)
    }
}

/// Whether the new code has a `migrate` without arguments that the deployed code had not: it was written for this
/// upgrade. One that the deployed code had has run already.
fn is_for_this_upgrade(standing: &Standing, new: &Abi) -> bool {
    let Some(migrate) = &new.metadata().migrate else {
        return false;
    };
    let old = standing.abi.as_ref();
    let before = old.and_then(|old| old.metadata().migrate.as_ref());
    migrate.args.is_empty() && before.is_none_or(|before| before.name != migrate.name)
}
