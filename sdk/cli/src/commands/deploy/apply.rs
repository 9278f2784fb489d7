//! Carry out a plan: each step's transaction is in the journal before it is sent, so no step happens twice.

use std::path::Path;

use kumiki_client::{Client, ClientError, Draft};
use kumiki_protocol::{Address, Transaction, TransactionHash};
use kumiki_rpc_api::{Bytes, ErrorCode, ReceiptStatus, TransactionReceipt, TransactionState};
use serde_json::json;

use super::journal::{Entry, Journal};
use super::plan::{Plan, Step};
use crate::arguments::DeployArguments;
use crate::deploy::contract_at;
use crate::deployments::{Deployment, Deployments};
use crate::failure::{Exit, Failure, Outcome};
use crate::network::Network;
use crate::next_step::shell_word;
use crate::output::Output;
use crate::render::execution_failure;
use crate::said::{Said, Sources};
use crate::signer::Signer;

/// Whether the plan is begun or gone on with.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    Apply,
    Resume,
}

struct Run<'a> {
    network: Network,
    signer: Signer,
    journal: Journal,
    path: &'a Path,
    output: Output,
}

pub(super) async fn run(
    arguments: &DeployArguments,
    path: &Path,
    mode: Mode,
    output: Output,
) -> Outcome<()> {
    let (plan, plan_hash) = Plan::read(path)?;
    let network = Network::connect(&arguments.node).await?;
    let signer = Signer::find(&arguments.sender, &network)?;
    check(&plan, &network, &signer)?;
    let mut journal = Journal::open(path)?;
    check_journal(&plan, plan_hash, &mut journal, (path, mode))?;
    let mut run = Run {
        network,
        signer,
        journal,
        path,
        output,
    };
    for (index, step) in plan.steps.iter().enumerate() {
        if !run.journal.is_done(index) {
            run.take(index, step).await?;
        }
        // Also of steps that were done before: the process may have ended before it was remembered.
        run.remember(step)?;
    }
    run.print(&plan);
    Ok(())
}

/// A plan holds for one chain and one account.
fn check(plan: &Plan, network: &Network, signer: &Signer) -> Outcome<()> {
    let chain = network.client.genesis_hash();
    if plan.genesis_hash != chain {
        return Err(Failure::new(
            Exit::Refused,
            "wrongChain",
            "the plan is for another chain; nothing was sent",
        )
        .at(network.client.url())
        .expected(format!("chain {}", plan.genesis_hash))
        .found(format!("chain {chain}"))
        .next("kumiki chain info"));
    }
    let sender = Address::of_account(&signer.key.public_key());
    if plan.deployer != sender {
        return Err(Failure::new(
            Exit::Refused,
            "notAllowed",
            "the plan is for another account; nothing was sent",
        )
        .expected(format!("--from the account of {}", plan.deployer))
        .found(sender.to_string())
        .next("kumiki account list"));
    }
    Ok(())
}

/// The journal is of this plan, and unfinished work is gone on with only where that is asked for.
fn check_journal(
    plan: &Plan,
    plan_hash: kumiki_protocol::Hash,
    journal: &mut Journal,
    (path, mode): (&Path, Mode),
) -> Outcome<()> {
    let file = shell_word(path);
    match journal.entries.first() {
        None => journal.add(Entry::Plan(plan_hash)),
        Some(Entry::Plan(hash)) if *hash == plan_hash => {
            let is_done = (0..plan.steps.len()).all(|index| journal.is_done(index));
            if mode == Mode::Apply && !is_done {
                return Err(Failure::new(
                    Exit::Refused,
                    "planUnfinished",
                    "this plan was begun and not finished; nothing was sent",
                )
                .next(format!("kumiki deploy --resume {file}")));
            }
            Ok(())
        }
        Some(_) => Err(Failure::new(
            Exit::Refused,
            "planChanged",
            "the plan is not the one that its journal began with; nothing was sent",
        )
        .at(path.display().to_string())
        .expected("the same plan, or another file for another plan")
        .next(format!("kumiki deploy --plan {file}-2"))),
    }
}

impl Run<'_> {
    /// Does one step, wherever an earlier process left it.
    async fn take(&mut self, index: usize, step: &Step) -> Outcome<()> {
        loop {
            if let Some((hash, bytes)) = self.journal.signed(index) {
                let transaction = Transaction::decode_checked(&bytes.0).map_err(|error| {
                    Failure::new(Exit::System, "journalMalformed", error.to_string())
                        .at(self.path.display().to_string())
                })?;
                match self.follow(&transaction).await? {
                    Some(receipt) => return self.conclude(index, step, &receipt),
                    // It can never happen any more, so what follows is not done twice.
                    None => self.journal.add(Entry::Void { step: index, hash })?,
                }
            }
            if let Some(found) = contract_at(&self.network.client, step.address).await? {
                if found.code_hash != step.code_hash {
                    return Err(self.taken(step));
                }
                let (height, hash) = (None, None);
                return self.journal.add(Entry::Done {
                    step: index,
                    height,
                    hash,
                });
            }
            self.sign(index, step).await?;
        }
    }

    /// Signs the step's transaction and writes it down.
    async fn sign(&mut self, index: usize, step: &Step) -> Outcome<()> {
        let client = &self.network.client;
        let draft = Draft::new(vec![step.action()]);
        let key = &self.signer.key;
        let prepared = client.prepare(&draft, &key.public_key()).await?;
        if let Some(failure) = &prepared.simulation.receipt.failure {
            let diagnostics = &prepared.simulation.diagnostics;
            let paid = "nothing was sent, nothing is paid";
            let mut sources = Sources::new(self.network.project.as_ref(), &client.genesis_hash());
            let said = sources.explain(diagnostics);
            return Err(self.explain(step, execution_failure(failure, said, None, paid)));
        }
        let transaction = client.sign(prepared.body, key)?;
        let hash = transaction.hash();
        self.journal.add(Entry::Signed {
            step: index,
            hash,
            transaction: Bytes(kumiki_protocol::Encode::encode(&transaction)),
        })?;
        self.output
            .message(&format!("sending {}: {hash}", step.name));
        Ok(())
    }

    /// Sends a transaction, for the first time or again, and waits; `None` where it can never be executed.
    async fn follow(&self, transaction: &Transaction) -> Outcome<Option<TransactionReceipt>> {
        let client = &self.network.client;
        match client.submit_and_wait(transaction).await {
            Ok(receipt) => Ok(Some(receipt)),
            Err(ClientError::Expired { .. }) => Ok(None),
            Err(ClientError::Api(error))
                if matches!(error.code, ErrorCode::Expired | ErrorCode::NonceTooLow) =>
            {
                fate(client, transaction.hash(), transaction.body.valid_until).await
            }
            Err(error) => Err(error.into()),
        }
    }

    fn conclude(&mut self, index: usize, step: &Step, receipt: &TransactionReceipt) -> Outcome<()> {
        let hash = receipt.receipt.transaction;
        match (receipt.receipt.status, &receipt.receipt.failure) {
            (ReceiptStatus::Ok, _) | (_, None) => self.journal.add(Entry::Done {
                step: index,
                height: Some(receipt.height),
                hash: Some(hash),
            }),
            (_, Some(failure)) => {
                // It was executed and came to nothing: it never will come to anything else.
                self.journal.add(Entry::Void { step: index, hash })?;
                let paid = format!("the fee {} is paid", receipt.receipt.fee);
                Err(self.explain(
                    step,
                    execution_failure(failure, Said::default(), None, &paid),
                ))
            }
        }
    }

    fn explain(&self, step: &Step, failure: Failure) -> Failure {
        failure
            .at(format!("deployment of '{}'", step.name))
            .next(format!("kumiki deploy --resume {}", shell_word(self.path)))
    }

    fn taken(&self, step: &Step) -> Failure {
        Failure::new(
            Exit::Refused,
            "contractExists",
            format!(
                "where '{}' belongs there is a contract with other code",
                step.name
            ),
        )
        .at(step.address.to_string())
        .expected("no contract, or one with the plan's code")
        .next(format!(
            "kumiki deploy --plan {}-2 --salt another",
            shell_word(self.path)
        ))
    }

    fn remember(&self, step: &Step) -> Outcome<()> {
        let Some(project) = &self.network.project else {
            return Ok(());
        };
        let deployment = Deployment {
            address: step.address,
            code_hash: step.code_hash,
        };
        let chain = self.network.client.genesis_hash();
        Deployments::load(project)?.record(&chain, &step.name, deployment)
    }

    fn print(&self, plan: &Plan) {
        let mut lines = Vec::new();
        let mut steps = Vec::new();
        for (index, step) in plan.steps.iter().enumerate() {
            let done = self.journal.entries.iter().find_map(|entry| match entry {
                Entry::Done { step, height, hash } if *step == index => Some((*height, *hash)),
                _ => None,
            });
            let (height, hash) = done.unwrap_or_default();
            let how = height.map_or_else(
                || "was there already".to_owned(),
                |height| format!("deployed at height {height}"),
            );
            lines.push(format!("{}  {}  {how}", step.name, step.address));
            steps.push(json!({
                "name": step.name,
                "address": step.address,
                "codeHash": step.code_hash,
                "height": height,
                "hash": hash,
            }));
        }
        let json = json!({ "file": self.path, "steps": steps });
        self.output.data(&json, &lines.join("\n"));
    }
}

/// What came of a transaction that the node does not take any more.
async fn fate(
    client: &Client,
    hash: TransactionHash,
    valid_until: u64,
) -> Outcome<Option<TransactionReceipt>> {
    let status = client.transaction(hash, Some(valid_until)).await?;
    match status.status {
        TransactionState::Final => Ok(Some(client.receipt(hash).await?)),
        // Its nonce went to another one, or its time is over: no block takes it.
        TransactionState::Unknown | TransactionState::Expired => Ok(None),
        TransactionState::Pending => Err(Failure::new(
            Exit::Node,
            "transactionPending",
            "the transaction waits for a block",
        )
        .found(hash.to_string())
        .next(format!("kumiki tx {hash}"))),
    }
}
