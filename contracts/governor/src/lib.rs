//! Decide together by locking tokens: proposals, votes, a delay before anything is done.
#![cfg_attr(target_family = "wasm", no_std)]

pub mod proposal;
pub mod voting_token;

/// The contract.
#[kumiki_contract::contract]
pub mod governor {
    use kumiki_contract::prelude::*;

    use crate::proposal::{
        ACTIONS_MAX, ANSWER_BYTES_MAX, Action, Choice, Content, NOTE_BYTES_MAX, Proposal, Rules,
        State, check_length,
    };
    use crate::voting_token::{Lock, Token};

    /// Proposals, votes, and the tokens locked to vote with.
    #[storage]
    pub struct Governor {
        token: Item<Address>,
        rules: Item<Rules>,
        locks: Map<Address, Lock>,
        /// What all have locked.
        locked: Item<Balance>,
        votes: Map<(u64, Address), Choice>,
        proposals: Map<u64, Proposal>,
        contents: Map<u64, Content>,
        /// Proposals ever made, which is the id of the next one.
        proposed: Item<u64>,
    }

    /// What somebody has locked changed.
    #[event]
    pub struct LockChanged {
        /// Whose.
        #[indexed]
        pub voter: Address,
        /// Base units from now on.
        pub amount: Balance,
    }

    /// Something is to be decided.
    #[event]
    pub struct Proposed {
        /// Which proposal.
        #[indexed]
        pub id: u64,
        /// Who proposed it.
        #[indexed]
        pub proposer: Address,
        /// When votes are no longer taken.
        pub ends_ms: u64,
    }

    /// Somebody voted.
    #[event]
    pub struct Voted {
        /// On which proposal.
        #[indexed]
        pub id: u64,
        /// Who.
        #[indexed]
        pub voter: Address,
        /// What they want.
        pub choice: Choice,
        /// With how many base units.
        pub weight: Balance,
    }

    /// A proposal was done.
    #[event]
    pub struct Executed {
        /// Which.
        #[indexed]
        pub id: u64,
    }

    /// A proposal was cancelled.
    #[event]
    pub struct Canceled {
        /// Which.
        #[indexed]
        pub id: u64,
        /// By whom.
        #[indexed]
        pub by: Address,
    }

    /// Why the governor refuses.
    #[error]
    pub enum Error {
        /// A period is too long, or votes could never be taken or a decision never be done.
        BadRules {
            /// The longest period.
            period_ms_max: u64,
        },
        /// An amount is zero.
        ZeroAmount,
        /// The token refused to move.
        TokenRefused,
        /// The voter has locked less.
        InsufficientLock {
            /// What is locked.
            available: Balance,
        },
        /// The tokens take part in a vote.
        Locked {
            /// Until when.
            until_ms: u64,
        },
        /// A proposal has at least one action and not too many.
        BadActionCount {
            /// The most.
            actions_max: u32,
        },
        /// An input or the note is too long.
        TooLong {
            /// The most bytes.
            bytes_max: u32,
        },
        /// The governor calls neither itself nor the token, whose units of voters it holds.
        CallForbidden,
        /// There is no such proposal.
        UnknownProposal {
            /// Which was asked for.
            id: u64,
        },
        /// That is not done to a proposal that is so far.
        WrongState {
            /// How far it is.
            state: State,
        },
        /// The caller voted on this already.
        AlreadyVoted,
        /// The caller may not cancel this, or no longer.
        NotAllowed,
        /// An action failed, so none was done.
        ActionFailed {
            /// Which one.
            index: u32,
            /// Number of the chain's result code.
            code: u8,
            /// The beginning of what the contract reverted with.
            data: Vec<u8>,
        },
    }

    impl Governor {
        /// Makes a governor of those who hold `token`, and of nobody else.
        #[init]
        pub fn init(&mut self, token: Address, rules: Rules) -> Result<(), Error> {
            rules.check()?;
            self.token.set(&token);
            self.rules.set(&rules);
            Ok(())
        }

        /// Locks tokens of the caller, who has let the governor spend them, to vote with.
        pub fn lock(&mut self, amount: Balance) -> Result<(), Error> {
            if amount == 0 {
                return Err(Error::ZeroAmount);
            }
            let (voter, governor) = (self.env().caller(), self.env().self_address());
            let mut lock = self.lock_of(voter);
            lock.amount += amount;
            let locked = self.locked() + amount;
            self.store_lock(voter, &lock, locked);
            let token = Token::at(self.token());
            let moved = token
                .transfer_from(voter, governor, amount)
                .try_send(self.env_mut());
            moved.map_err(|_refused| Error::TokenRefused)
        }

        /// Gives tokens back to the caller, once no vote that they took part in goes on.
        pub fn unlock(&mut self, amount: Balance) -> Result<(), Error> {
            if amount == 0 {
                return Err(Error::ZeroAmount);
            }
            let voter = self.env().caller();
            let mut lock = self.lock_of(voter);
            let (available, until_ms) = (lock.amount, lock.until_ms);
            let Some(rest) = available.checked_sub(amount) else {
                return Err(Error::InsufficientLock { available });
            };
            if self.env().time_ms() < until_ms {
                return Err(Error::Locked { until_ms });
            }
            lock.amount = rest;
            let locked = self.locked() - amount;
            self.store_lock(voter, &lock, locked);
            let token = Token::at(self.token());
            let moved = token.transfer(voter, amount).try_send(self.env_mut());
            moved.map_err(|_refused| Error::TokenRefused)
        }

        /// Proposes actions and returns the proposal's id; the vote begins at once. For those who have locked enough,
        /// which stays locked until the vote ends.
        pub fn propose(&mut self, actions: Vec<Action>, note: String) -> Result<u64, Error> {
            let (proposer, rules) = (self.env().caller(), self.rules());
            let available = self.lock_of(proposer).amount;
            if available < rules.proposal_min {
                return Err(Error::InsufficientLock { available });
            }
            check_length(note.len(), NOTE_BYTES_MAX)?;
            self.check_actions(&actions)?;
            let id = self.proposed();
            self.proposed.set(&(id + 1));
            let ends_ms = self.env().time_ms() + rules.voting_ms;
            let ready_ms = ends_ms + rules.delay_ms;
            let proposal = Proposal {
                proposer,
                ends_ms,
                ready_ms,
                expires_ms: ready_ms + rules.grace_ms,
                quorum: rules.quorum,
                votes_for: 0,
                votes_against: 0,
                votes_abstain: 0,
                executed: false,
                canceled: false,
            };
            self.proposals.set(&id, &proposal);
            self.contents.set(&id, &Content { actions, note });
            self.keep_until(proposer, ends_ms);
            self.emit(Proposed {
                id,
                proposer,
                ends_ms,
            });
            Ok(id)
        }

        /// Votes with all that the caller has locked, once; returns how much that is. It stays locked until the vote
        /// ends, so that no token votes twice.
        pub fn vote(&mut self, id: u64, choice: Choice) -> Result<Balance, Error> {
            let voter = self.env().caller();
            let mut proposal = self.proposal_in(id, &[State::Active])?;
            let weight = self.lock_of(voter).amount;
            if weight == 0 {
                return Err(Error::InsufficientLock { available: 0 });
            }
            if self.votes.contains(&(id, voter)) {
                return Err(Error::AlreadyVoted);
            }
            self.votes.set(&(id, voter), &choice);
            match choice {
                Choice::For => proposal.votes_for += weight,
                Choice::Against => proposal.votes_against += weight,
                Choice::Abstain => proposal.votes_abstain += weight,
            }
            self.proposals.set(&id, &proposal);
            self.keep_until(voter, proposal.ends_ms);
            self.emit(Voted {
                id,
                voter,
                choice,
                weight,
            });
            Ok(weight)
        }

        /// Does what was decided, all of it or nothing; anybody may ask for it while it is ready.
        pub fn execute(&mut self, id: u64) -> Result<(), Error> {
            let mut proposal = self.proposal_in(id, &[State::Ready])?;
            // Written down before anything leaves the governor.
            proposal.executed = true;
            self.proposals.set(&id, &proposal);
            self.emit(Executed { id });
            for (index, action) in (0_u32..).zip(self.content(id)?.actions) {
                self.perform(index, action)?;
            }
            Ok(())
        }

        /// Cancels a proposal: its proposer during the vote, the guardian until it was done.
        pub fn cancel(&mut self, id: u64) -> Result<(), Error> {
            let undone = [State::Active, State::Queued, State::Ready];
            let mut proposal = self.proposal_in(id, &undone)?;
            let by = self.env().caller();
            let active = proposal.state_at(self.env().time_ms()) == State::Active;
            let proposer_may = active && by == proposal.proposer;
            if !proposer_may && self.rules().guardian != Some(by) {
                return Err(Error::NotAllowed);
            }
            proposal.canceled = true;
            self.proposals.set(&id, &proposal);
            self.emit(Canceled { id, by });
            Ok(())
        }

        /// The token that votes.
        pub fn token(&self) -> Address {
            self.token.get_or_default()
        }

        /// The rules for what is proposed from now on.
        pub fn rules(&self) -> Rules {
            self.rules.get().expect("init sets them")
        }

        /// What somebody has locked, and until when.
        pub fn lock_of(&self, voter: Address) -> Lock {
            self.locks.get(&voter).unwrap_or(Lock {
                amount: 0,
                until_ms: 0,
            })
        }

        /// Base units that all have locked.
        pub fn locked(&self) -> Balance {
            self.locked.get_or_default()
        }

        /// What is to be decided by a proposal.
        pub fn content(&self, id: u64) -> Result<Content, Error> {
            self.contents.get(&id).ok_or(Error::UnknownProposal { id })
        }

        /// How a proposal goes.
        pub fn proposal(&self, id: u64) -> Result<Proposal, Error> {
            self.proposals.get(&id).ok_or(Error::UnknownProposal { id })
        }

        /// How far a proposal is.
        pub fn state(&self, id: u64) -> Result<State, Error> {
            Ok(self.proposal(id)?.state_at(self.env().time_ms()))
        }

        /// What somebody voted.
        pub fn vote_of(&self, id: u64, voter: Address) -> Option<Choice> {
            self.votes.get(&(id, voter))
        }

        /// Proposals ever made; their ids are those below.
        pub fn proposed(&self) -> u64 {
            self.proposed.get_or_default()
        }

        fn store_lock(&mut self, voter: Address, lock: &Lock, locked: Balance) {
            self.locks.set(&voter, lock);
            self.locked.set(&locked);
            let amount = lock.amount;
            self.emit(LockChanged { voter, amount });
        }

        /// Keeps what a voter has locked until then at least.
        fn keep_until(&mut self, voter: Address, until_ms: u64) {
            let mut lock = self.lock_of(voter);
            lock.until_ms = lock.until_ms.max(until_ms);
            self.locks.set(&voter, &lock);
        }

        fn proposal_in(&self, id: u64, states: &[State]) -> Result<Proposal, Error> {
            let proposal = self.proposal(id)?;
            let state = proposal.state_at(self.env().time_ms());
            if states.contains(&state) {
                Ok(proposal)
            } else {
                Err(Error::WrongState { state })
            }
        }

        fn check_actions(&self, actions: &[Action]) -> Result<(), Error> {
            if actions.is_empty() || actions.len() as u64 > u64::from(ACTIONS_MAX) {
                return Err(Error::BadActionCount {
                    actions_max: ACTIONS_MAX,
                });
            }
            let forbidden = [self.env().self_address(), self.token()];
            actions.iter().try_for_each(|one| one.check(forbidden))
        }

        fn perform(&mut self, index: u32, action: Action) -> Result<(), Error> {
            let (code, mut data) = match action {
                Action::Transfer { to, amount } => match self.env_mut().transfer(to, amount) {
                    Ok(()) => return Ok(()),
                    Err(code) => (code, Vec::new()),
                },
                Action::Call {
                    contract,
                    input,
                    amount,
                } => match self.env_mut().call_raw(contract, &input, amount) {
                    Ok(_answer) => return Ok(()),
                    Err(failed) => (failed.code, failed.data),
                },
                Action::SetRules { rules } => {
                    self.rules.set(&rules);
                    return Ok(());
                }
            };
            data.truncate(ANSWER_BYTES_MAX);
            let code = code as u8;
            Err(Error::ActionFailed { index, code, data })
        }
    }
}
