//! Answer about chain, blocks and accounts.

use jsonrpsee::core::{RpcResult, SubscriptionResult, async_trait};
use jsonrpsee::{Extensions, PendingSubscriptionSink};
use kumiki_executor::validators_at;
use kumiki_protocol::{Address, Hash, Header, Height, PROTOCOL_VERSION};
use kumiki_rpc_api::methods::{AccountApiServer, ChainApiServer};
use kumiki_rpc_api::{
    AccountView, ApiError, BlockView, CertificateView, ChainInfo, ChainParameters, Decimal,
    EpochEndView, ErrorCode, FinalityView, GenesisView, HeadView, HeaderView, NextNonce,
    SignedHeader, TransactionView, TransactionsIn, invalid_params,
};
use kumiki_storage::Tip;

use super::stream::turn_of;
use super::{Node, Rpc, account_in, fault, lost, stream};

impl Node {
    /// A header that must be there, with its certificate if it has its own.
    pub(super) fn signed_header(&self, height: Height) -> Result<SignedHeader, ApiError> {
        let storage = &self.context.storage;
        let header = storage
            .header(height)
            .map_err(|error| fault(&error))?
            .ok_or_else(|| pruned(height))?;
        Ok(SignedHeader {
            header: HeaderView::from(&header),
            certificate: self.certificate(height)?,
        })
    }

    fn certificate(&self, height: Height) -> Result<Option<CertificateView>, ApiError> {
        let certificate = self.context.storage.certificate(height);
        let certificate = certificate.map_err(|error| fault(&error))?;
        Ok(certificate.as_ref().map(CertificateView::from))
    }

    /// The height that `height` or `hash` names; the head when neither is given.
    fn named_height(&self, height: Option<Height>, hash: Option<Hash>) -> RpcResult<Height> {
        let Some(hash) = hash else {
            return Ok(self.check_height(height)?);
        };
        if height.is_some() {
            return Err(invalid_params("give height or hash, not both"));
        }
        let found = self.context.storage.height_of(&hash);
        let unknown =
            || ApiError::new(ErrorCode::BlockUnknown, format!("no block has hash {hash}"));
        let height = found.map_err(|error| fault(&error))?.ok_or_else(unknown)?;
        Ok(self
            .check_height(Some(height))
            .map_err(|_not_yet| unknown())?)
    }

    /// The header at `height`, for a subscription.
    pub(super) fn header(&self, height: Height) -> Result<Header, ApiError> {
        let header = self.context.storage.header(height);
        header
            .map_err(|error| fault(&error))?
            .ok_or_else(|| pruned(height))
    }
}

#[async_trait]
impl ChainApiServer for Rpc {
    fn chain_info(&self) -> RpcResult<ChainInfo> {
        let genesis = &self.context.genesis;
        let state = self.state_at(None)?;
        let height = state.height();
        let next = height.saturating_add(1);
        let validators = validators_at(&state, &genesis.parameters, height, next)
            .map_err(|error| fault(&error))?
            .ok_or_else(|| lost("validator set of the state"))?;
        let earliest_state = self.context.storage.oldest_state();
        Ok(ChainInfo {
            chain_id: genesis.chain_id.clone(),
            genesis_hash: self.genesis_hash,
            kind: genesis.kind,
            protocol_version: PROTOCOL_VERSION,
            certificate_scheme: genesis.certificate_scheme.clone(),
            validators: validators.keys().to_vec(),
            parameters: ChainParameters::from(genesis.as_ref()),
            head: head_view(&self.head()),
            earliest_height: self.earliest()?,
            earliest_state_height: earliest_state.map_err(|error| fault(&error))?,
        })
    }

    fn block(
        &self,
        height: Option<Height>,
        hash: Option<Hash>,
        transactions: Option<TransactionsIn>,
    ) -> RpcResult<BlockView> {
        let height = self.named_height(height, hash)?;
        let block = self.context.storage.block(height);
        let block = block
            .map_err(|error| fault(&error))?
            .ok_or_else(|| pruned(height))?;
        let full = transactions.unwrap_or_default() == TransactionsIn::Full;
        Ok(BlockView {
            header: HeaderView::from(&block.header),
            certificate: self.certificate(height)?,
            transaction_hashes: block.transactions.iter().map(|one| one.hash()).collect(),
            transactions: full.then(|| {
                block
                    .transactions
                    .iter()
                    .map(TransactionView::from)
                    .collect()
            }),
        })
    }

    fn header(&self, height: Option<Height>, hash: Option<Hash>) -> RpcResult<SignedHeader> {
        let height = self.named_height(height, hash)?;
        Ok(self.signed_header(height)?)
    }

    fn finality(&self, height: Height) -> RpcResult<FinalityView> {
        let height = self.check_height(Some(height))?;
        Ok(self.finality_of(height)?)
    }

    fn epoch_end(&self, epoch: u64) -> RpcResult<EpochEndView> {
        Ok(self.end_of_epoch(epoch)?)
    }

    fn genesis(&self) -> RpcResult<GenesisView> {
        Ok(GenesisView::from(self.context.genesis.as_ref()))
    }

    async fn subscribe_heads(
        &self,
        pending: PendingSubscriptionSink,
        extensions: &Extensions,
        from: Option<Height>,
    ) -> SubscriptionResult {
        let turn = turn_of(extensions)?;
        stream::heads(self.clone(), pending, turn, from).await
    }
}

#[async_trait]
impl AccountApiServer for Rpc {
    fn account(&self, address: Address, at: Option<Height>) -> RpcResult<AccountView> {
        let state = self.state_at(at)?;
        let account = account_in(&state, &address)?;
        Ok(AccountView {
            address,
            balance: Decimal(account.balance),
            nonce: account.nonce,
            height: state.height(),
        })
    }

    fn next_nonce(&self, address: Address) -> RpcResult<NextNonce> {
        let executed = account_in(&self.state_at(None)?, &address)?.nonce;
        let waiting = self.context.mempool.next_nonce(&address);
        Ok(NextNonce {
            nonce: waiting.map_err(|error| fault(&error))?.max(executed),
            executed,
        })
    }
}

pub(super) fn head_view(tip: &Tip) -> HeadView {
    HeadView {
        height: tip.height,
        hash: tip.block_hash,
        time_ms: tip.time_ms,
        state_root: tip.state_root,
        state_entries: tip.state_entries,
    }
}

pub(super) fn pruned(height: Height) -> ApiError {
    ApiError::new(
        ErrorCode::HeightPruned,
        format!("the block at height {height} is not kept"),
    )
}
