//! Hold the protocol's own votes, certificates and blocks to the engine's.

use commonware_codec::{Copying, Decode as _, Encode as _, EncodeSize as _};
use commonware_consensus::simplex::types::{
    Finalization, Finalize, Notarize, Nullify, Proposal as EngineProposal,
};
use commonware_consensus::types::Epoch;
use commonware_consensus::types::{Round, View};
use commonware_parallel::Sequential;
use kumiki_protocol::{CertificateError, Hash, Proposal, ValidatorSet, Vote};
use kumiki_testkit::{Draft, account, genesis, validator};

use super::*;

fn keys() -> Vec<SecretKey> {
    let mut keys: Vec<SecretKey> = (0..4).map(validator).collect();
    keys.sort_by_key(SecretKey::public_key);
    keys
}

fn validators() -> ValidatorSet {
    ValidatorSet::new(keys().iter().map(SecretKey::public_key).collect()).unwrap()
}

fn schemes(genesis_hash: &Hash) -> Vec<Scheme> {
    let participants = participants(&validators()).unwrap();
    keys()
        .iter()
        .map(|key| scheme::scheme(genesis_hash, participants.clone(), key))
        .collect()
}

/// Numbers of one, two and ten bytes as varints.
const PROPOSALS: [Proposal; 3] = [
    Proposal {
        epoch: 0,
        view: 1,
        parent_view: 0,
        block: Hash([7; 32]),
    },
    Proposal {
        epoch: 127,
        view: 128,
        parent_view: 300,
        block: Hash([8; 32]),
    },
    Proposal {
        epoch: u64::MAX,
        view: u64::MAX - 1,
        parent_view: 1 << 63,
        block: Hash([9; 32]),
    },
];

fn engine_proposal(proposal: &Proposal) -> EngineProposal<Digest> {
    EngineProposal::new(
        Round::new(Epoch::new(proposal.epoch), View::new(proposal.view)),
        View::new(proposal.parent_view),
        digest_of(&proposal.block),
    )
}

fn signature(bytes: &[u8]) -> kumiki_protocol::Signature {
    kumiki_protocol::Signature(bytes.try_into().unwrap())
}

#[test]
fn every_kind_of_vote_is_signed_over_the_bytes_that_the_protocol_states() {
    let genesis_hash = genesis().hash();
    let schemes = schemes(&genesis_hash);
    for (scheme, key) in schemes.iter().zip(keys()) {
        for proposal in PROPOSALS {
            let theirs = engine_proposal(&proposal);
            let notarize = Notarize::sign(scheme, theirs.clone()).unwrap();
            let finalize = Finalize::sign(scheme, theirs.clone()).unwrap();
            let nullify = Nullify::sign::<Digest>(scheme, theirs.round).unwrap();
            let (epoch, view) = (proposal.epoch, proposal.view);
            let votes = [
                (Vote::Notarize(proposal), notarize.attestation),
                (Vote::Finalize(proposal), finalize.attestation),
                (Vote::Nullify { epoch, view }, nullify.attestation),
            ];
            for (vote, attestation) in votes {
                let signed = attestation.signature.get().unwrap();
                let message = vote.sign_bytes(&genesis_hash);
                let verdict = key
                    .public_key()
                    .verify(&message, &signature(signed.as_ref()));
                assert_eq!(verdict, Ok(()), "{vote:?}");
                assert_eq!(key.sign(&message), signature(signed.as_ref()));
            }
        }
    }
}

fn finalization(
    genesis_hash: &Hash,
    proposal: &Proposal,
    signers: &[usize],
) -> Finalization<Scheme, Digest> {
    let schemes = schemes(genesis_hash);
    let votes: Vec<Finalize<Scheme, Digest>> = signers
        .iter()
        .map(|index| Finalize::sign(&schemes[*index], engine_proposal(proposal)).unwrap())
        .collect();
    Finalization::from_finalizes(
        &schemes[0],
        commonware_utils::non_empty![@votes.iter()],
        &Sequential,
    )
    .unwrap()
}

#[test]
fn a_finalization_of_the_engine_is_a_certificate_of_the_protocol() {
    let genesis_hash = genesis().hash();
    for proposal in PROPOSALS {
        for signers in [&[0, 1, 2][..], &[1, 2, 3], &[0, 1, 2, 3]] {
            let theirs = finalization(&genesis_hash, &proposal, signers);
            let ours = scheme::certificate(&theirs).unwrap();
            assert_eq!(ours.proposal, proposal);
            let positions: Vec<usize> = ours
                .signatures
                .iter()
                .map(|one| usize::from(one.validator))
                .collect();
            assert_eq!(positions, signers);
            assert_eq!(ours.verify(&genesis_hash, &validators()), Ok(()));
            // On another chain the same signatures prove nothing.
            let other = ours.verify(&Hash([1; 32]), &validators());
            assert!(matches!(other, Err(CertificateError::Signature { .. })));
        }
    }
}

#[test]
fn a_block_travels_whole_and_an_altered_one_does_not_decode() {
    let genesis = genesis();
    let transactions: Vec<_> = (0..3)
        .map(|nonce| Draft::new(&genesis, &account(0), nonce).sign())
        .collect();
    let (mut chain, first) =
        kumiki_testkit::Chain::new(&genesis, vec![validator(0)], first_state());
    let (block, _certificate) = chain.append(transactions, first.header.executed);
    let ordered = OrderedBlock::new(Arc::new(block.clone()));
    let bytes = ordered.encode();
    assert_eq!(bytes.len(), ordered.encode_size());
    let decode = |bytes: &[u8], max: usize| OrderedBlock::decode_cfg(Copying(bytes), &max);
    let again = decode(&bytes, 1 << 20).unwrap();
    assert_eq!(**again.block(), block);
    assert_eq!(again.encode(), bytes);
    assert!(
        decode(&bytes, bytes.len() - 5).is_err(),
        "larger than may be"
    );
    // A header with other transactions has the digest of the right block.
    let mut swapped = block;
    swapped.transactions.swap(0, 1);
    let swapped = OrderedBlock::new(Arc::new(swapped)).encode();
    assert!(decode(&swapped, 1 << 20).is_err());
    for length in 0..bytes.len() {
        assert!(decode(&bytes[..length], 1 << 20).is_err(), "{length} bytes");
    }
}

fn first_state() -> kumiki_protocol::ExecutedState {
    kumiki_protocol::ExecutedState {
        height: 0,
        state_root: Hash::ZERO,
        state_entries: 0,
        receipts_root: Hash::ZERO,
        next_validators_hash: validators().hash(),
    }
}
