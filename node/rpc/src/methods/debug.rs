//! Trace transactions: execute them again, apart from the blocks and within the bounds of simulations.

use std::sync::Arc;

use jsonrpsee::core::{RpcResult, async_trait};
use kumiki_executor::{BlockInput, Traced};
use kumiki_protocol::{Height, Status, TransactionHash};
use kumiki_rpc_api::methods::DebugApiServer;
use kumiki_rpc_api::{
    ApiError, Bytes, CutBytes, Decimal, EntryName, ReceiptView, StepView, TraceView,
    TracedActionView, TracedCallView,
};
use kumiki_vm::{Cut, Entry, Step, Trace, TracedCall};

use super::simulation::{result_name, shown_diagnostics};
use super::transaction::Found;
use super::{Node, Rpc, fault};

#[async_trait]
impl DebugApiServer for Rpc {
    async fn trace_transaction(&self, hash: TransactionHash) -> RpcResult<TraceView> {
        // Blocks may bring code, of which one simulation at a time compiles any.
        let traced = self.simulate(true, move |node| node.trace_again(&hash));
        Ok(traced.await?)
    }

    async fn trace_call(&self, body: Bytes) -> RpcResult<TraceView> {
        let (body, brings_code) = self.decode_body(&body)?;
        let traced = self.simulate(brings_code, move |node| {
            let state = node.state_at(None)?;
            let height = state.height();
            let block = node.next_block(&state)?;
            let executor = &node.context.executor;
            let traced = executor
                .trace_unsigned(Arc::new(state), &block, &body)
                .map_err(|error| fault(&error))?;
            if let Status::Rejected(rejection) = traced.receipt.status {
                let detail = "the transaction would not be executed on top of the head";
                return Err(
                    ApiError::new(rejection.into(), detail).about(traced.receipt.transaction)
                );
            }
            Ok(shown(&traced, height, None))
        });
        Ok(traced.await?)
    }
}

impl Node {
    /// Executes the block of a transaction again, up to it, over the state before.
    fn trace_again(&self, hash: &TransactionHash) -> Result<TraceView, ApiError> {
        self.at_final_location(hash, |place| self.trace_at(hash, place))
    }

    fn trace_at(
        &self,
        hash: &TransactionHash,
        (height, index): (Height, u32),
    ) -> Result<Found<TraceView>, ApiError> {
        let Some(before) = height.checked_sub(1) else {
            return Ok(Err("block before a transaction"));
        };
        let state = self.state_at(Some(before))?;
        let block = self.context.storage.block(height);
        let Some(block) = block.map_err(|error| fault(&error))? else {
            return Ok(Err("block"));
        };
        let input = BlockInput {
            height,
            time_ms: block.header.time_ms,
            proposer: block.header.proposer,
        };
        let up_to = usize::try_from(index).unwrap_or(usize::MAX);
        let transactions = block.transactions.get(..=up_to);
        let last = transactions.and_then(|some| some.last());
        let (Some(transactions), true) =
            (transactions, last.is_some_and(|one| one.hash() == *hash))
        else {
            return Ok(Err("transaction in its block"));
        };
        let executor = &self.context.executor;
        let traced = executor
            .trace_in_block(Arc::new(state), &input, transactions)
            .map_err(|error| fault(&error))?;
        let Some(traced) = traced else {
            return Ok(Err("transaction in its block"));
        };
        let kept = self.context.storage.receipt(height, index);
        if kept.map_err(|error| fault(&error))?.as_ref() != Some(&traced.receipt) {
            return Ok(Err("receipt that executing the block again gives"));
        }
        Ok(Ok(shown(&traced, before, Some((height, index)))))
    }
}

fn shown(traced: &Traced, state_height: Height, place: Option<(Height, u32)>) -> TraceView {
    let trace = &traced.trace;
    let actions = trace.actions.iter().map(|action| TracedActionView {
        gas_used: action.gas_used,
        output_gas: action.output_gas,
        call: action
            .call
            .and_then(|index| trace.calls.get(index))
            .map(|call| shown_call(trace, call)),
    });
    TraceView {
        receipt: ReceiptView::new(&traced.receipt, place),
        state_height,
        index: place.map(|(_, index)| index),
        intrinsic_gas: traced.intrinsic_gas,
        actions: actions.collect(),
        diagnostics: shown_diagnostics(&traced.diagnostics),
        truncated: trace.left_out > 0,
        left_out: trace.left_out,
    }
}

/// Calls nest no deeper than the protocol lets them.
fn shown_call(trace: &Trace, call: &TracedCall) -> TracedCallView {
    let steps = call.steps.iter();
    TracedCallView {
        entry: match call.entry {
            Entry::Init => EntryName::Init,
            Entry::Call => EntryName::Call,
            Entry::Query => EntryName::Query,
            Entry::Migrate => EntryName::Migrate,
        },
        caller: call.caller,
        contract: call.contract,
        code_hash: call.code_hash,
        input: cut(&call.input),
        value: Decimal(call.value),
        gas_limit: call.gas_limit,
        gas_used: call.gas_used,
        own_gas_used: call.gas_used.saturating_sub(call.inner_gas_used),
        result: result_name(call.code),
        data: cut(&call.data),
        steps: steps.filter_map(|step| shown_step(trace, step)).collect(),
    }
}

fn shown_step(trace: &Trace, step: &Step) -> Option<StepView> {
    Some(match step {
        Step::Call(index) => StepView::Call {
            call: Box::new(shown_call(trace, trace.calls.get(*index)?)),
        },
        Step::Read { key, value } => StepView::Read {
            key: cut(key),
            value: value.as_ref().map(cut),
        },
        Step::Has { key, found } => StepView::Has {
            key: cut(key),
            found: *found,
        },
        Step::Write { key, before, after } => StepView::Write {
            key: cut(key),
            before: before.as_ref().map(cut),
            after: after.as_ref().map(cut),
        },
        Step::Scan { prefix, entries } => StepView::Scan {
            prefix: cut(prefix),
            entries: *entries,
        },
        Step::Event { topics, data } => StepView::Event {
            topics: topics.clone(),
            data: cut(data),
        },
        Step::Transfer { to, amount, code } => StepView::Transfer {
            to: *to,
            amount: Decimal(*amount),
            result: result_name(*code),
        },
    })
}

fn cut(cut: &Cut) -> CutBytes {
    CutBytes {
        bytes: Bytes(cut.bytes.clone()),
        size: u32::try_from(cut.len).unwrap_or(u32::MAX),
    }
}
