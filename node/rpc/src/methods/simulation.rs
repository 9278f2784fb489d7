//! Answer what an execution would come to, on threads of its own and within a bound.

use std::sync::Arc;
use std::time::Duration;

use jsonrpsee::core::{RpcResult, async_trait};
use kumiki_executor::{BlockInput, View};
use kumiki_protocol::{
    Action, Address, Gas, Height, ResultCode, Status, TransactionBody, decode_bounded, limits,
};
use kumiki_rpc_api::methods::SimulationApiServer;
use kumiki_rpc_api::{
    ApiError, Bytes, CallSimulation, DiagnosticKind as Kind, DiagnosticView, ErrorCode,
    ReceiptView, TransactionSimulation,
};
use kumiki_state::AccessSet;
use kumiki_storage::Snapshot;
use kumiki_vm::{DiagnosticKind, Diagnostics};
use tokio::time::timeout;

use super::contract::contract_in;
use super::{Node, Rpc, fault};
use crate::blocking::run_holding;
use crate::text::{plain, plain_lines};

/// How long a simulation waits for its turn.
const TURN_MAX: Duration = Duration::from_secs(5);

impl Rpc {
    /// Runs `work` on a thread that may block, when it is its turn. The turn is over when the work is, not when the
    /// caller is gone: blocks share the machine with no more simulations than may run.
    pub(super) async fn simulate<T: Send + 'static>(
        &self,
        brings_code: bool,
        work: impl FnOnce(&Node) -> Result<T, ApiError> + Send + 'static,
    ) -> Result<T, ApiError> {
        let busy = |what: &str| ApiError::new(ErrorCode::SimulationsTooMany, what);
        let queued = Arc::clone(&self.simulations_queued)
            .try_acquire_owned()
            .map_err(|_full| busy("too many simulations wait already"))?;
        let turn = async {
            // First the right that is rarer, so that nobody waits for it in a turn.
            let code = match brings_code {
                true => Some(Arc::clone(&self.simulated_code).acquire_owned().await),
                false => None,
            };
            (code, self.simulations.turn().await)
        };
        let (code, turn) = timeout(TURN_MAX, turn)
            .await
            .map_err(|_elapsed| busy("other simulations took too long"))?;
        let code = code.transpose().map_err(|error| fault(&error))?;
        let turn = turn.map_err(|error| fault(&error))?;
        let node = Arc::clone(&self.0);
        let ran = run_holding((queued, code, turn), move || work(&node)).await;
        ran.map_err(|error| fault(&error))?
    }
}

impl Node {
    fn check_gas(&self, gas: Gas) -> Result<Gas, ApiError> {
        let max = self.limits.simulation_gas;
        if gas == 0 || gas > max {
            let detail = format!("gas is {gas}, expected 1 to {max}");
            return Err(ApiError::new(ErrorCode::GasOutOfRange, detail));
        }
        Ok(gas)
    }

    /// An unsigned transaction that may be executed for who asks, and whether it brings code.
    pub(super) fn decode_body(&self, body: &Bytes) -> Result<(TransactionBody, bool), ApiError> {
        let malformed = |detail: String| ApiError::new(ErrorCode::Malformed, detail);
        let body: TransactionBody = decode_bounded(&body.0, limits::TRANSACTION_BYTES_MAX)
            .map_err(|error| malformed(plain(&error.to_string())))?;
        body.check_form()
            .map_err(|error| malformed(error.to_string()))?;
        self.check_gas(body.gas_limit)?;
        let brings_code = body.actions.iter().any(|action| match action {
            Action::Deploy { .. } | Action::Upgrade { .. } | Action::ReplaceCode { .. } => true,
            Action::Transfer { .. }
            | Action::Call { .. }
            | Action::SetBalance { .. }
            | Action::Impersonate { .. } => false,
        });
        Ok((body, brings_code))
    }

    /// The block after the state `after`, as far as it can be known.
    pub(super) fn next_block(&self, after: &Snapshot) -> Result<BlockInput, ApiError> {
        let header = self.header(after.height())?;
        Ok(BlockInput {
            height: header.height.saturating_add(1),
            time_ms: header.time_ms,
            proposer: header.proposer,
        })
    }
}

#[async_trait]
impl SimulationApiServer for Rpc {
    async fn simulate_call(
        &self,
        contract: Address,
        input: Bytes,
        caller: Option<Address>,
        gas: Option<Gas>,
        at: Option<Height>,
    ) -> RpcResult<CallSimulation> {
        let gas = self.check_gas(gas.unwrap_or(self.limits.simulation_gas))?;
        if input.0.len() > limits::CALL_DATA_BYTES_MAX {
            let detail = format!("{} bytes of input", input.0.len());
            return Err(ApiError::new(ErrorCode::Limit, detail).into());
        }
        let answer = self.simulate(false, move |node| {
            let state = node.state_at(at)?;
            let height = state.height();
            contract_in(&state, &contract)?;
            let block = node.next_block(&state)?;
            let view = View {
                caller: caller.unwrap_or_default(),
                contract,
                input: input.0,
                gas,
            };
            let viewed = node.context.executor.view(Arc::new(state), &block, view);
            Ok((height, viewed.map_err(|error| fault(&error))?))
        });
        let (height, viewed) = answer.await?;
        let diagnostics = shown_diagnostics(&viewed.diagnostics);
        if let Some(code) = ErrorCode::of_result(viewed.outcome.code) {
            let detail = format!(
                "the view ended with {} after {} gas",
                code.name(),
                viewed.outcome.gas_used
            );
            let mut error = ApiError::new(code, detail);
            error.data.revert_data = Some(Bytes(viewed.outcome.data));
            error.data.diagnostics = diagnostics;
            return Err(error.into());
        }
        Ok(CallSimulation {
            data: Bytes(viewed.outcome.data),
            gas_used: viewed.outcome.gas_used,
            height,
            diagnostics,
        })
    }

    async fn simulate_transaction(&self, body: Bytes) -> RpcResult<TransactionSimulation> {
        let (body, brings_code) = self.decode_body(&body)?;
        let gas_limit = body.gas_limit;
        let answer = self.simulate(brings_code, move |node| {
            let state = node.state_at(None)?;
            let height = state.height();
            let block = node.next_block(&state)?;
            let simulation = node
                .context
                .executor
                .simulate(Arc::new(state), &block, &body);
            Ok((height, simulation.map_err(|error| fault(&error))?))
        });
        let (height, simulation) = answer.await?;
        if let Status::Rejected(rejection) = simulation.receipt.status {
            let detail = "the transaction would not be executed on top of the head";
            return Err(ApiError::new(rejection.into(), detail)
                .about(simulation.receipt.transaction)
                .into());
        }
        let (reads, writes) = counts(&simulation.access);
        Ok(TransactionSimulation {
            suggested_gas_limit: suggested_gas(simulation.receipt.gas_used, gas_limit),
            receipt: ReceiptView::new(&simulation.receipt, None),
            reads,
            writes,
            height,
            diagnostics: shown_diagnostics(&simulation.diagnostics),
        })
    }
}

/// A quarter more than was used, for calls that keep 1/64 back and states that change.
fn suggested_gas(used: Gas, limit: Gas) -> Gas {
    let roomy = used.saturating_add(used / 4).saturating_add(1_000);
    roomy.min(limit.max(used))
}

fn counts(access: &AccessSet) -> (u32, u32) {
    let count = |length: usize| u32::try_from(length).unwrap_or(u32::MAX);
    (count(access.reads.len()), count(access.writes.len()))
}

/// What contracts and engine said, with nothing in it that a terminal obeys.
pub(super) fn shown_diagnostics(diagnostics: &Diagnostics) -> Vec<DiagnosticView> {
    let shown = diagnostics.messages.iter().map(|one| {
        let (kind, message, callee) = match &one.kind {
            DiagnosticKind::Panic { message } => (Kind::Panic, message.clone(), None),
            DiagnosticKind::Trap { reason } => (Kind::Trap, reason.clone(), None),
            DiagnosticKind::Ended { code } => (Kind::Ended, result_name(*code), None),
            DiagnosticKind::CallFailed { callee, code } => {
                (Kind::CallFailed, result_name(*code), Some(*callee))
            }
        };
        DiagnosticView {
            kind,
            contract: one.contract,
            code_hash: one.code_hash,
            callee,
            call_depth: u32::try_from(one.call_depth).unwrap_or(u32::MAX),
            message: plain_lines(&message),
            wasm_offsets: one.wasm_offsets.clone(),
        }
    });
    shown.collect()
}

/// `ok`, or the name of the error.
pub(super) fn result_name(code: ResultCode) -> String {
    ErrorCode::of_result(code)
        .map_or("ok", ErrorCode::name)
        .to_owned()
}
