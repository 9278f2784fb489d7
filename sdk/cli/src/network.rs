//! Find the node to talk to and agree with it on the chain; resolve names of accounts and contracts.

use std::fs;

use kumiki_client::Client;
use kumiki_client::abi::Abi;
use kumiki_protocol::{Address, ChainKind, Hash, VALIDATORS_CONTRACT};
use kumiki_wallet::dev_account;

use crate::arguments::NodeArguments;
use crate::deployments::Deployments;
use crate::failure::{Exit, Failure, Outcome, closest};
use crate::home::Home;
use crate::localnet::{NETWORK_NAME, is_taken, running_rpc};
use crate::next_step::shell_word;
use crate::project::{NetworkSection, Project, UserNetworks, read_toml};
use crate::said::Sources;

/// Where a dev chain listens unless told otherwise.
pub(crate) const DEV_PORT: u16 = 8650;
/// In the project's private folder: the address of its dev chain.
pub(crate) const DEV_RPC_FILE: &str = "dev-rpc";

/// A connection, and the names that hold on it.
pub(crate) struct Network {
    pub(crate) client: Client,
    /// Whether the network's section names the genesis, so that no node has to be believed in that.
    pub(crate) names_genesis: bool,
    pub(crate) home: Home,
    pub(crate) project: Option<Project>,
}

impl Network {
    /// Connects to the node that the arguments, the project or the default name.
    pub(crate) async fn connect(arguments: &NodeArguments) -> Outcome<Self> {
        let home = Home::find()?;
        let project = Project::find_optional(&arguments.project)?;
        let target = find_target(arguments, &home, project.as_ref())?;
        let client = Client::connect(&target.rpc, target.genesis).await?;
        Ok(Self {
            client,
            names_genesis: target.genesis.is_some(),
            home,
            project,
        })
    }

    /// The address of an account: an address, a name of the keystore, or a published name on a dev chain.
    pub(crate) fn account_address(&self, text: &str) -> Outcome<Address> {
        if text.starts_with("kumi1") {
            return text
                .parse()
                .map_err(|error: kumiki_protocol::AddressError| {
                    Failure::new(Exit::Usage, "addressMalformed", error.to_string())
                        .expected("an address as 'kumiki account list' shows")
                        .found(text)
                        .next("kumiki account list")
                });
        }
        if let (Some(account), ChainKind::Dev) = (dev_account::find(text), self.client.kind()) {
            return Ok(account.address);
        }
        match self.home.keystore()?.find(text) {
            Ok(account) => Ok(account.address),
            Err(error) => Err(Failure::from(error)),
        }
    }

    /// The address of who can hold native tokens: an account, or a contract where no account has the name.
    pub(crate) fn holder_address(&self, text: &str) -> Outcome<Address> {
        self.account_address(text).or_else(|no_account| {
            self.contract_address(text)
                .map_err(|_no_contract| no_account)
        })
    }

    /// The address of a contract: an address, a name that the project has deployed on this chain, or a system
    /// contract's.
    pub(crate) fn contract_address(&self, text: &str) -> Outcome<Address> {
        if text.starts_with("kumi1") {
            return text
                .parse()
                .map_err(|error: kumiki_protocol::AddressError| {
                    Failure::new(Exit::Usage, "addressMalformed", error.to_string())
                        .expected("a contract's address as 'kumiki dev' prints it")
                        .found(text)
                        .next("kumiki deploy")
                });
        }
        let Some(project) = &self.project else {
            if let Some(address) = system_contract(text) {
                return Ok(address);
            }
            return Err(Failure::new(
                Exit::NotFound,
                "contractUnknown",
                format!("there is no contract '{text}': names need a project"),
            )
            .expected("an address (kumi1…), or a folder with a kumiki.toml")
            .found(text)
            .next(format!(
                "kumiki dev  # in the project, then: kumiki view {text}"
            )));
        };
        let deployments = Deployments::load(project)?;
        let chain = self.client.genesis_hash();
        if let Some(found) = deployments.find(&chain, text) {
            return Ok(found.address);
        }
        if let Some(address) = system_contract(text) {
            return Ok(address);
        }
        Err(self.unknown_contract(text, project, &deployments))
    }

    fn unknown_contract(
        &self,
        text: &str,
        project: &Project,
        deployments: &Deployments,
    ) -> Failure {
        let chain = self.client.genesis_hash();
        let names = deployments.names(&chain);
        let in_project = project.contracts.iter().any(|one| one.name == text);
        if let Some(other) = deployments.elsewhere(text) {
            return Failure::new(
                Exit::NotFound,
                "wrongChain",
                format!("contract '{text}' is deployed on another chain than this node's"),
            )
            .at(self.client.url())
            .expected(format!("chain {other}"))
            .found(format!("chain {chain}"))
            .next(format!("kumiki deploy {text} --rpc {}", self.client.url()));
        }
        let failure = Failure::new(
            Exit::NotFound,
            "contractUnknown",
            format!("there is no contract '{text}' on this chain"),
        )
        .at(format!(
            "{}, chain {}",
            self.client.url(),
            self.client.chain_id()
        ))
        .found(text);
        if in_project {
            return failure
                .expected("a contract that was deployed here")
                .next(format!("kumiki deploy {text} --rpc {}", self.client.url()));
        }
        let known = if names.is_empty() {
            "an address (kumi1…)".to_owned()
        } else {
            format!("an address (kumi1…), or one of {}", names.join(", "))
        };
        match closest(text, names.iter().copied()).or(names.first().copied()) {
            Some(meant) => failure.expected(known).next(format!("kumiki view {meant}")),
            None => failure.expected(known).next("kumiki deploy"),
        }
    }

    /// What the project knows of the contracts on this chain.
    pub(crate) fn sources(&self) -> Sources<'_> {
        Sources::new(self.project.as_ref(), &self.client.genesis_hash())
    }

    /// What the contract says of itself.
    pub(crate) async fn abi(&self, contract: Address, name: &str) -> Outcome<Abi> {
        self.client.abi(contract).await.map_err(|error| {
            let failure = Failure::from(error);
            match failure.name() {
                "contractUnknown" => failure
                    .at(format!(
                        "{}, chain {}",
                        self.client.url(),
                        self.client.chain_id()
                    ))
                    .expected("the address of a contract on this chain")
                    .found(name)
                    .next("kumiki deploy"),
                _ => failure,
            }
        })
    }
}

/// The contract of the protocol itself that is called so, unless a project's own is.
fn system_contract(name: &str) -> Option<Address> {
    (name == "validators").then_some(VALIDATORS_CONTRACT)
}

struct Target {
    rpc: String,
    genesis: Option<Hash>,
}

fn find_target(
    arguments: &NodeArguments,
    home: &Home,
    project: Option<&Project>,
) -> Outcome<Target> {
    if let Some(name) = &arguments.network {
        let section = find_network(name, home, project)?;
        return Ok(Target {
            rpc: section.rpc,
            genesis: section.genesis,
        });
    }
    let running = project
        .and_then(|project| fs::read_to_string(project.private_folder().join(DEV_RPC_FILE)).ok());
    let rpc = match (&arguments.rpc, running) {
        (Some(given), _) => given.clone(),
        (None, Some(running)) => running.trim().to_owned(),
        (None, None) => {
            let port = project.and_then(|project| project.config.dev.port);
            let port = port.unwrap_or(DEV_PORT);
            let localnet = if is_taken(port) { None } else { running_rpc() };
            localnet.unwrap_or_else(|| format!("http://127.0.0.1:{port}"))
        }
    };
    if !rpc.starts_with("http://") && !rpc.starts_with("https://") {
        return Err(
            Failure::new(Exit::Usage, "urlMalformed", "the node's address is no URL")
                .expected("http://HOST:PORT")
                .found(rpc.clone())
                .next(format!("kumiki chain info --rpc http://{rpc}")),
        );
    }
    Ok(Target { rpc, genesis: None })
}

fn find_network(name: &str, home: &Home, project: Option<&Project>) -> Outcome<NetworkSection> {
    let mut networks = if home.networks().is_file() {
        read_toml::<UserNetworks>(&home.networks())?.networks
    } else {
        UserNetworks::default().networks
    };
    if let Some(project) = project {
        networks.extend(project.config.networks.clone());
    }
    if name == NETWORK_NAME && !networks.contains_key(name) {
        return running_localnet();
    }
    networks.get(name).cloned().ok_or_else(|| {
        let known = networks.keys().map(String::as_str);
        let known: Vec<&str> = known.chain([NETWORK_NAME]).collect();
        let failure = Failure::new(
            Exit::NotFound,
            "networkUnknown",
            format!("there is no network '{name}'"),
        )
        .at(format!("kumiki.toml and {}", home.networks().display()))
        .expected(format!("one of: {}", known.join(", ")))
        .found(name);
        match closest(name, known.iter().copied()) {
            Some(meant) => failure.next(format!("kumiki chain info --network {meant}")),
            None => failure.next(format!(
                "printf '[networks.{name}]\\nrpc = \"http://127.0.0.1:8650\"\\n' >> {}",
                shell_word(home.networks())
            )),
        }
    })
}

fn running_localnet() -> Outcome<NetworkSection> {
    let rpc = running_rpc().ok_or_else(|| {
        Failure::new(
            Exit::Node,
            "nodeUnreachable",
            "no node of the localnet runs",
        )
        .expected("a running network, in KUMIKI_LOCALNET or KUMIKI_HOME")
        .next("kumiki localnet up")
    })?;
    Ok(NetworkSection { rpc, genesis: None })
}
