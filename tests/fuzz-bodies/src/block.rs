//! Decode blocks: as bytes come, and ones whose transactions were changed under their header.

use kumiki_protocol::{
    Block, Encode as _, ExecutedState, Hash, Header, Transaction, decode_bounded, merkle,
};
use kumiki_testkit::{Chain, Draft, account, genesis, validator};

use crate::Verdict;
use crate::choices::Choices;
use crate::encoding::{decoded, decoded_by};
use crate::transaction::action;

/// The most bytes that a chain may let its blocks have.
const BLOCK_BYTES_MAX: usize = 64 << 20;

/// Decodes a block.
///
/// # Panics
/// Where a promise is broken.
pub fn body(bytes: &[u8]) -> Verdict {
    let mut choices = Choices::new(bytes);
    match choices.byte() % 3 {
        0 => Verdict::of(held(choices.rest()).is_some()),
        1 => Verdict::of(decoded::<Header>(choices.rest(), 1_000).is_some()),
        _ => made(choices),
    }
}

/// The block that the bytes are, held to what its header says of it.
fn held(bytes: &[u8]) -> Option<Block> {
    let block = decoded_by(bytes, |bytes| Block::decode_checked(bytes, BLOCK_BYTES_MAX))?;
    let leaves: Vec<Vec<u8>> = block.transactions.iter().map(Transaction::encode).collect();
    assert_eq!(block.header.transactions_root, merkle::root(&leaves));
    assert_eq!(block.hash(), block.header.hash());
    for transaction in &block.transactions {
        assert_eq!(transaction.body.check_form(), Ok(()));
    }
    let header = block.header.encode();
    assert_eq!(
        decode_bounded::<Header>(&header, header.len()).as_ref(),
        Ok(&block.header)
    );
    Some(block)
}

fn made(mut choices: Choices<'_>) -> Verdict {
    let genesis = genesis();
    let executed = ExecutedState {
        height: choices.number(),
        state_root: Hash(choices.array()),
        state_entries: choices.number(),
        receipts_root: Hash::ZERO,
        next_validators_hash: Hash::ZERO,
    };
    let (mut chain, _first) = Chain::new(&genesis, vec![validator(0)], executed);
    let count = choices.below(5);
    let transactions = (0..count)
        .map(|nonce| {
            let nonce = u64::try_from(nonce).unwrap_or(0);
            Draft::new(&genesis, &account(1), nonce)
                .action(action(&mut choices))
                .sign()
        })
        .collect();
    let (block, _certificate) = chain.append(transactions, executed);
    let bytes = block.encode();
    let well_formed = |one: &Transaction| one.body.check_form().is_ok();
    let expected = block.transactions.iter().all(well_formed);
    let kept = held(&bytes);
    assert_eq!(kept.is_some(), expected);
    holds_in_list(&block, &mut choices);
    let changed = choices.mutated(&bytes);
    if changed != bytes
        && let Some(other) = held(&changed)
    {
        assert_ne!(other.hash(), block.hash(), "two blocks of one hash");
    }
    Verdict::of(kept.is_some())
}

/// Each transaction is proved to be in the block, and nothing else is.
fn holds_in_list(block: &Block, choices: &mut Choices<'_>) {
    let leaves: Vec<Vec<u8>> = block.transactions.iter().map(Transaction::encode).collect();
    let root = block.header.transactions_root;
    let at = choices.below(leaves.len());
    let (Some(proof), Some(leaf)) = (merkle::prove(&leaves, at), leaves.get(at)) else {
        assert!(leaves.is_empty());
        return;
    };
    assert!(merkle::verify(&root, leaf, &proof));
    let other = choices.mutated(leaf);
    assert_eq!(merkle::verify(&root, &other, &proof), other == *leaf);
    let changed = choices.mutated(&proof.encode());
    if let Ok(mut mutant) = decode_bounded::<merkle::ListProof>(&changed, changed.len()) {
        // The root binds a place among a count; the count is the header's.
        mutant.count = block.header.transactions_count;
        assert_eq!(merkle::verify(&root, leaf, &mutant), mutant == proof);
    }
}
