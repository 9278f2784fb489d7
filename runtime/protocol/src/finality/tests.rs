//! A proof holds from a trusted start over changing validators, and anything altered in it is refused.

use super::*;
use crate::{Block, ChainKind, ExecutedState, Proposal, PublicKey, SecretKey};

const EPOCH_BLOCKS: u32 = 8;

/// A chain of headers whose validators change with every epoch.
struct Chain {
    genesis: Genesis,
    headers: Vec<Header>,
}

/// The keys of an epoch: four of them, one new and one gone each time.
fn keys(epoch: u64) -> Vec<SecretKey> {
    (epoch..epoch + 4)
        .map(|seed| SecretKey::from_seed([u8::try_from(seed).unwrap(); 32]))
        .collect()
}

fn set(epoch: u64) -> ValidatorSet {
    ValidatorSet::new(keys(epoch).iter().map(SecretKey::public_key).collect()).unwrap()
}

fn chain(blocks: u64) -> Chain {
    let genesis = Genesis {
        chain_id: "finality".to_owned(),
        kind: ChainKind::Live,
        time_ms: 1,
        certificate_scheme: "ed25519".to_owned(),
        validators: set(0).keys().to_vec(),
        accounts: Vec::new(),
        parameters: Parameters {
            execution_lag: 1,
            epoch_blocks: EPOCH_BLOCKS,
            validator_stake: 1,
            gas_price_min: 1,
            block_gas_max: 10_000_000,
            block_bytes_max: 1 << 20,
        },
    };
    let mut parent = Hash::ZERO;
    let headers = (0..blocks)
        .map(|height| {
            let header = Header {
                version: PROTOCOL_VERSION,
                genesis_hash: genesis.hash(),
                height,
                parent,
                time_ms: height,
                proposer: PublicKey([0; 32]),
                transactions_root: Block::transactions_root(&[]),
                transactions_count: 0,
                executed: ExecutedState {
                    height: height.saturating_sub(1),
                    state_root: Hash([1; 32]),
                    state_entries: 1,
                    receipts_root: Hash::ZERO,
                    next_validators_hash: set(genesis.parameters.epoch_of(height + 1)).hash(),
                },
            };
            parent = header.hash();
            header
        })
        .collect();
    Chain { genesis, headers }
}

impl Chain {
    fn header(&self, height: u64) -> &Header {
        &self.headers[usize::try_from(height).unwrap()]
    }

    fn certificate(&self, height: u64) -> Certificate {
        let epoch = self.genesis.parameters.epoch_of(height);
        let keys = keys(epoch);
        let proposal = Proposal {
            epoch,
            view: height + 3,
            parent_view: 0,
            block: self.header(height).hash(),
        };
        let signers: Vec<&SecretKey> = keys.iter().skip(1).collect();
        Certificate::sign(&self.genesis.hash(), proposal, &set(epoch), &signers)
    }

    fn proof(&self, from: u64, to: u64) -> FinalityProof {
        FinalityProof {
            headers: (from..=to)
                .map(|height| self.header(height).clone())
                .collect(),
            certificate: self.certificate(to),
        }
    }

    fn end(&self, epoch: u64) -> EpochEnd {
        let last = self.genesis.parameters.last_height(epoch);
        EpochEnd {
            header: self.header(last).clone(),
            certificate: self.certificate(last),
            next_validators: set(epoch + 1),
        }
    }
}

#[test]
fn finality_is_verified_from_genesis_over_epochs_whose_validators_all_change() {
    let chain = chain(80);
    let mut trusted = TrustedValidators::of_genesis(&chain.genesis).unwrap();
    for epoch in 0..9 {
        assert_eq!(trusted.epoch(), epoch);
        let first = chain.genesis.parameters.first_height(epoch);
        let proof = chain.proof(first + 1, first + 4);
        assert_eq!(trusted.verify(&proof).unwrap().height, first + 1);
        trusted.enter_next(&chain.end(epoch)).unwrap();
    }
    assert_eq!(trusted.validators(), &set(9));
}

#[test]
fn a_trusted_header_names_the_validators_after_it() {
    let chain = chain(40);
    for (height, epoch) in [(12, 1), (15, 2)] {
        let header = chain.header(height);
        let trusted =
            TrustedValidators::after_header(&chain.genesis, &header.hash(), header, set(epoch));
        let trusted = trusted.unwrap();
        let next = chain.proof(height + 1, height + 1);
        assert_eq!(trusted.verify(&next).unwrap().height, height + 1);
        let others =
            TrustedValidators::after_header(&chain.genesis, &header.hash(), header, set(epoch + 1));
        assert_eq!(others, Err(FinalityError::Validators));
        let another =
            TrustedValidators::after_header(&chain.genesis, &Hash([7; 32]), header, set(epoch));
        assert!(matches!(another, Err(FinalityError::NotTrusted { .. })));
    }
}

#[test]
fn a_proof_with_anything_altered_shows_nothing() {
    let chain = chain(40);
    let trusted = TrustedValidators::of_genesis(&chain.genesis).unwrap();
    let sound = chain.proof(2, 5);
    trusted.verify(&sound).unwrap();
    let alterations: [(&str, fn(&mut FinalityProof)); 11] = [
        ("no header", |proof| proof.headers.clear()),
        ("a gap", |proof| {
            proof.headers.remove(1);
        }),
        ("an altered first header", |proof| {
            proof.headers[0].executed.state_root = Hash([9; 32]);
        }),
        ("an altered last header", |proof| {
            proof.headers[3].time_ms += 1;
        }),
        ("another chain", |proof| {
            proof.headers[0].genesis_hash = Hash::ZERO;
        }),
        ("the certificate of a block before", |proof| {
            proof.headers.pop();
        }),
        ("a signature less than a quorum", |proof| {
            proof.certificate.signatures.pop();
        }),
        ("a signature twice", |proof| {
            let again = proof.certificate.signatures[0];
            proof.certificate.signatures[1] = again;
        }),
        ("a false signature", |proof| {
            proof.certificate.signatures[0].signature.0[5] ^= 1;
        }),
        ("another epoch", |proof| {
            proof.certificate.proposal.epoch = 1
        }),
        ("another view", |proof| proof.certificate.proposal.view += 1),
    ];
    for (what, alter) in alterations {
        let mut altered = sound.clone();
        alter(&mut altered);
        assert!(trusted.verify(&altered).is_err(), "{what}");
    }
    let many = FinalityProof {
        headers: vec![chain.header(2).clone(); limits::FINALITY_HEADERS_MAX + 1],
        certificate: chain.certificate(2),
    };
    assert!(matches!(
        trusted.verify(&many),
        Err(FinalityError::Headers { .. })
    ));
    // Decided by validators that come later, of blocks that come later.
    assert!(matches!(
        trusted.verify(&chain.proof(9, 10)),
        Err(FinalityError::Epoch { .. })
    ));
    // The last block of an epoch decided by the first of the next: who signs that is what the last block tells.
    assert!(trusted.verify(&chain.proof(7, 8)).is_err());
}

#[test]
fn an_epoch_ends_with_its_last_block_and_the_validators_that_it_names() {
    let chain = chain(40);
    let mut trusted = TrustedValidators::of_genesis(&chain.genesis).unwrap();
    let sound = chain.end(0);
    let mut early = sound.clone();
    early.header = chain.header(6).clone();
    early.certificate = chain.certificate(6);
    assert!(matches!(
        trusted.enter_next(&early),
        Err(FinalityError::NotTheEnd { .. })
    ));
    let mut others = sound.clone();
    others.next_validators = set(2);
    assert_eq!(trusted.enter_next(&others), Err(FinalityError::Validators));
    let mut unsigned = sound.clone();
    unsigned.certificate.signatures.truncate(2);
    assert!(trusted.enter_next(&unsigned).is_err());
    assert_eq!(trusted.epoch(), 0);
    trusted.enter_next(&sound).unwrap();
    assert!(trusted.enter_next(&sound).is_err());
    assert_eq!(trusted.epoch(), 1);
}
