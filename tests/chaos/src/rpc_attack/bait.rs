//! Lay out on the chain what attackers ask for: a view without end, much storage, many events, a large block.

use std::sync::Arc;

use kumiki_client::Draft;
use kumiki_client::rpc_api::{ReceiptStatus, TransactionReceipt};
use kumiki_protocol::{Action, Address, SecretKey, sha3_256};
use kumiki_wallet::dev_account;

use super::{Target, messages};
use crate::Nodes;

/// `call` with an input of one byte keeps 16 values of 2 KiB under keys that begin with it, and emits an event of 8 KiB;
/// `query` never ends.
const CONTRACT: &str = r#"
(module
  (import "kumiki_v1" "input" (func $input (param i32 i32) (result i32)))
  (import "kumiki_v1" "storage_set" (func $set (param i32 i32 i32 i32)))
  (import "kumiki_v1" "emit_event" (func $emit (param i32 i32 i32 i32)))
  (memory (export "memory") 1)
  (func (export "init") (param i32))
  (func (export "call") (param i32)
    (local $key i32)
    (drop (call $input (i32.const 0) (i32.const 1)))
    (loop $again
      (i32.store8 (i32.const 1) (local.get $key))
      (call $set (i32.const 0) (i32.const 2) (i32.const 64) (i32.const 2048))
      (local.set $key (i32.add (local.get $key) (i32.const 1)))
      (br_if $again (i32.lt_u (local.get $key) (i32.const 16))))
    (call $emit (i32.const 64) (i32.const 1) (i32.const 64) (i32.const 8192)))
  (func (export "query") (param i32) (loop $again (br $again))))
"#;
/// Transactions that fill storage, events and blocks.
const FILLING: u8 = 16;
/// Calls of each.
const CALLS: usize = 8;
/// Transactions of the largest block.
const LARGE: u8 = 8;

/// Lays it out with the first published account, and says what to attack on the node `attacked`.
///
/// # Errors
/// When the chain refuses.
pub async fn lay_bait(nodes: &Nodes, attacked: usize) -> Result<Target, String> {
    let client = nodes.client_soon(attacked).await?;
    let key = dev_account::all().first().map(|one| one.key.clone());
    let payer = Payer {
        key: key.ok_or("no published account")?,
        client,
    };
    let code = wat::parse_str(CONTRACT).map_err(|error| error.to_string())?;
    let sender = Address::of_account(&payer.key.public_key());
    let contract = Address::of_contract(&sender, &[0; 32], &sha3_256(&[&code]));
    let deploy = Action::Deploy {
        code,
        salt: [0; 32],
        input: Vec::new(),
        value: 0,
        admin: None,
    };
    payer.send(vec![deploy]).await?;
    let mut last = None;
    for first in 0..FILLING {
        let call = Action::Call {
            contract,
            input: vec![first],
            value: 0,
        };
        last = Some(payer.send(vec![call; CALLS]).await?);
    }
    let filled = last.ok_or("nothing was filled")?;
    // Transfers with much input, each to an account, where no code runs.
    let mut height = filled.height;
    for _ in 0..LARGE {
        let call = Action::Call {
            contract,
            input: vec![7; 60_000],
            value: 0,
        };
        height = payer.send(vec![call; 8]).await?.height;
    }
    let rpc = nodes.rpc.get(attacked).ok_or("no such node")?;
    let rpc = rpc.trim_start_matches("http://").parse();
    Ok(Target {
        rpc: rpc.map_err(|_| "the node has no address".to_owned())?,
        contract,
        transaction: filled.receipt.transaction,
        height,
        messages: Arc::new(messages(&contract.to_string())),
    })
}

struct Payer {
    client: kumiki_client::Client,
    key: SecretKey,
}

impl Payer {
    async fn send(&self, actions: Vec<Action>) -> Result<TransactionReceipt, String> {
        let failed = |error: kumiki_client::ClientError| error.to_string();
        let public = self.key.public_key();
        let prepared = self.client.prepare(&Draft::new(actions), &public).await;
        let sent = self.client.send(prepared.map_err(failed)?.body, &self.key);
        let receipt = sent.await.map_err(failed)?;
        match receipt.receipt.status {
            ReceiptStatus::Ok => Ok(receipt),
            other => Err(format!("what attackers ask for came to {other:?}")),
        }
    }
}
