//! Answer about the interface, fees and the node itself.

use jsonrpsee::core::{RpcResult, async_trait};
use kumiki_executor::validators_at;
use kumiki_protocol::{PROTOCOL_VERSION, ValidatorSet};
use kumiki_rpc_api::methods::{FeeApiServer, NodeApiServer, RpcApiServer};
use kumiki_rpc_api::{
    API_VERSION, ApiError, ApiVersion, Decimal, FeePrice, Health, Limits, NodeRole, NodeStatus,
    NodeVersion, OPENRPC_VERSION, PeerView,
};
use serde_json::value::RawValue;

use super::{Rpc, fault, lost};

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

impl Rpc {
    /// The validators of the block after the newest state's.
    fn validators(&self) -> Result<ValidatorSet, ApiError> {
        let state = self.state_at(None)?;
        let height = state.height();
        let parameters = &self.context.genesis.parameters;
        validators_at(&state, parameters, height, height.saturating_add(1))
            .map_err(|error| fault(&error))?
            .ok_or_else(|| lost("validator set of the state"))
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

    fn node_status(&self) -> RpcResult<NodeStatus> {
        let head = self.head();
        let context = &self.context;
        let next = head.height.saturating_add(1);
        let validators = self.validators()?;
        let view = context.network.as_ref().map(|view| view.borrow().clone());
        let role = match &view {
            None => NodeRole::Solo,
            Some(_) if validators.position(&context.key).is_some() => NodeRole::Validator,
            Some(_) => NodeRole::FullNode,
        };
        let view = view.unwrap_or_default();
        let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        let connected = view.peers.iter().filter(|peer| peer.validator);
        Ok(NodeStatus {
            key: context.key,
            peer_id: view.peer_id,
            role,
            listen_addresses: view.listen_addresses,
            epoch: context.genesis.parameters.epoch_of(next),
            validators: count(validators.keys().len()),
            connected_validators: count(connected.count()),
            peers: count(view.peers.len()),
            height: head.height,
        })
    }

    fn node_peers(&self) -> RpcResult<Vec<PeerView>> {
        let view = self.context.network.as_ref();
        Ok(view.map_or_else(Vec::new, |view| view.borrow().peers.clone()))
    }

    fn node_version(&self) -> RpcResult<NodeVersion> {
        Ok(NodeVersion {
            name: "kumiki".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            protocol_version: PROTOCOL_VERSION,
        })
    }
}
