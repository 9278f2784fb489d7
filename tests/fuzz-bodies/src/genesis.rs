//! Read a genesis: as JSON, as SCALE bytes, and one with fields changed; what passes the check can start a chain.

use kumiki_executor::genesis_changes;
use kumiki_protocol::{
    AccountRecord, Address, ChainKind, Decode as _, Encode as _, Genesis, GenesisAccount,
    PublicKey, dev_validator_key, limits, state_key,
};
use kumiki_state::{EmptyState, Tree};
use kumiki_testkit::{account, genesis, validator};

use crate::Verdict;
use crate::choices::Choices;
use crate::encoding::decoded;

/// Accounts and validators of a genesis whose first state is made here, at most.
const ENTRIES_MAX: usize = 2_000;

/// Reads and checks a genesis.
///
/// # Panics
/// Where a promise is broken.
pub fn body(bytes: &[u8]) -> Verdict {
    let mut choices = Choices::new(bytes);
    let genesis = match choices.byte() % 4 {
        0 => serde_json::from_slice(choices.rest()).ok(),
        1 => decoded::<Genesis>(choices.rest(), limits::GENESIS_BYTES_MAX),
        2 => serde_json::from_slice(&choices.mutated(&json(&genesis()))).ok(),
        _ => Some(changed(choices)),
    };
    match genesis {
        Some(genesis) => held(&genesis),
        None => Verdict::Refused,
    }
}

fn json(genesis: &Genesis) -> Vec<u8> {
    serde_json::to_vec(genesis).expect("a genesis has a JSON form")
}

/// Holds a genesis to one identity in both spellings, and to a first state where it passes the check.
fn held(genesis: &Genesis) -> Verdict {
    let again: Genesis =
        serde_json::from_slice(&json(genesis)).expect("what was written is read again");
    assert_eq!(again, *genesis);
    let bytes = genesis.encode();
    let decoded = decoded::<Genesis>(&bytes, limits::GENESIS_BYTES_MAX);
    assert_eq!(decoded.is_some(), bytes.len() <= limits::GENESIS_BYTES_MAX);
    assert_eq!(again.hash(), genesis.hash());
    let checked = genesis.check();
    if checked.is_ok() {
        starts(genesis);
    }
    Verdict::of(checked.is_ok())
}

fn starts(genesis: &Genesis) {
    let set = genesis.validator_set().expect("validators that differ");
    assert!(set.keys().iter().all(PublicKey::is_validator_key));
    let bounds = &genesis.parameters;
    assert!(bounds.block_gas_max <= limits::BLOCK_GAS_MAX && bounds.gas_price_min > 0);
    assert!(bounds.epoch_blocks >= limits::EPOCH_BLOCKS_MIN);
    let published = dev_validator_key().public_key();
    assert!(genesis.kind == ChainKind::Dev || !genesis.validators.contains(&published));
    if genesis.accounts.len() + genesis.validators.len() > ENTRIES_MAX {
        return;
    }
    let changes = genesis_changes(genesis);
    let tree = Tree::empty().update(&changes, &EmptyState);
    let entries = tree.expect("keys that fit").entries();
    // The stakes of validators and the set itself are two entries more.
    let expected = genesis.accounts.len() + genesis.validators.len() + 2;
    assert_eq!(usize::try_from(entries), Ok(expected));
    let supply = genesis
        .accounts
        .iter()
        .map(|one| one.address)
        .chain([kumiki_protocol::VALIDATORS_CONTRACT])
        .try_fold(0_u128, |sum, address| {
            let record = changes
                .entries
                .get(&state_key::account(&address))?
                .clone()?;
            let record = AccountRecord::decode(&mut record.as_slice()).ok()?;
            sum.checked_add(record.balance)
        });
    let promised = genesis
        .accounts
        .iter()
        .try_fold(genesis.stakes().expect("stakes that fit"), |sum, one| {
            sum.checked_add(one.balance)
        });
    assert!(supply.is_some());
    assert_eq!(supply, promised, "tokens appear or vanish at genesis");
}

/// A valid genesis with some of its fields changed.
fn changed(mut choices: Choices<'_>) -> Genesis {
    let mut genesis = genesis();
    while choices.are_left() {
        let parameters = &mut genesis.parameters;
        match choices.byte() % 12 {
            0 => genesis.chain_id = String::from_utf8_lossy(choices.bytes(40)).into_owned(),
            1 => genesis.kind = ChainKind::Live,
            2 => genesis.time_ms = choices.number(),
            3 => genesis.validators.push(key(&mut choices)),
            4 => drop(genesis.validators.pop()),
            5 => genesis.accounts.push(one_account(&mut choices)),
            6 => drop(genesis.accounts.pop()),
            7 => parameters.execution_lag = choices.byte() % 32,
            8 => parameters.epoch_blocks = u32::try_from(choices.number()).unwrap_or(u32::MAX),
            9 => parameters.validator_stake = large(&mut choices),
            10 => parameters.block_gas_max = choices.number(),
            _ => parameters.block_bytes_max = u32::try_from(choices.number()).unwrap_or(8 << 20),
        }
    }
    genesis
}

fn large(choices: &mut Choices<'_>) -> u128 {
    u128::from(choices.number()) << (choices.byte() % 65)
}

fn key(choices: &mut Choices<'_>) -> PublicKey {
    match choices.byte() {
        255 => PublicKey(choices.array()),
        254 => dev_validator_key().public_key(),
        // The point that anybody can sign for.
        253 => PublicKey(std::array::from_fn(|place| u8::from(place == 0))),
        number => validator(number).public_key(),
    }
}

fn one_account(choices: &mut Choices<'_>) -> GenesisAccount {
    let address = match choices.byte() {
        255 => kumiki_protocol::VALIDATORS_CONTRACT,
        254 => Address::of_account(&dev_validator_key().public_key()),
        253 => Address(choices.array()),
        number => account(number).address,
    };
    GenesisAccount {
        address,
        balance: large(choices),
    }
}
