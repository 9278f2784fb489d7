//! Answer about the interface, fees and the node itself.

use jsonrpsee::core::{RpcResult, async_trait};
use kumiki_protocol::PROTOCOL_VERSION;
use kumiki_rpc_api::methods::{FeeApiServer, NodeApiServer, RpcApiServer};
use kumiki_rpc_api::{
    API_VERSION, ApiVersion, Decimal, FeePrice, Health, Limits, NodeVersion, OPENRPC_VERSION,
};
use serde_json::value::RawValue;

use super::Rpc;

#[async_trait]
impl RpcApiServer for Rpc {
    fn discover(&self) -> RpcResult<Box<RawValue>> {
        Ok(self.document.clone())
    }

    fn api_version(&self) -> RpcResult<ApiVersion> {
        Ok(ApiVersion {
            api: API_VERSION.to_owned(),
            openrpc: OPENRPC_VERSION.to_owned(),
        })
    }

    fn limits(&self) -> RpcResult<Limits> {
        Ok(self.limits)
    }
}

#[async_trait]
impl FeeApiServer for Rpc {
    fn fee_price(&self) -> RpcResult<FeePrice> {
        let minimum = Decimal(self.context.genesis.parameters.gas_price_min.into());
        Ok(FeePrice {
            gas_price: minimum,
            minimum,
        })
    }
}

#[async_trait]
impl NodeApiServer for Rpc {
    fn health(&self) -> RpcResult<Health> {
        let head = self.head();
        Ok(Health {
            status: self.status(),
            height: head.height,
            head_time_ms: head.time_ms,
            pending_transactions: self.context.mempool.size().count as u64,
        })
    }

    fn node_version(&self) -> RpcResult<NodeVersion> {
        Ok(NodeVersion {
            name: "kumiki".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            protocol_version: PROTOCOL_VERSION,
        })
    }
}
