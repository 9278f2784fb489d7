//! Answer about contracts and their code.

use std::sync::Arc;

use jsonrpsee::core::{RpcResult, async_trait};
use kumiki_abi::METADATA_SECTION;
use kumiki_abi::metadata::Metadata;
use kumiki_executor::VALIDATORS_ABI;
use kumiki_protocol::{Address, ContractRecord, Hash, Height, VALIDATORS_CONTRACT, state_key};
use kumiki_rpc_api::methods::ContractApiServer;
use kumiki_rpc_api::{
    ApiError, Bytes, ContractAbi, ContractCode, ContractView, Decimal, ErrorCode, invalid_params,
};
use kumiki_state::StateReader;
use kumiki_storage::Snapshot;

use super::{Rpc, account_in, fault, lost, read_record};
use crate::text::plain;

#[async_trait]
impl ContractApiServer for Rpc {
    fn contract(&self, address: Address, at: Option<Height>) -> RpcResult<ContractView> {
        let state = self.state_at(at)?;
        let contract = contract_in(&state, &address)?;
        let code_size = match address {
            VALIDATORS_CONTRACT => 0,
            _ => code_of(&state, &contract)?.len(),
        };
        Ok(ContractView {
            address,
            code_hash: contract.code_hash,
            code_size: u32::try_from(code_size).unwrap_or(u32::MAX),
            admin: contract.admin,
            balance: Decimal(account_in(&state, &address)?.balance),
            height: state.height(),
        })
    }

    fn contract_abi(&self, address: Address, at: Option<Height>) -> RpcResult<ContractAbi> {
        let state = self.state_at(at)?;
        let contract = contract_in(&state, &address)?;
        if address == VALIDATORS_CONTRACT {
            let abi = serde_json::from_str(VALIDATORS_ABI).map_err(|error| fault(&error))?;
            return Ok(ContractAbi {
                code_hash: contract.code_hash,
                abi,
            });
        }
        let code = code_of(&state, &contract)?;
        let missing = |detail: String| ApiError::new(ErrorCode::AbiMissing, detail);
        let section = custom_section(&code, METADATA_SECTION)
            .ok_or_else(|| missing(format!("the code of {address} has no such section")))?;
        let abi: Metadata = serde_json::from_slice(section).map_err(|error| {
            missing(format!(
                "the section is malformed: {}",
                plain(&error.to_string())
            ))
        })?;
        Ok(ContractAbi {
            code_hash: contract.code_hash,
            abi,
        })
    }

    fn contract_code(
        &self,
        address: Option<Address>,
        code_hash: Option<Hash>,
        at: Option<Height>,
    ) -> RpcResult<ContractCode> {
        let state = self.state_at(at)?;
        let code_hash = match (address, code_hash) {
            (Some(address), None) => contract_in(&state, &address)?.code_hash,
            (None, Some(hash)) => hash,
            (Some(_), Some(_)) | (None, None) => {
                return Err(invalid_params("give either address or codeHash"));
            }
        };
        let code = state.code(&code_hash).map_err(|error| fault(&error))?;
        let code = code.ok_or_else(|| {
            ApiError::new(
                ErrorCode::CodeUnknown,
                format!("no code with hash {code_hash} at height {}", state.height()),
            )
        })?;
        Ok(ContractCode {
            code_hash,
            code: Bytes(code.to_vec()),
        })
    }
}

/// The contract at `address`, which must exist. A system contract is native: it has no code, and no hash of it.
pub(super) fn contract_in(state: &Snapshot, address: &Address) -> Result<ContractRecord, ApiError> {
    if *address == VALIDATORS_CONTRACT {
        return Ok(ContractRecord {
            code_hash: Hash::ZERO,
            admin: None,
        });
    }
    read_record(state, &state_key::contract(address))?.ok_or_else(|| {
        ApiError::new(
            ErrorCode::ContractUnknown,
            format!(
                "there is no contract {address} at height {}",
                state.height()
            ),
        )
    })
}

fn code_of(state: &Snapshot, contract: &ContractRecord) -> Result<Arc<[u8]>, ApiError> {
    state
        .code(&contract.code_hash)
        .map_err(|error| fault(&error))?
        .ok_or_else(|| lost("code of a contract"))
}

/// The first custom section called `name` of a Wasm module. The module was validated when it was deployed;
/// this still takes any bytes.
fn custom_section<'a>(wasm: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let mut rest = wasm.strip_prefix(b"\0asm\x01\0\0\0")?;
    while let Some((id, after_id)) = rest.split_first() {
        let (size, body) = leb128_u32(after_id)?;
        let (section, after) = body.split_at_checked(usize::try_from(size).ok()?)?;
        if *id == 0 {
            let (name_size, named) = leb128_u32(section)?;
            let (found, content) = named.split_at_checked(usize::try_from(name_size).ok()?)?;
            if found == name.as_bytes() {
                return Some(content);
            }
        }
        rest = after;
    }
    None
}

fn leb128_u32(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let mut value = 0_u32;
    for (index, byte) in bytes.iter().enumerate().take(5) {
        let bits = u32::from(byte & 0x7f);
        value |= bits.checked_shl(u32::try_from(index).ok()? * 7)?;
        if byte & 0x80 == 0 {
            return Some((value, bytes.get(index + 1..)?));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_named_section_is_found_among_others() {
        let wasm = wat::parse_str(
            r#"(module (@custom "other" "x") (memory 1) (@custom "kumiki.abi" "{\22a\22}") (@custom "kumiki.abi" "2"))"#,
        )
        .unwrap();
        assert_eq!(custom_section(&wasm, "kumiki.abi"), Some(&b"{\"a\"}"[..]));
        assert_eq!(custom_section(&wasm, "kumiki"), None);
    }

    #[test]
    fn no_bytes_make_the_search_fail_otherwise_than_by_finding_nothing() {
        let wasm = wat::parse_str(r#"(module (@custom "kumiki.abi" "{}"))"#).unwrap();
        for end in 0..wasm.len() {
            assert_eq!(
                custom_section(&wasm[..end], "kumiki.abi"),
                None,
                "cut at {end}"
            );
        }
        for at in 8..wasm.len() {
            let mut wounded = wasm.clone();
            wounded[at] = 0xff;
            let _found = custom_section(&wounded, "kumiki.abi");
        }
    }
}
