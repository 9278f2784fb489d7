//! Do what only the developer of a chain may: move height and time, go back, set balances, act for others.

use std::time::Duration;

use jsonrpsee::core::{RpcResult, async_trait};
use kumiki_consensus::{Order, Warp};
use kumiki_protocol::{Action, Address, Encode, Gas, Hash, Height, TransactionBody, limits};
use kumiki_rpc_api::methods::DevApiServer;
use kumiki_rpc_api::{
    ApiError, Bytes, Decimal, ErrorCode, HeadView, ImpersonatedAction, TransactionReceipt,
    invalid_params,
};
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::chain::head_view;
use super::{Node, Rpc, fault};
use crate::Developer;

/// Blocks that one call makes.
const BLOCKS_MAX: u32 = 1_000;
/// More than it takes to set a balance.
const SET_BALANCE_GAS: Gas = 1_000_000;
/// Blocks that a transaction of this node may wait for.
const VALID_FOR: Height = 1_000;

impl Rpc {
    fn developer(&self) -> Result<&Developer, ApiError> {
        let developer = self.context.developer.as_ref();
        developer.ok_or_else(gone)
    }

    /// Has an order carried out.
    async fn order<T>(
        &self,
        order: impl FnOnce(oneshot::Sender<T>) -> Order,
    ) -> Result<T, ApiError> {
        let (done, answer) = oneshot::channel();
        let orders = &self.developer()?.orders;
        orders.send(order(done)).await.map_err(|_stopped| gone())?;
        answer.await.map_err(|_stopped| gone())
    }

    async fn rewind(&self, to: Height) -> Result<HeadView, ApiError> {
        if self
            .order(|done| Order::Rewind { to, done })
            .await?
            .is_none()
        {
            let detail = format!("the state after height {to} is gone");
            return Err(ApiError::new(ErrorCode::HeightPruned, detail));
        }
        Ok(head_view(&self.head()))
    }

    /// Has the node's own key sign these steps, and waits until they are final.
    async fn act(
        &self,
        actions: Vec<Action>,
        gas_max: Gas,
    ) -> Result<TransactionReceipt, ApiError> {
        let developer = self.developer()?;
        let _turn = developer.sending.lock().await;
        let sender = developer.key.public_key();
        let address = Address::of_account(&sender);
        let nonce = self.context.mempool.next_nonce(&address);
        let parameters = &self.context.genesis.parameters;
        let body = TransactionBody {
            version: TransactionBody::current_version(),
            genesis_hash: self.genesis_hash,
            sender,
            nonce: nonce.map_err(|error| fault(&error))?,
            gas_limit: gas_max.min(parameters.block_gas_max),
            gas_price: parameters.gas_price_min,
            valid_until: self.head().height.saturating_add(VALID_FOR),
            actions,
        };
        let transaction = Bytes(body.sign(&developer.key).encode());
        let deadline = Instant::now() + Duration::from_millis(self.limits.wait_ms);
        self.submit_until(deadline, transaction).await
    }
}

impl Node {
    /// The height below the newest `blocks` blocks that have transactions.
    fn height_below(&self, blocks: u32) -> Result<Height, ApiError> {
        let mut found = 0;
        for height in (1..=self.head().height).rev() {
            if self.header(height)?.transactions_count > 0 {
                found += 1;
            }
            if found == blocks {
                return Ok(height - 1);
            }
        }
        let detail = format!("{blocks} blocks with transactions are to go, and there are {found}");
        Err(ApiError::new(ErrorCode::HeightUnknown, detail))
    }
}

fn gone() -> ApiError {
    ApiError::new(ErrorCode::NotReady, "the node makes no more blocks")
}

fn check_count(blocks: Option<u32>) -> RpcResult<u32> {
    match blocks.unwrap_or(1) {
        blocks @ 1..=BLOCKS_MAX => Ok(blocks),
        _ => Err(invalid_params(format!("blocks is 1 to {BLOCKS_MAX}"))),
    }
}

#[async_trait]
impl DevApiServer for Rpc {
    async fn mine(&self, blocks: Option<u32>) -> RpcResult<HeadView> {
        let blocks = check_count(blocks)?;
        let _tip = self.order(|done| Order::Mine { blocks, done }).await?;
        Ok(head_view(&self.head()))
    }

    async fn warp(&self, by_ms: Option<u64>, to_ms: Option<u64>) -> RpcResult<HeadView> {
        let to = match (by_ms, to_ms) {
            (Some(ms), None) => Warp::By(ms),
            (None, Some(ms)) => Warp::To(ms),
            _ => return Err(invalid_params("give one of byMs and toMs")),
        };
        if self.order(|done| Order::Warp { to, done }).await?.is_none() {
            let code = ErrorCode::TimeOutOfRange;
            let head = self.head();
            let what = format!("the head's time is {} ms", head.time_ms);
            return Err(ApiError::new(code, what).into());
        }
        Ok(head_view(&self.head()))
    }

    fn snapshot(&self) -> RpcResult<HeadView> {
        Ok(head_view(&self.head()))
    }

    async fn revert(&self, hash: Hash) -> RpcResult<HeadView> {
        let height = self.context.storage.height_of(&hash);
        let height = height.map_err(|error| fault(&error))?.ok_or_else(|| {
            let detail = "the chain has no block with this hash, or no more";
            ApiError::new(ErrorCode::BlockUnknown, detail)
        })?;
        Ok(self.rewind(height).await?)
    }

    async fn undo(&self, blocks: Option<u32>) -> RpcResult<HeadView> {
        let blocks = check_count(blocks)?;
        let height = self.read(&self.reads, move |node| node.height_below(blocks));
        Ok(self.rewind(height.await?).await?)
    }

    async fn reset(&self) -> RpcResult<HeadView> {
        Ok(self.rewind(0).await?)
    }

    async fn set_balance(
        &self,
        account: Address,
        balance: Decimal,
    ) -> RpcResult<TransactionReceipt> {
        let balance = balance.0;
        if balance > limits::SET_BALANCE_MAX {
            return Err(invalid_params(format!(
                "balance is at most {}",
                limits::SET_BALANCE_MAX
            )));
        }
        let actions = vec![Action::SetBalance { account, balance }];
        Ok(self.act(actions, SET_BALANCE_GAS).await?)
    }

    async fn impersonate(
        &self,
        account: Address,
        actions: Vec<ImpersonatedAction>,
    ) -> RpcResult<TransactionReceipt> {
        let first = Action::Impersonate { account };
        let steps = actions.into_iter().map(Action::from);
        let actions = std::iter::once(first).chain(steps).collect();
        Ok(self.act(actions, self.limits.simulation_gas).await?)
    }
}
