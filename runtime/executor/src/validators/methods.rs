//! Do what the methods of the validators' contract say.

use kumiki_protocol::{
    Address, Amount, Encode, Event, Evidence, Hash, PublicKey, ResultCode, Signature,
    UNBONDING_EPOCHS, VALIDATORS_CONTRACT, ValidatorChange, ValidatorRecord, ValidatorStatus,
    join_sign_bytes, limits, sha3_256, state_key,
};
use kumiki_vm::Session;

use super::registry::{
    burn, enqueue, pay_out, queue, record, remove_record, set_queue, set_record,
};
use super::{Refusal, ValidatorsError};
use crate::transaction::Rules;

pub(super) const JOINED: &str = "Joined([u8; 32],Address,u128)";
pub(super) const LEAVING: &str = "Leaving([u8; 32],Address)";
pub(super) const WITHDRAWN: &str = "Withdrawn([u8; 32],Address,u128)";
pub(super) const REMOVED: &str = "Removed([u8; 32],Address,u128)";

/// Who calls, and what the call works on.
pub(super) struct Caller<'a> {
    pub(super) rules: &'a Rules<'a>,
    pub(super) session: &'a mut Session,
    pub(super) address: Address,
}

impl Caller<'_> {
    /// Puts the stake down and waits for a seat.
    pub(super) fn join(
        &mut self,
        key: PublicKey,
        proof: &Signature,
        value: Amount,
    ) -> Result<(), Refusal> {
        let stake = self.rules.parameters.validator_stake;
        if value != stake {
            return Err(ValidatorsError::WrongStake.into());
        }
        match record(self.session, &key)?.map(|known| known.status) {
            None => {}
            Some(ValidatorStatus::Removed { .. }) => return Err(ValidatorsError::Punished.into()),
            Some(_) => return Err(ValidatorsError::AlreadyValidator.into()),
        }
        if !key.is_validator_key() {
            return Err(ValidatorsError::InvalidKey.into());
        }
        let message = join_sign_bytes(&self.rules.genesis_hash, &self.address);
        if key.verify(&message, proof).is_err() {
            return Err(ValidatorsError::BadProof.into());
        }
        if queue(self.session)?.joins >= limits::VALIDATORS_QUEUED_MAX {
            return Err(ValidatorsError::QueueFull.into());
        }
        let paid = self
            .session
            .transfer(&self.address, &VALIDATORS_CONTRACT, stake)?;
        if paid != ResultCode::Ok {
            return Err(Refusal::Code(paid));
        }
        let ticket = enqueue(self.session, &ValidatorChange::Join(key))?;
        let joined = ValidatorRecord {
            owner: self.address,
            stake,
            status: ValidatorStatus::Queued { ticket },
        };
        set_record(self.session, &key, &joined);
        self.say(JOINED, &key, &joined.owner, &stake.encode())
    }

    /// Gives a seat back at the end of an epoch, or a place in the queue at once.
    pub(super) fn leave(&mut self, key: PublicKey) -> Result<(), Refusal> {
        let mut known = self.owned(&key)?;
        match known.status {
            ValidatorStatus::Queued { ticket } => {
                let mut queue = queue(self.session)?;
                queue.joins = queue.joins.saturating_sub(1);
                set_queue(self.session, &queue);
                self.cancel(ticket);
                self.return_stake(&key, &known)
            }
            ValidatorStatus::Seated { from } => {
                let ticket = enqueue(self.session, &ValidatorChange::Leave(key))?;
                known.status = ValidatorStatus::Leaving { from, ticket };
                set_record(self.session, &key, &known);
                self.say(LEAVING, &key, &known.owner, &[])
            }
            ValidatorStatus::Leaving { .. } | ValidatorStatus::Left { .. } => {
                Err(ValidatorsError::AlreadyLeaving.into())
            }
            ValidatorStatus::Removed { .. } => Err(ValidatorsError::Punished.into()),
        }
    }

    /// Pays a free stake out.
    pub(super) fn withdraw(&mut self, key: PublicKey) -> Result<(), Refusal> {
        let known = self.owned(&key)?;
        match known.status {
            ValidatorStatus::Left { to, .. }
                if self.epoch() >= to.saturating_add(UNBONDING_EPOCHS) =>
            {
                self.return_stake(&key, &known)
            }
            ValidatorStatus::Removed { .. } => Err(ValidatorsError::Punished.into()),
            _ => Err(ValidatorsError::NotWithdrawable.into()),
        }
    }

    /// Burns the stake of a validator that signed contradicting votes, and ends its seat.
    pub(super) fn report(&mut self, evidence: &Evidence) -> Result<(), Refusal> {
        let key = evidence.validator;
        let mut known = record(self.session, &key)?.ok_or(ValidatorsError::UnknownValidator)?;
        if matches!(known.status, ValidatorStatus::Removed { .. }) {
            return Err(ValidatorsError::Punished.into());
        }
        let fault = evidence.verify(&self.rules.genesis_hash)?;
        if !known.has_seat_in(fault.epoch) {
            return Err(ValidatorsError::NoSeat.into());
        }
        if let ValidatorStatus::Leaving { ticket, .. } = known.status {
            self.cancel(ticket);
        }
        if !matches!(known.status, ValidatorStatus::Left { .. }) {
            enqueue(self.session, &ValidatorChange::Remove(key))?;
        }
        let burned = std::mem::take(&mut known.stake);
        burn(self.session, burned)?;
        known.status = ValidatorStatus::Removed {
            epoch: self.epoch(),
        };
        set_record(self.session, &key, &known);
        self.say(REMOVED, &key, &self.address.clone(), &burned.encode())
    }

    fn epoch(&self) -> u64 {
        self.rules.parameters.epoch_of(self.rules.height)
    }

    fn owned(&mut self, key: &PublicKey) -> Result<ValidatorRecord, Refusal> {
        let known = record(self.session, key)?.ok_or(ValidatorsError::UnknownValidator)?;
        if known.owner == self.address {
            Ok(known)
        } else {
            Err(ValidatorsError::NotOwner.into())
        }
    }

    /// Takes a join or a leave out of the queue.
    fn cancel(&mut self, ticket: u64) {
        let key = state_key::validator_change(false, ticket);
        self.session.journal.remove(key);
    }

    fn return_stake(&mut self, key: &PublicKey, known: &ValidatorRecord) -> Result<(), Refusal> {
        pay_out(self.session, known)?;
        remove_record(self.session, key);
        self.say(WITHDRAWN, key, &known.owner, &known.stake.encode())
    }

    /// Emits an event whose first two fields, a validator and an account, are topics.
    fn say(
        &mut self,
        signature: &str,
        key: &PublicKey,
        account: &Address,
        rest: &[u8],
    ) -> Result<(), Refusal> {
        if self.session.events.len() >= limits::EVENTS_MAX {
            return Err(Refusal::Code(ResultCode::Limit));
        }
        let event = sha3_256(&[signature.as_bytes()]);
        self.session.events.push(Event {
            contract: VALIDATORS_CONTRACT,
            topics: vec![event, Hash(key.0), Hash(account.0)],
            data: [&key.0, &account.0, rest].concat(),
        });
        Ok(())
    }
}
