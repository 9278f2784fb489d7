//! Define the command line: commands, flags, help with examples.

use std::path::{Path, PathBuf};

use clap::{Args, Parser, Subcommand, ValueEnum};
use kumiki_client::abi::ArgumentText;
use kumiki_protocol::{Amount, Gas, Hash, Height, Nonce};

pub(crate) mod bench;
mod chain;
pub(crate) mod localnet;
pub(crate) mod node;
#[cfg(test)]
mod secrets;
pub(crate) mod test;
pub(crate) mod upgrade;
pub(crate) mod validator;

use bench::BenchArguments;
pub(crate) use chain::{
    BlockName, ChainCommand, ChainMineArguments, ChainRevertArguments, ChainSetBalanceArguments,
    ChainUndoArguments, ChainWarpArguments, Warp,
};
use localnet::LocalnetCommand;
use node::NodeCommand;
use test::TestArguments;
use upgrade::UpgradeArguments;
use validator::ValidatorCommand;

/// Build, run and use contracts on a Kumiki chain.
#[derive(Debug, Parser)]
#[command(
    name = "kumiki",
    version,
    propagate_version = true,
    disable_help_subcommand = true
)]
#[command(
    after_help = "Examples:\n  kumiki new my-app && cd my-app\n  kumiki dev\n  kumiki call counter increase amount=1\n\nExit codes: 0 done, 1 system, 2 usage, 3 build, 4 node, 5 refused, 6 execution, 7 not found, 8 proof, 130 interrupted."
)]
pub(crate) struct Arguments {
    /// Print one JSON document on stdout, also for errors.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Print no messages besides the result.
    #[arg(long, short, global = true)]
    pub(crate) quiet: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make a new project.
    #[command(
        after_help = "Examples:\n  kumiki new my-app\n  kumiki new my-token --template token"
    )]
    New(NewArguments),
    /// Build the project's contracts to Wasm and ABI, and check them by the chain's rules.
    #[command(
        after_help = "Examples:\n  kumiki build\n  kumiki build token --json\n  kumiki build --abi-schema > abi.schema.json"
    )]
    Build(BuildArguments),
    /// Build a contract from its source and compare it with the code that is deployed.
    #[command(
        after_help = "Examples:\n  kumiki verify token\n  kumiki verify kumi1… ../their-project --network testnet"
    )]
    Verify(VerifyArguments),
    /// Build the contracts and run the project's tests, on native Rust and on the real Wasm.
    #[command(
        after_help = "Examples:\n  kumiki test\n  kumiki test transfer -- --nocapture\n  kumiki test --gas-snapshot\n  kumiki test --gas-check --tolerance 0.5\n  kumiki test --fuzz-runs 1000"
    )]
    Test(TestArguments),
    /// Run a chain with the project's contracts and redeploy when a file is saved.
    #[command(
        after_help = "Examples:\n  kumiki dev\n  kumiki dev examples/token --port 9000\n  kumiki dev --json --data-dir /tmp/chain\n  kumiki dev --unsafe-expose --allow-host dev.example --allow-origin https://app.example"
    )]
    Dev(DevArguments),
    /// Build and deploy a contract of the project, or a Wasm file.
    #[command(
        after_help = "Examples:\n  kumiki deploy token\n  kumiki deploy counter start=5 --from bob\n  kumiki deploy --wasm counter.wasm start=5\n  kumiki deploy --plan plan.json && kumiki deploy --apply plan.json"
    )]
    Deploy(DeployArguments),
    /// Give a deployed contract new code and keep its state, if the new code reads it or migrates it.
    #[command(
        after_help = "Examples:\n  kumiki upgrade counter --plan\n  kumiki upgrade counter\n  kumiki upgrade counter --migrate widen factor=3\n  kumiki upgrade counter --replay"
    )]
    Upgrade(UpgradeArguments),
    /// Call a method that may change state, in a signed transaction; without METHOD, list what there is.
    #[command(
        after_help = "Examples:\n  kumiki call counter increase amount=1\n  kumiki call kumi1… transfer to=bob amount=100 --from alice --json"
    )]
    Call(CallArguments),
    /// Ask a method that changes nothing; costs nothing.
    #[command(
        after_help = "Examples:\n  kumiki view counter value\n  kumiki view token balance_of owner=alice --json"
    )]
    View(ViewArguments),
    /// Show what a call would come to, without sending it.
    #[command(
        after_help = "Examples:\n  kumiki simulate counter increase amount=1\n  kumiki simulate counter increase amount=1 --trace\n  kumiki simulate token transfer to=bob amount=100 --from alice --json"
    )]
    Simulate(SimulateArguments),
    /// Show a transaction: its fate, and its receipt when final.
    #[command(after_help = "Examples:\n  kumiki tx 0x3f…\n  kumiki tx 0x3f… --json")]
    Tx(TxArguments),
    /// Show what the calls of a final transaction did: gas, storage, events, and the line where one failed.
    #[command(
        after_help = "Examples:\n  kumiki trace 0x3f…\n  kumiki trace 0x3f… --json\n  kumiki simulate counter increase amount=1 --trace"
    )]
    Trace(TraceArguments),
    /// Show events, and follow new ones.
    #[command(
        after_help = "Examples:\n  kumiki events token\n  kumiki events token --follow --from 17.0.2\n  kumiki events --event Transfer token --json"
    )]
    Events(EventsArguments),
    /// Keep accounts in the encrypted keystore.
    #[command(
        subcommand,
        after_help = "Examples:\n  kumiki account new mine\n  kumiki account show alice\n  kumiki account fund mine 1000000000"
    )]
    Account(AccountCommand),
    /// Show the chain, and move one for development on.
    #[command(
        subcommand,
        after_help = "Examples:\n  kumiki chain info\n  kumiki chain mine 10\n  kumiki chain warp 1h"
    )]
    Chain(ChainCommand),
    /// Read a value of the state with a proof, and check the proof.
    #[command(
        after_help = "Examples:\n  kumiki proof account alice\n  kumiki proof contract token\n  kumiki proof storage token 0x00\n  kumiki proof account alice --trust 1200:0x5c0f…"
    )]
    Proof(ProofArguments),
    /// Drive a running node, or a network made for it, with signed transfers and report how fast it is.
    #[command(
        after_help = "Examples:\n  kumiki bench --seconds 10\n  kumiki bench --kind token --seconds 60 --json\n  kumiki bench --localnet 4 --seconds 60\n  kumiki bench --localnet 4 --offline 1 --kind native\n  kumiki bench --localnet 4 --delay-ms 25 --rate 200"
    )]
    Bench(BenchArguments),
    /// Run a node of a network, as a validator or a full node.
    #[command(
        subcommand,
        after_help = "Examples:\n  kumiki node keys --new\n  kumiki node init --chain genesis.json\n  kumiki node run\n  kumiki node status"
    )]
    Node(NodeCommand),
    /// Take and leave a seat among the validators of a network.
    #[command(
        subcommand,
        after_help = "Examples:\n  kumiki validator list\n  kumiki validator join --from mine\n  kumiki validator show\n  kumiki validator leave --from mine"
    )]
    Validator(ValidatorCommand),
    /// Run a network of validators on this machine, and make it suffer.
    #[command(
        subcommand,
        after_help = "Examples:\n  kumiki localnet up -n 4\n  kumiki localnet status\n  kumiki localnet fault partition 0,1 2,3\n  kumiki localnet down --wipe"
    )]
    Localnet(LocalnetCommand),
    /// Check that this machine has what Kumiki needs.
    #[command(after_help = "Examples:\n  kumiki doctor\n  kumiki doctor --json")]
    Doctor(DoctorArguments),
    /// Print a completion script for a shell.
    #[command(
        after_help = "Examples:\n  kumiki completions bash > ~/.local/share/bash-completion/completions/kumiki\n  kumiki completions zsh > ~/.zfunc/_kumiki"
    )]
    Completions(CompletionsArguments),
}

/// Which node, of which chain.
#[derive(Clone, Debug, Args)]
pub(crate) struct NodeArguments {
    /// The node's address; by default the project's running dev chain, else a running localnet.
    #[arg(long, env = "KUMIKI_RPC", value_name = "URL")]
    pub(crate) rpc: Option<String>,
    /// A network of kumiki.toml or of networks.toml in KUMIKI_HOME, or localnet.
    #[arg(long, value_name = "NAME", conflicts_with = "rpc")]
    pub(crate) network: Option<String>,
    /// Folder of the project, for names of contracts.
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub(crate) project: PathBuf,
}

impl NodeArguments {
    /// No node, and the project in `folder`.
    fn of_project(folder: &Path) -> Self {
        Self {
            rpc: None,
            network: None,
            project: folder.to_owned(),
        }
    }
}

impl Command {
    /// By what this command chooses node and project.
    pub(crate) fn chosen(&self) -> NodeArguments {
        match self {
            Self::Build(arguments) => NodeArguments::of_project(&arguments.project),
            Self::Test(arguments) => NodeArguments::of_project(&arguments.project),
            Self::Dev(arguments) => NodeArguments::of_project(&arguments.path),
            Self::Deploy(arguments) => arguments.node.clone(),
            Self::Upgrade(arguments) => arguments.node.clone(),
            Self::Verify(arguments) => arguments.node.clone(),
            Self::Call(arguments) => arguments.node.clone(),
            Self::Simulate(arguments) => arguments.call.node.clone(),
            Self::View(arguments) => arguments.node.clone(),
            Self::Tx(arguments) => arguments.node.clone(),
            Self::Trace(arguments) => arguments.node.clone(),
            Self::Events(arguments) => arguments.node.clone(),
            Self::Account(AccountCommand::Show(arguments)) => arguments.node.clone(),
            Self::Account(AccountCommand::Fund(arguments)) => arguments.node.clone(),
            Self::Chain(command) => command.chosen(),
            Self::Proof(arguments) => arguments.node.clone(),
            Self::Bench(arguments) => arguments.node.clone(),
            Self::Doctor(arguments) => arguments.node.clone(),
            Self::Node(command) => command.chosen(),
            Self::Validator(command) => command.chosen(),
            Self::New(_) | Self::Account(_) | Self::Localnet(_) | Self::Completions(_) => {
                NodeArguments::of_project(Path::new("."))
            }
        }
    }
}

/// Who signs, and for how much gas.
#[derive(Clone, Debug, Args)]
pub(crate) struct SenderArguments {
    /// The account that signs and pays: a name of the keystore, or alice to frank on a dev chain.
    #[arg(long, value_name = "ACCOUNT")]
    pub(crate) from: Option<String>,
    /// A file with the passphrase of the account's key; - for stdin.
    #[arg(long, env = "KUMIKI_PASSPHRASE_FILE", value_name = "FILE")]
    pub(crate) passphrase_file: Option<PathBuf>,
    /// Native tokens to send along, in base units.
    #[arg(long, value_name = "AMOUNT", default_value_t = 0)]
    pub(crate) value: Amount,
    /// The most gas to use; by default what a simulation suggests.
    #[arg(long)]
    pub(crate) gas: Option<Gas>,
    /// Base units to pay per unit of gas; by default what the node suggests.
    #[arg(long)]
    pub(crate) gas_price: Option<u64>,
    /// The transaction's nonce; by default the next one.
    #[arg(long)]
    pub(crate) nonce: Option<Nonce>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Template {
    /// A number that anyone may increase.
    Counter,
    /// A fungible token.
    Token,
    /// A contract with nothing in it.
    Empty,
}

#[derive(Debug, Args)]
pub(crate) struct NewArguments {
    /// Name of the project and of its folder.
    pub(crate) name: PathBuf,
    /// What to begin with.
    #[arg(long, value_enum, default_value_t = Template::Counter)]
    pub(crate) template: Template,
}

#[derive(Debug, Args)]
pub(crate) struct BuildArguments {
    /// The contract; by default all of the project.
    pub(crate) contract: Option<String>,
    /// Folder of the project.
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub(crate) project: PathBuf,
    /// Print the JSON Schema of ABI files, and build nothing.
    #[arg(long)]
    pub(crate) abi_schema: bool,
    /// Check this Wasm file by the chain's rules, and build nothing.
    #[arg(long, value_name = "FILE", conflicts_with = "contract")]
    pub(crate) check: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct VerifyArguments {
    /// An address, or the name of a contract of the project.
    pub(crate) contract: String,
    /// Folder of the project that has the source; by default that of --project.
    pub(crate) path: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) node: NodeArguments,
}

#[derive(Debug, Args)]
pub(crate) struct DevArguments {
    /// Folder of the project.
    #[arg(default_value = ".")]
    pub(crate) path: PathBuf,
    /// Port of the RPC; by default that of kumiki.toml, else 8650. 0 takes any free one.
    #[arg(long, env = "KUMIKI_PORT")]
    pub(crate) port: Option<u16>,
    /// Where the chain is kept; by default in the project's .kumiki folder.
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// Make a block every so many milliseconds, with or without transactions; by default one is made as soon as a
    /// transaction waits, and only then.
    #[arg(long, value_name = "MS")]
    pub(crate) block_time: Option<u64>,
    /// Listen on all addresses. Anyone who reaches this machine can spend from the published accounts.
    #[arg(long)]
    pub(crate) unsafe_expose: bool,
    /// Also answer requests for this host name; may be given several times. Addresses of this machine and localhost
    /// are answered anyway.
    #[arg(long, value_name = "HOST")]
    pub(crate) allow_host: Vec<String>,
    /// Also answer web pages of this origin: `https://app.example`, or with `:*` for any port; may be given several
    /// times. Pages of localhost are answered anyway.
    #[arg(long, value_name = "ORIGIN")]
    pub(crate) allow_origin: Vec<String>,
    /// Do not watch files.
    #[arg(long)]
    pub(crate) no_watch: bool,
}

#[derive(Debug, Args)]
pub(crate) struct DeployArguments {
    /// The contract (by default the project's only one), then arguments of init as name=value; those of
    /// kumiki.toml hold for the rest.
    #[arg(value_name = "CONTRACT | NAME=VALUE")]
    pub(crate) words: Vec<String>,
    /// Deploy this Wasm file instead of building one.
    #[arg(long, value_name = "FILE")]
    pub(crate) wasm: Option<PathBuf>,
    /// Make another instance of code that is deployed already, called CONTRACT-TEXT.
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub(crate) salt: String,
    /// Nobody may ever upgrade the contract; by default the deployer may.
    #[arg(long)]
    pub(crate) immutable: bool,
    /// Write to FILE how the contracts named (by default all) would be deployed, each after those that its arguments
    /// of init name, and send nothing.
    #[arg(long, value_name = "FILE", conflicts_with = "wasm")]
    pub(crate) plan: Option<PathBuf>,
    /// Carry out the plan in FILE; FILE.journal keeps how far it is.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["plan", "words", "wasm", "salt", "immutable"])]
    pub(crate) apply: Option<PathBuf>,
    /// Go on with a plan whose --apply was interrupted; nothing is done twice.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["plan", "apply", "words", "wasm", "salt", "immutable"])]
    pub(crate) resume: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) sender: SenderArguments,
    #[command(flatten)]
    pub(crate) node: NodeArguments,
}

#[derive(Debug, Args)]
pub(crate) struct CallArguments {
    /// An address, or the name of a contract of the project.
    pub(crate) contract: String,
    /// The method.
    pub(crate) method: Option<String>,
    /// Arguments by name; accounts and contracts may be named where an address is wanted.
    #[arg(value_name = "NAME=VALUE", value_parser = parse_argument)]
    pub(crate) arguments: Vec<ArgumentText>,
    #[command(flatten)]
    pub(crate) sender: SenderArguments,
    #[command(flatten)]
    pub(crate) node: NodeArguments,
}

#[derive(Debug, Args)]
pub(crate) struct SimulateArguments {
    #[command(flatten)]
    pub(crate) call: CallArguments,
    /// Show what each call would do: gas, storage, events.
    #[arg(long)]
    pub(crate) trace: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ViewArguments {
    /// An address, or the name of a contract of the project.
    pub(crate) contract: String,
    /// The method.
    pub(crate) method: Option<String>,
    /// Arguments by name; accounts and contracts may be named where an address is wanted.
    #[arg(value_name = "NAME=VALUE", value_parser = parse_argument)]
    pub(crate) arguments: Vec<ArgumentText>,
    /// The account that the contract sees as caller.
    #[arg(long, value_name = "ACCOUNT")]
    pub(crate) from: Option<String>,
    /// After this height; by default the head.
    #[arg(long)]
    pub(crate) at: Option<Height>,
    #[command(flatten)]
    pub(crate) node: NodeArguments,
}

#[derive(Debug, Args)]
pub(crate) struct TxArguments {
    /// The transaction's hash.
    pub(crate) hash: Hash,
    /// The last height at which it may be executed, as 'kumiki simulate' shows; makes the answer certain.
    #[arg(long)]
    pub(crate) valid_until: Option<Height>,
    #[command(flatten)]
    pub(crate) node: NodeArguments,
}

#[derive(Debug, Args)]
pub(crate) struct TraceArguments {
    /// The transaction's hash.
    pub(crate) hash: Hash,
    #[command(flatten)]
    pub(crate) node: NodeArguments,
}

#[derive(Debug, Args)]
pub(crate) struct EventsArguments {
    /// Only of this contract.
    pub(crate) contract: Option<String>,
    /// Only events of this name; needs CONTRACT.
    #[arg(long, requires = "contract")]
    pub(crate) event: Option<String>,
    /// Wait for new events.
    #[arg(long)]
    pub(crate) follow: bool,
    /// After this cursor (height.transaction.index), or from this height on.
    #[arg(long, value_name = "CURSOR")]
    pub(crate) from: Option<String>,
    /// The most events to show without --follow.
    #[arg(long, default_value_t = 100)]
    pub(crate) limit: u32,
    #[command(flatten)]
    pub(crate) node: NodeArguments,
}

#[derive(Debug, Subcommand)]
pub(crate) enum AccountCommand {
    /// Make a new key and keep it encrypted.
    New(AccountNewArguments),
    /// Keep a key that exists: its seed as 64 hex digits, from a file or stdin.
    Import(AccountImportArguments),
    /// List the accounts of the keystore, and the published ones.
    List,
    /// Show an account: address, and balance where a node answers.
    Show(AccountShowArguments),
    /// Send native tokens to an account; on a dev chain from alice unless told otherwise.
    Fund(AccountFundArguments),
}

#[derive(Debug, Args)]
pub(crate) struct AccountNewArguments {
    /// What to call it.
    pub(crate) name: String,
    /// A file with the passphrase; - for stdin.
    #[arg(long, env = "KUMIKI_PASSPHRASE_FILE", value_name = "FILE")]
    pub(crate) passphrase_file: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct AccountImportArguments {
    /// What to call it.
    pub(crate) name: String,
    /// A file with the seed as 64 hex digits; - for stdin. Never on the command line, where others see it.
    #[arg(long, value_name = "FILE", default_value = "-")]
    pub(crate) seed_file: PathBuf,
    /// A file with the passphrase.
    #[arg(long, env = "KUMIKI_PASSPHRASE_FILE", value_name = "FILE")]
    pub(crate) passphrase_file: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct AccountShowArguments {
    /// A name, also of a contract, or an address.
    pub(crate) account: String,
    #[command(flatten)]
    pub(crate) node: NodeArguments,
}

#[derive(Debug, Args)]
pub(crate) struct AccountFundArguments {
    /// A name, also of a contract, or an address.
    pub(crate) account: String,
    /// Base units; 1 KUMI is 1000000000.
    #[arg(default_value_t = 1_000_000_000_000)]
    pub(crate) amount: Amount,
    #[command(flatten)]
    pub(crate) sender: SenderArguments,
    #[command(flatten)]
    pub(crate) node: NodeArguments,
}

#[derive(Debug, Args)]
pub(crate) struct ProofArguments {
    /// What to prove.
    #[arg(value_enum)]
    pub(crate) subject: ProofSubject,
    /// The account or contract.
    pub(crate) name: String,
    /// For storage: the key as 0x hex.
    pub(crate) key: Option<String>,
    /// A block to trust, by height and hash; by default genesis, by the hash that the network's section or else the
    /// node names.
    #[arg(long, value_name = "HEIGHT:HASH", value_parser = parse_trusted)]
    pub(crate) trust: Option<(Height, Hash)>,
    #[command(flatten)]
    pub(crate) node: NodeArguments,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum ProofSubject {
    /// An account's nonce and balance.
    Account,
    /// A contract's code and admin.
    Contract,
    /// An entry of a contract's storage.
    Storage,
}

#[derive(Debug, Args)]
pub(crate) struct DoctorArguments {
    #[command(flatten)]
    pub(crate) node: NodeArguments,
}

#[derive(Debug, Args)]
pub(crate) struct CompletionsArguments {
    /// The shell.
    #[arg(value_enum)]
    pub(crate) shell: clap_complete::Shell,
}

/// `HEIGHT:HASH`.
fn parse_trusted(text: &str) -> Result<(Height, Hash), String> {
    text.split_once(':')
        .and_then(|(height, hash)| Some((height.parse().ok()?, hash.parse().ok()?)))
        .ok_or_else(|| format!("expected HEIGHT:HASH of a block, found '{text}'"))
}

/// `name=value`.
pub(crate) fn parse_argument(text: &str) -> Result<ArgumentText, String> {
    let (name, value) = text
        .split_once('=')
        .ok_or_else(|| format!("expected name=value, found '{text}'"))?;
    Ok(ArgumentText {
        name: name.to_owned(),
        text: value.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn every_command_is_documented_and_has_examples() {
        let document = include_str!("../../../docs/cli.md");
        for command in Arguments::command().get_subcommands() {
            let name = command.get_name();
            assert!(document.contains(&format!("`kumiki {name}")), "{name}");
            let examples = command.get_after_help().map(ToString::to_string);
            let examples = examples.unwrap_or_default();
            assert!(examples.contains(&format!("kumiki {name}")), "{name}");
            for inner in command.get_subcommands() {
                assert!(
                    document.contains(inner.get_name()),
                    "{name} {}",
                    inner.get_name()
                );
            }
        }
    }
}
