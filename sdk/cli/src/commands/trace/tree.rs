//! Show the calls of a trace as a tree, with names from the contracts' own metadata.

use std::collections::{BTreeMap, BTreeSet};

use kumiki_abi::metadata::EntryKind;
use kumiki_client::abi::{Abi, Revert, sdk_error_text};
use kumiki_protocol::Address;
use kumiki_rpc_api::{CutBytes, EntryName, StepView, TraceView, TracedCallView};
use serde_json::{Value, json};

use crate::network::Network;
use crate::render::value_text;
use crate::said::Sources;

/// Contracts whose metadata is asked for.
const ABIS_MAX: usize = 64;
/// Bytes of a key or value shown on a line.
const BYTES_SHOWN: usize = 24;

/// What is needed to show the calls of a trace.
pub(super) struct Tree<'a> {
    sources: Sources<'a>,
    abis: BTreeMap<Address, Abi>,
}

impl<'a> Tree<'a> {
    pub(super) async fn of(network: &'a Network, trace: &TraceView) -> Self {
        let mut contracts = BTreeSet::new();
        for call in trace.actions.iter().filter_map(|one| one.call.as_ref()) {
            collect(call, &mut contracts);
        }
        let mut abis = BTreeMap::new();
        for contract in contracts.into_iter().take(ABIS_MAX) {
            // A contract that is gone with its failed deployment, or has no metadata, is shown by its bytes.
            if let Ok(abi) = network.client.abi(contract).await {
                abis.insert(contract, abi);
            }
        }
        Self {
            sources: network.sources(),
            abis,
        }
    }

    /// The actions as the node answers them, each call with `name`, `method` and `arguments`.
    pub(super) fn json(&self, trace: &TraceView) -> Value {
        let actions = trace.actions.iter().map(|action| {
            json!({
                "gasUsed": action.gas_used,
                "outputGas": action.output_gas,
                "call": action.call.as_ref().map(|call| self.call_json(call)),
            })
        });
        actions.collect()
    }

    fn call_json(&self, call: &TracedCallView) -> Value {
        let mut value = json!(call);
        let steps = call.steps.iter().map(|step| match step {
            StepView::Call { call } => json!({ "type": "call", "call": self.call_json(call) }),
            other => json!(other),
        });
        value["steps"] = steps.collect();
        value["name"] = json!(self.sources.name(&call.contract));
        let decoded = self.decoded(call);
        value["method"] = json!(decoded.as_ref().map(|(method, _)| method));
        value["arguments"] = json!(decoded.and_then(|(_, arguments)| arguments));
        value
    }

    /// Name of the entry point that a call went to, and its arguments.
    fn decoded(&self, call: &TracedCallView) -> Option<(String, Option<Value>)> {
        let kind = match call.entry {
            EntryName::Init => EntryKind::Init,
            EntryName::Migrate => EntryKind::Migrate,
            EntryName::Call => EntryKind::Call,
            EntryName::Query => EntryKind::View,
        };
        let abi = self.abis.get(&call.contract)?;
        let decoded = abi.decode_input(kind, &call.input.bytes.0)?;
        Some((decoded.method.name.clone(), decoded.arguments))
    }

    pub(super) fn lines(&self, trace: &TraceView) -> Vec<String> {
        let mut lines = Vec::new();
        for (index, action) in trace.actions.iter().enumerate() {
            let output = match action.output_gas {
                0 => String::new(),
                gas => format!(", {gas} of it for the output"),
            };
            lines.push(format!(
                "action {index}     {} gas{output}",
                action.gas_used
            ));
            if let Some(call) = &action.call {
                self.add_call(call, 1, &mut lines);
            }
        }
        lines
    }

    fn add_call(&self, call: &TracedCallView, depth: usize, lines: &mut Vec<String>) {
        let contract = self.sources.name(&call.contract);
        let what = match self.decoded(call) {
            Some((method, Some(arguments))) => format!("{contract}.{method} {arguments}"),
            Some((method, None)) => format!("{contract}.{method}"),
            None => format!("{contract} {}", shown(&call.input)),
        };
        let own = match call.own_gas_used == call.gas_used {
            true => String::new(),
            false => format!(", {} of it its own", call.own_gas_used),
        };
        let value = match call.value.0 {
            0 => String::new(),
            value => format!(", with {value}"),
        };
        let indent = "  ".repeat(depth);
        lines.push(format!(
            "{indent}{what}{value}: {}, {} gas{own}",
            self.result(call),
            call.gas_used
        ));
        for step in &call.steps {
            match step {
                StepView::Call { call } => self.add_call(call, depth + 1, lines),
                other => lines.push(format!("{indent}  {}", self.step(call, other))),
            }
        }
    }

    /// How a call ended, with the contract's own error where it has one.
    fn result(&self, call: &TracedCallView) -> String {
        let abi = self.abis.get(&call.contract);
        let is_reverted = call.result == "reverted";
        let revert = abi
            .filter(|_| is_reverted)
            .map(|abi| abi.decode_revert(&call.data.bytes.0));
        match revert {
            Some(Revert::Contract { value, .. }) => format!("reverted with {}", value_text(&value)),
            Some(Revert::Sdk(error)) => format!("reverted, {}", sdk_error_text(error)),
            Some(Revert::Unknown(_)) | None => call.result.clone(),
        }
    }

    fn step(&self, call: &TracedCallView, step: &StepView) -> String {
        let or_nothing =
            |value: &Option<CutBytes>| value.as_ref().map_or("nothing".to_owned(), shown);
        match step {
            StepView::Call { .. } => String::new(),
            StepView::Read { key, value } => {
                format!("read   {} = {}", shown(key), or_nothing(value))
            }
            StepView::Has { key, found } => format!("has    {} = {found}", shown(key)),
            StepView::Write { key, before, after } => {
                let (before, after) = (or_nothing(before), or_nothing(after));
                format!("write  {}: {before} -> {after}", shown(key))
            }
            StepView::Scan { prefix, entries } => {
                format!("scan   {}…: {entries} entries", shown(prefix))
            }
            StepView::Event { topics, data } => {
                let abi = self.abis.get(&call.contract);
                match abi.and_then(|abi| abi.decode_event(topics, &data.bytes.0)) {
                    Some(event) => format!("event  {} {}", event.name, event.fields),
                    None => format!("event  {}", shown(data)),
                }
            }
            StepView::Transfer { to, amount, result } => {
                format!("send   {amount} to {}: {result}", self.sources.name(to))
            }
        }
    }
}

fn collect(call: &TracedCallView, contracts: &mut BTreeSet<Address>) {
    contracts.insert(call.contract);
    for step in &call.steps {
        if let StepView::Call { call } = step {
            collect(call, contracts);
        }
    }
}

/// At most 24 bytes in hex, and how many there are where that is more.
fn shown(cut: &CutBytes) -> String {
    let bytes = &cut.bytes.0;
    let first = bytes.get(..BYTES_SHOWN).unwrap_or(bytes);
    let text = format!("0x{}", hex::encode(first));
    match usize::try_from(cut.size) {
        Ok(size) if size > first.len() => format!("{text}… ({size} bytes)"),
        _ => text,
    }
}
