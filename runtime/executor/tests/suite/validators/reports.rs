//! What becomes of validators that sign twice.

use kumiki_executor::ValidatorsError;
use kumiki_protocol::{Evidence, Proposal, SignedVote, Vote};

use super::*;

fn proposal(epoch: u64, block: u8) -> Proposal {
    Proposal {
        epoch,
        view: 5,
        parent_view: 4,
        block: Hash([block; 32]),
    }
}

fn signed(chain: &Chain, number: u8, vote: Vote) -> SignedVote {
    SignedVote {
        vote,
        signature: key(number).sign(&vote.sign_bytes(&chain.genesis.hash())),
    }
}

fn evidence(chain: &Chain, number: u8, first: Vote, second: Vote) -> Evidence {
    Evidence {
        validator: public(number),
        first: signed(chain, number, first),
        second: signed(chain, number, second),
    }
}

fn double(chain: &Chain, number: u8, epoch: u64) -> Evidence {
    let [first, second] = [1, 2].map(|block| Vote::Finalize(proposal(epoch, block)));
    evidence(chain, number, first, second)
}

fn report(chain: &mut Chain, from: u8, evidence: &Evidence) -> Receipt {
    send(chain, from, method("report(Evidence)", evidence), 0)
}

#[test]
fn whoever_signs_twice_loses_stake_and_seat_for_good_and_the_reporter_gets_nothing() {
    let mut chain = chain_of(4, 2, EPOCH);
    let (before, held) = (
        supply(&chain.state),
        account(&chain.state, &address(1)).balance,
    );
    let shown = double(&chain, 10, 0);
    let receipt = report(&mut chain, 1, &shown);
    assert_eq!(receipt.status, Status::Ok);
    let event = &receipt.events[0];
    let topic = sha3_256(&[b"Removed([u8; 32],Address,u128)"]);
    assert_eq!(
        event.topics,
        [topic, Hash(public(10).0), Hash(address(1).0)]
    );
    assert_eq!(supply(&chain.state), before - VALIDATOR_STAKE);
    assert_eq!(
        account(&chain.state, &address(1)).balance,
        held - receipt.fee
    );
    assert_eq!(record(&chain, 10).unwrap().stake, 0);
    refused(&report(&mut chain, 2, &shown), ValidatorsError::Punished);
    chain.run_to(8);
    assert_eq!(set_at(&chain, 7), keys(&[9, 10, 11, 12]));
    assert_eq!(set_at(&chain, 8), keys(&[9, 11, 12]));
    refused(&join(&mut chain, 1, 10), ValidatorsError::Punished);
    refused(&leave(&mut chain, 10, 10), ValidatorsError::Punished);
    refused(&withdraw(&mut chain, 10, 10), ValidatorsError::Punished);
}

#[test]
fn leaving_and_having_left_save_nobody_until_the_stake_is_withdrawn() {
    for (leaves_at, reported_at) in [(1, 2), (1, 9), (1, 23)] {
        let mut chain = chain_of(4, 0, EPOCH);
        let before = supply(&chain.state);
        chain.run_to(leaves_at - 1);
        assert_eq!(leave(&mut chain, 10, 10).status, Status::Ok);
        chain.run_to(reported_at - 1);
        let shown = double(&chain, 10, 0);
        assert_eq!(report(&mut chain, 1, &shown).status, Status::Ok);
        assert_eq!(supply(&chain.state), before - VALIDATOR_STAKE);
        chain.run_to(40);
        assert_eq!(set_at(&chain, 40), keys(&[9, 11, 12]));
        refused(&withdraw(&mut chain, 10, 10), ValidatorsError::Punished);
        let changes = state_key::validator_changes();
        assert!(
            !chain
                .state
                .entries
                .keys()
                .any(|key| key.starts_with(&changes))
        );
    }
}

#[test]
fn votes_of_epochs_without_a_seat_are_no_fault() {
    let mut chain = chain_of(4, 0, EPOCH);
    join(&mut chain, 1, 20);
    let waiting = double(&chain, 20, 0);
    refused(&report(&mut chain, 2, &waiting), ValidatorsError::NoSeat);
    chain.run_to(8);
    refused(&report(&mut chain, 2, &waiting), ValidatorsError::NoSeat);
    leave(&mut chain, 10, 10);
    chain.run_to(16);
    let after = double(&chain, 10, 2);
    refused(&report(&mut chain, 2, &after), ValidatorsError::NoSeat);
    let nobody = double(&chain, 60, 0);
    refused(
        &report(&mut chain, 2, &nobody),
        ValidatorsError::UnknownValidator,
    );
    let seated = double(&chain, 20, 1);
    assert_eq!(report(&mut chain, 2, &seated).status, Status::Ok);
}

#[test]
fn evidence_that_shows_nothing_costs_the_reporter_and_nobody_else() {
    let mut chain = chain_of(4, 0, EPOCH);
    let notarize = Vote::Notarize(proposal(0, 1));
    let same = evidence(&chain, 10, notarize, notarize);
    refused(&report(&mut chain, 1, &same), ValidatorsError::NoConflict);
    let mut forged = double(&chain, 10, 0);
    forged.validator = public(11);
    refused(
        &report(&mut chain, 1, &forged),
        ValidatorsError::BadSignature,
    );
    assert_eq!(status(&chain, 10), ValidatorStatus::Seated { from: 0 });
    assert_eq!(status(&chain, 11), ValidatorStatus::Seated { from: 0 });
}

#[test]
fn all_but_one_of_those_who_sign_twice_go_at_once_and_nobody_changes_beside_them() {
    let mut chain = chain_of(3, 0, EPOCH);
    for number in 9..12 {
        let shown = double(&chain, number, 0);
        assert_eq!(report(&mut chain, 1, &shown).status, Status::Ok);
    }
    join(&mut chain, 2, 20);
    assert_eq!(
        account(&chain.state, &VALIDATORS_CONTRACT).balance,
        VALIDATOR_STAKE
    );
    chain.run_to(8);
    assert_eq!(set_at(&chain, 8), keys(&[11]));
    chain.run_to(24);
    assert_eq!(set_at(&chain, 16), keys(&[11, 20]));
    assert_eq!(set_at(&chain, 24), keys(&[20]));
}
