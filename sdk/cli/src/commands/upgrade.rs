//! `kumiki upgrade`: give a deployed contract new code, if that reads what is stored or migrates it.

mod fresh;

use kumiki_abi::metadata::EntryPoint;
use kumiki_client::abi::Abi;
use kumiki_client::{Draft, Prepared};
use kumiki_protocol::{Address, Hash, sha3_256};
use kumiki_rpc_api::TransactionReceipt;
use serde_json::{Value, json};

use crate::arguments::upgrade::UpgradeArguments;
use crate::commands::call::{example_arguments, resolve_names};
use crate::commands::deploy::Source;
use crate::deployments::{Deployment, Deployments};
use crate::explain::value_failure;
use crate::failure::{Exit, Failure, Outcome};
use crate::network::Network;
use crate::output::Output;
use crate::render::Called;
use crate::send::{prepare, send};
use crate::signer::{Sender, Signer};
use crate::upgrade::{Layout, Standing, Takeover, choices, line};

/// An upgrade that was asked for, with all that it depends on.
struct Upgrade<'a> {
    arguments: &'a UpgradeArguments,
    network: Network,
    sender: Sender,
    /// `None` where only a plan is wanted, which needs no passphrase.
    signer: Option<Signer>,
    /// What the contract is called.
    name: &'a str,
    standing: Standing,
    source: Source,
    new: Abi,
    code_hash: Hash,
}

pub(crate) async fn run(arguments: &UpgradeArguments, output: Output) -> Outcome<()> {
    if arguments.sender.value > 0 {
        return Err(Failure::new(
            Exit::Usage,
            "notPayable",
            "an upgrade carries no native tokens",
        )
        .expected("--value 0")
        .found(format!("--value {}", arguments.sender.value))
        .next(format!("kumiki upgrade {} --plan", arguments.contract)));
    }
    let upgrade = Upgrade::find(arguments, output).await?;
    match &upgrade.signer {
        Some(signer) if arguments.replay || arguments.reset => {
            fresh::run(&upgrade, signer, output).await
        }
        _ => upgrade.run(output).await,
    }
}

impl<'a> Upgrade<'a> {
    async fn find(arguments: &'a UpgradeArguments, output: Output) -> Outcome<Self> {
        let name = arguments.contract.as_str();
        let network = Network::connect(&arguments.node).await?;
        let address = network.contract_address(name)?;
        let sender = Sender::find(&arguments.sender, &network)?;
        let signer = match arguments.plan {
            true => None,
            false => Some(Signer::find(&arguments.sender, &network)?),
        };
        let standing = Standing::find(&network.client, address)
            .await?
            .ok_or_else(|| {
                let place = format!(
                    "{}, chain {}",
                    network.client.url(),
                    network.client.chain_id()
                );
                Failure::new(
                    Exit::NotFound,
                    "contractUnknown",
                    "there is no contract at this address",
                )
                .at(place)
                .found(address.to_string())
                .next("kumiki deploy")
            })?;
        // Before anything is built; a fresh contract asks nothing of the old one.
        if !arguments.replay && !arguments.reset {
            standing.check_admin(name, sender.address())?;
        }
        let source = match &arguments.wasm {
            Some(path) => Source::from_file(path, Some(name))?,
            None => {
                let built = contract_behind(&network, name, address)?;
                Source::from_project(&network, Some(&built), output)?
            }
        };
        Ok(Self {
            arguments,
            code_hash: sha3_256(&[&source.wasm]),
            new: Abi::new(source.abi.clone()),
            network,
            sender,
            signer,
            name,
            standing,
            source,
        })
    }

    async fn run(&self, output: Output) -> Outcome<()> {
        if self.code_hash == self.standing.code_hash {
            self.remember()?;
            let layout = Layout::same();
            let text = format!(
                "{}  {}\nhas this code already; nothing was sent",
                self.name, self.standing.address
            );
            output.data(&self.json(&layout, None, None), &text);
            return Ok(());
        }
        let client = &self.network.client;
        let layout = Layout::between(client, &self.standing, &self.new).await?;
        self.check_allowed(&layout)?;
        let refused = layout.refused(&self.arguments.allow_unsafe);
        let migrate = self.migrate()?;
        if migrate.is_none() && !refused.is_empty() {
            let failure = self.refusal(&layout);
            if !self.arguments.plan {
                return Err(failure);
            }
            let text = [self.plan_text(&layout, None), failure.to_string()].concat();
            output.data(&self.json(&layout, None, None), &text);
            return Ok(());
        }
        self.carry_out(&layout, migrate, output).await
    }

    /// Sends what replaces the code and takes the state over, or shows what that would come to.
    async fn carry_out(
        &self,
        layout: &Layout,
        migrate: Option<(&EntryPoint, Vec<u8>)>,
        output: Output,
    ) -> Outcome<()> {
        if migrate.is_none()
            && let Some(unused) = &self.new.metadata().migrate
        {
            output.message(&format!(
                "'{}' of the new code does not run; --migrate {} runs it",
                unused.name, unused.name
            ));
        }
        let takeover = match &migrate {
            Some((_, input)) => Takeover::Migrate(input.clone()),
            None => Takeover::AsItIs,
        };
        let action = takeover.action(self.standing.address, self.source.wasm.clone());
        let draft = Draft {
            actions: vec![action],
            gas_limit: self.arguments.sender.gas,
            gas_price: self.arguments.sender.gas_price,
            nonce: self.arguments.sender.nonce,
        };
        let called = migrate.as_ref().map(|(method, _)| Called {
            abi: &self.new,
            address: self.standing.address,
            contract: self.name,
            method: &method.name,
        });
        let Some(signer) = &self.signer else {
            let paid = "nothing was sent, nothing is paid";
            let prepared = prepare(&self.network, &self.sender, &draft, called.as_ref(), paid);
            let prepared = prepared.await?;
            let text = self.plan_text(layout, Some(&prepared));
            output.data(&self.json(layout, Some(&prepared), None), &text);
            return Ok(());
        };
        let receipt = send(&self.network, signer, &draft, called.as_ref(), output).await?;
        self.remember()?;
        let text = self.done_text(layout, &receipt);
        output.data(&self.json(layout, None, Some(&receipt)), &text);
        Ok(())
    }

    /// Remembers which code the contract has.
    fn remember(&self) -> Outcome<()> {
        let Some(project) = &self.network.project else {
            return Ok(());
        };
        let mut deployments = Deployments::load(project)?;
        let chain = self.network.client.genesis_hash();
        let Some(name) = deployments.name_of(&chain, self.standing.address) else {
            return Ok(());
        };
        let deployment = Deployment {
            address: self.standing.address,
            code_hash: self.code_hash,
        };
        deployments.record(&chain, &name, deployment)
    }

    /// The method that `--migrate` names, and its input.
    fn migrate(&self) -> Outcome<Option<(&EntryPoint, Vec<u8>)>> {
        let Some(asked) = &self.arguments.migrate else {
            return Ok(None);
        };
        let command = format!("kumiki upgrade {}", self.name);
        let failure = |what: String| {
            Failure::new(Exit::Usage, "methodUnknown", what)
                .at(format!("the new code of '{}'", self.name))
                .expected("a method marked #[migrate]")
        };
        let Some(method) = &self.new.metadata().migrate else {
            return Err(failure(format!(
                "the new code has no method that migrates, so '{asked}' is none"
            ))
            .found("none")
            .next(format!("{command} --plan")));
        };
        let example = format!(
            "{command} --migrate {}{}",
            method.name,
            example_arguments(&method.args)
        );
        if method.name != *asked {
            return Err(
                failure(format!("'{asked}' is not the method that migrates"))
                    .found(method.name.clone())
                    .next(format!("{example} --plan")),
            );
        }
        let given = resolve_names(&self.network, &method.args, &self.arguments.arguments)?;
        let input = self
            .new
            .encode_call(method, &given)
            .map_err(|error| value_failure(error, &command).next(format!("{example} --plan")))?;
        Ok(Some((method, input)))
    }

    /// A field that is allowed to be unsafe and is not was meant to be another.
    fn check_allowed(&self, layout: &Layout) -> Outcome<()> {
        let unsafe_changes = layout.refused(&[]);
        for name in &self.arguments.allow_unsafe {
            if !unsafe_changes.iter().any(|one| one.field == *name) {
                let known: Vec<&str> = unsafe_changes.iter().map(|one| &*one.field).collect();
                let known = match known.as_slice() {
                    [] => "no --allow-unsafe: every change is safe".to_owned(),
                    known => format!("one of {}", known.join(", ")),
                };
                return Err(Failure::new(
                    Exit::Usage,
                    "fieldUnknown",
                    format!("there is no unsafe change of '{name}'; nothing was sent"),
                )
                .expected(known)
                .found(name)
                .next(format!("kumiki upgrade {} --plan", self.name)));
            }
        }
        Ok(())
    }

    /// Why the new code is not sent, and what to do.
    fn refusal(&self, layout: &Layout) -> Failure {
        let refused = layout.refused(&self.arguments.allow_unsafe);
        let kind = self.network.client.kind();
        let failure = Failure::new(
            Exit::Refused,
            "layoutUnsafe",
            format!(
                "the new code does not read what '{}' has stored; nothing was sent",
                self.name
            ),
        )
        .at(self.standing.address.to_string())
        .expected("storage as it was, or a method marked #[migrate] that rewrites it")
        .found(match refused.len() {
            1 => "1 unsafe change".to_owned(),
            count => format!("{count} unsafe changes"),
        })
        .next(format!("kumiki upgrade {} --plan", self.name));
        let lines = refused.iter().map(|one| line(one));
        let choices = choices(self.name, &self.new, &refused, kind);
        let choices = choices
            .iter()
            .map(|(command, what)| format!("{command}\n    {what}"));
        lines.chain(choices).fold(failure, Failure::detail)
    }

    fn plan_text(&self, layout: &Layout, prepared: Option<&Prepared>) -> String {
        let mut lines = self.head_lines(layout);
        match prepared {
            Some(prepared) => {
                let simulated = &prepared.simulation;
                let gas = simulated.receipt.gas_used;
                let (limit, fee) = (simulated.suggested_gas_limit, simulated.receipt.fee);
                lines.push(format!("gas      {gas} (limit {limit}, fee {fee})"));
                lines.push("nothing was sent; without --plan it is".to_owned());
            }
            None => lines.push(String::new()),
        }
        lines.join("\n")
    }

    fn done_text(&self, layout: &Layout, receipt: &TransactionReceipt) -> String {
        let mut lines = self.head_lines(layout);
        let (height, fee) = (receipt.height, receipt.receipt.fee);
        lines.push(format!("upgraded at height {height}, fee {fee}"));
        lines.join("\n")
    }

    fn head_lines(&self, layout: &Layout) -> Vec<String> {
        let old = &self.standing;
        let mut lines = vec![
            format!("{}  {}", self.name, old.address),
            format!("code     from {} ({} bytes)", old.code_hash, old.code_size),
            format!(
                "         to {} ({} bytes)",
                self.code_hash,
                self.source.wasm.len()
            ),
        ];
        let state = match (&self.arguments.migrate, layout.lines().is_empty()) {
            (Some(method), _) => {
                format!("kept, and rewritten by '{method}' in the same transaction")
            }
            (None, true) => "kept; the storage is the same".to_owned(),
            (None, false) if layout.is_safe() => "kept; the new code reads it".to_owned(),
            (None, false) => "kept; the new code does not read all of it".to_owned(),
        };
        lines.push(format!("state    {state}"));
        lines.extend(layout.lines().iter().map(|line| format!("  {line}")));
        lines
    }

    fn json(
        &self,
        layout: &Layout,
        planned: Option<&Prepared>,
        sent: Option<&TransactionReceipt>,
    ) -> Value {
        let receipt = sent
            .map(|one| &one.receipt)
            .or(planned.map(|one| &one.simulation.receipt));
        json!({
            "name": self.name,
            "address": self.standing.address,
            "from": self.sender.name,
            "oldCodeHash": self.standing.code_hash,
            "codeHash": self.code_hash,
            "oldSize": self.standing.code_size,
            "size": self.source.wasm.len(),
            "layout": layout.json(),
            "safe": layout.is_safe(),
            "migrate": self.arguments.migrate,
            "sent": sent.is_some(),
            "hash": sent.map(|one| one.receipt.transaction),
            "height": sent.map(|one| one.height),
            "gasUsed": receipt.map(|one| one.gas_used),
            "fee": receipt.map(|one| one.fee),
        })
    }
}

/// The project's contract that `name` is an instance of: itself, or `counter` for `counter-second`.
fn contract_behind(network: &Network, name: &str, address: Address) -> Outcome<String> {
    let Some(project) = &network.project else {
        // Says that a project is needed.
        return Ok(name.to_owned());
    };
    let chain = network.client.genesis_hash();
    let known = Deployments::load(project)?.name_of(&chain, address);
    let name = known.as_deref().unwrap_or(name);
    let contracts = project.contracts.iter().map(|one| one.name.as_str());
    let is_behind = |one: &&str| {
        name.strip_prefix(one)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
    };
    let longest = contracts.filter(is_behind).max_by_key(|one| one.len());
    Ok(longest.unwrap_or(name).to_owned())
}
