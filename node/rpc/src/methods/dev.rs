//! Move height and time of a chain for development.

use jsonrpsee::core::{RpcResult, async_trait};
use kumiki_consensus::{Order, Warp};
use kumiki_rpc_api::methods::DevApiServer;
use kumiki_rpc_api::{ApiError, ErrorCode, HeadView, invalid_params};
use tokio::sync::oneshot;

use super::Rpc;
use super::chain::head_view;

/// Blocks that one call makes.
const BLOCKS_MAX: u32 = 1_000;

impl Rpc {
    /// Has an order carried out.
    async fn order<T>(
        &self,
        order: impl FnOnce(oneshot::Sender<T>) -> Order,
    ) -> Result<T, ApiError> {
        let gone = || ApiError::new(ErrorCode::NotReady, "the node makes no more blocks");
        let orders = self.context.orders.as_ref().ok_or_else(gone)?;
        let (done, answer) = oneshot::channel();
        orders.send(order(done)).await.map_err(|_gone| gone())?;
        answer.await.map_err(|_gone| gone())
    }
}

#[async_trait]
impl DevApiServer for Rpc {
    async fn mine(&self, blocks: Option<u32>) -> RpcResult<HeadView> {
        let blocks = blocks.unwrap_or(1);
        if blocks == 0 || blocks > BLOCKS_MAX {
            return Err(invalid_params(format!("blocks is 1 to {BLOCKS_MAX}")));
        }
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
}
