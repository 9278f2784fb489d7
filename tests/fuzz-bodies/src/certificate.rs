//! Verify what validators sign: certificates, finality, evidence; sound ones, changed ones and any bytes.

use kumiki_protocol::{
    Certificate, CertificateSignature, EpochEnd, Evidence, FinalityProof, Genesis, Hash, Header,
    Proposal, SecretKey, SignedVote, TrustedValidators, ValidatorSet, Vote, limits,
};
use kumiki_protocol::{Encode as _, ExecutedState};
use kumiki_testkit::{Chain, genesis, validator};

use crate::Verdict;
use crate::choices::Choices;
use crate::encoding::decoded;

const BYTES_MAX: usize = 1 << 20;
/// Validators of the chain here; five of them are a quorum.
const VALIDATORS: u8 = 7;

/// Verifies a certificate, finality or evidence.
///
/// # Panics
/// Where a promise is broken.
pub fn body(bytes: &[u8]) -> Verdict {
    let mut choices = Choices::new(bytes);
    match choices.byte() % 8 {
        0 => certificate_bytes(choices.rest()),
        1 => finality_bytes(choices.rest()),
        2 => evidence_bytes(choices.rest()),
        3 => Verdict::of(decoded::<ValidatorSet>(choices.rest(), BYTES_MAX).is_some()),
        4 => Verdict::of(decoded::<EpochEnd>(choices.rest(), BYTES_MAX).is_some()),
        5 => signed_certificate(choices),
        6 => signed_finality(choices),
        _ => signed_evidence(choices),
    }
}

fn keys() -> Vec<SecretKey> {
    (0..VALIDATORS).map(validator).collect()
}

fn chain_genesis() -> Genesis {
    let mut genesis = genesis();
    genesis.validators = keys().iter().map(SecretKey::public_key).collect();
    genesis
}

fn validators() -> ValidatorSet {
    chain_genesis()
        .validator_set()
        .expect("different validators")
}

/// The verdict on a certificate, held to that of each signature for itself.
fn verifies(certificate: &Certificate, genesis_hash: &Hash, validators: &ValidatorSet) -> bool {
    let message = Vote::Finalize(certificate.proposal).sign_bytes(genesis_hash);
    let mut next = 0;
    let mut sound = certificate.signatures.len() >= validators.quorum();
    for CertificateSignature {
        validator,
        signature,
    } in &certificate.signatures
    {
        let place = usize::from(*validator);
        let key = validators.keys().get(place).filter(|_| place >= next);
        sound &= key.is_some_and(|key| key.verify(&message, signature).is_ok());
        next = place + 1;
    }
    let verdict = certificate.verify(genesis_hash, validators);
    assert_eq!(verdict.is_ok(), sound, "{verdict:?}");
    sound
}

fn certificate_bytes(bytes: &[u8]) -> Verdict {
    let Some(certificate) = decoded::<Certificate>(bytes, BYTES_MAX) else {
        return Verdict::Refused;
    };
    verifies(&certificate, &chain_genesis().hash(), &validators());
    Verdict::Accepted
}

fn proposal(choices: &mut Choices<'_>) -> Proposal {
    Proposal {
        epoch: choices.number(),
        view: choices.number(),
        parent_view: choices.number(),
        block: Hash(choices.array()),
    }
}

fn signed_certificate(mut choices: Choices<'_>) -> Verdict {
    let (genesis_hash, validators) = (chain_genesis().hash(), validators());
    let keys = keys();
    let who = choices.byte() | choices.byte();
    let signers: Vec<&SecretKey> = keys
        .iter()
        .enumerate()
        .filter(|(place, _)| who >> place & 1 == 1)
        .map(|(_, key)| key)
        .collect();
    let proposal = proposal(&mut choices);
    let certificate = Certificate::sign(&genesis_hash, proposal, &validators, &signers);
    let sound = verifies(&certificate, &genesis_hash, &validators);
    assert_eq!(sound, signers.len() >= validators.quorum());
    let other_chain = Hash(choices.array());
    if other_chain != genesis_hash {
        assert!(certificate.verify(&other_chain, &validators).is_err());
    }
    let bytes = certificate.encode();
    let changed = choices.mutated(&bytes);
    if let Some(mutant) = decoded::<Certificate>(&changed, BYTES_MAX)
        && verifies(&mutant, &genesis_hash, &validators)
    {
        assert_eq!(mutant.proposal, proposal, "no quorum signed this");
    }
    Verdict::of(sound)
}

fn finality_bytes(bytes: &[u8]) -> Verdict {
    let Some(proof) = decoded::<FinalityProof>(bytes, BYTES_MAX) else {
        return Verdict::Refused;
    };
    let trusted = TrustedValidators::of_genesis(&chain_genesis()).expect("validators");
    assert!(trusted.verify(&proof).is_err(), "nobody signed that");
    Verdict::Accepted
}

fn signed_finality(mut choices: Choices<'_>) -> Verdict {
    let genesis = chain_genesis();
    let trusted = TrustedValidators::of_genesis(&genesis).expect("validators");
    let executed = ExecutedState {
        height: choices.number(),
        state_root: Hash(choices.array()),
        state_entries: 0,
        receipts_root: Hash::ZERO,
        next_validators_hash: Hash::ZERO,
    };
    let (mut chain, _first) = Chain::new(&genesis, keys(), executed);
    let mut headers: Vec<Header> = Vec::new();
    let mut last = None;
    for _ in 0..=choices.below(4) {
        let (block, certificate) = chain.append(Vec::new(), executed);
        headers.push(block.header);
        last = Some(certificate);
    }
    let certificate = last.expect("one block at least");
    let proof = FinalityProof {
        headers: headers.clone(),
        certificate,
    };
    assert_eq!(trusted.verify(&proof).ok(), headers.first());
    let changed = choices.mutated(&proof.encode());
    if let Some(mutant) = decoded::<FinalityProof>(&changed, BYTES_MAX)
        && let Ok(final_header) = trusted.verify(&mutant)
    {
        assert!(mutant.headers.len() <= limits::FINALITY_HEADERS_MAX);
        assert!(headers.contains(final_header), "a header nobody decided");
    }
    Verdict::Accepted
}

/// Whether a sound validator signs at most one of the two.
fn contradict(first: &Vote, second: &Vote) -> bool {
    let same_round = first.round() == second.round();
    let kinds = match (first, second) {
        (Vote::Notarize(one), Vote::Notarize(other))
        | (Vote::Finalize(one), Vote::Finalize(other)) => one != other,
        (Vote::Nullify { .. }, Vote::Finalize(_)) | (Vote::Finalize(_), Vote::Nullify { .. }) => {
            true
        }
        _ => false,
    };
    same_round && kinds
}

/// The verdict on evidence, held to what each of the two votes is for itself.
fn convicts(evidence: &Evidence, genesis_hash: &Hash) -> bool {
    let signed = [&evidence.first, &evidence.second].iter().all(|one| {
        let message = one.vote.sign_bytes(genesis_hash);
        evidence.validator.verify(&message, &one.signature).is_ok()
    });
    let expected = signed && contradict(&evidence.first.vote, &evidence.second.vote);
    let verdict = evidence.verify(genesis_hash);
    assert_eq!(verdict.is_ok(), expected, "{verdict:?}");
    expected
}

fn evidence_bytes(bytes: &[u8]) -> Verdict {
    let Some(evidence) = decoded::<Evidence>(bytes, limits::EVIDENCE_BYTES_MAX) else {
        return Verdict::Refused;
    };
    convicts(&evidence, &chain_genesis().hash());
    Verdict::Accepted
}

/// One of a few votes, so that two of them often meet.
fn vote(choices: &mut Choices<'_>) -> Vote {
    let proposal = Proposal {
        epoch: u64::from(choices.byte() % 2),
        view: u64::from(choices.byte() % 3),
        parent_view: u64::from(choices.byte() % 2),
        block: Hash([choices.byte() % 2; 32]),
    };
    match choices.byte() % 3 {
        0 => Vote::Notarize(proposal),
        1 => Vote::Finalize(proposal),
        _ => Vote::Nullify {
            epoch: proposal.epoch,
            view: proposal.view,
        },
    }
}

fn signed_evidence(mut choices: Choices<'_>) -> Verdict {
    let genesis_hash = chain_genesis().hash();
    let key = validator(choices.byte() % VALIDATORS);
    let votes = [vote(&mut choices), vote(&mut choices)];
    let [first, second] = votes.map(|vote| SignedVote {
        vote,
        signature: key.sign(&vote.sign_bytes(&genesis_hash)),
    });
    let evidence = Evidence {
        validator: key.public_key(),
        first,
        second,
    };
    let guilty = convicts(&evidence, &genesis_hash);
    let changed = choices.mutated(&evidence.encode());
    if let Some(mutant) = decoded::<Evidence>(&changed, limits::EVIDENCE_BYTES_MAX)
        && convicts(&mutant, &genesis_hash)
    {
        assert_eq!(mutant.validator, evidence.validator);
        for one in [mutant.first.vote, mutant.second.vote] {
            assert!(votes.contains(&one), "a vote nobody gave");
        }
    }
    Verdict::of(guilty)
}
