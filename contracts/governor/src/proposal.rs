//! Say what can be decided, by which rules, and how far a decision is.

use kumiki_contract::prelude::*;

use crate::governor::Error;

/// The most actions of a proposal.
pub const ACTIONS_MAX: u32 = 8;
/// The longest input of a call, in bytes.
pub const INPUT_BYTES_MAX: u32 = 4_096;
/// The longest note of a proposal, in bytes.
pub const NOTE_BYTES_MAX: u32 = 1_024;
/// Bytes of a refused call's answer that the error repeats.
pub const ANSWER_BYTES_MAX: usize = 256;
/// The longest of each of the three periods: ninety days.
pub const PERIOD_MS_MAX: u64 = 90 * 24 * 60 * 60 * 1_000;

/// How decisions come to be.
#[data]
pub struct Rules {
    /// Base units that must vote for a proposal or abstain.
    pub quorum: Balance,
    /// Base units that one must have locked to propose.
    pub proposal_min: Balance,
    /// How long votes are taken.
    pub voting_ms: u64,
    /// How long after that nothing is done yet, so that people can prepare or leave.
    pub delay_ms: u64,
    /// How long after that it can be done.
    pub grace_ms: u64,
    /// Who may cancel anything that was not done yet, and can do nothing else.
    pub guardian: Option<Address>,
}

/// What can be decided.
#[data]
pub enum Action {
    /// Sends native tokens of the governor.
    Transfer {
        /// To whom.
        to: Address,
        /// Base units.
        amount: Balance,
    },
    /// Calls a contract, in the governor's name.
    Call {
        /// Which; neither the governor nor the token that votes.
        contract: Address,
        /// Selector and SCALE arguments.
        input: Vec<u8>,
        /// Base units of native tokens that go along.
        amount: Balance,
    },
    /// Changes the rules for proposals made from then on. There is no other way.
    SetRules {
        /// All of them.
        rules: Rules,
    },
}

/// What a voter wants.
#[data]
#[derive(Copy)]
pub enum Choice {
    /// That it is done.
    For,
    /// That it is not.
    Against,
    /// To count for the quorum only.
    Abstain,
}

/// How far a proposal is.
#[data]
#[derive(Copy)]
pub enum State {
    /// Votes are taken.
    Active,
    /// There were too few votes, or not more for than against it.
    Defeated,
    /// It was decided, and waits for its delay.
    Queued,
    /// It can be done.
    Ready,
    /// It was done.
    Executed,
    /// It was cancelled.
    Canceled,
    /// Nobody did it in time.
    Expired,
}

/// What is to be decided.
#[data]
pub struct Content {
    /// What is done, in this order, all or nothing.
    pub actions: Vec<Action>,
    /// Why.
    pub note: String,
}

/// How a decision goes. Each vote writes this, so what is to be decided, which may be long, stands elsewhere.
#[data]
pub struct Proposal {
    /// Who proposed it.
    pub proposer: Address,
    /// From this block time on votes are no longer taken.
    pub ends_ms: u64,
    /// From then on it can be done.
    pub ready_ms: u64,
    /// From then on it can no longer be done.
    pub expires_ms: u64,
    /// The quorum when it was proposed.
    pub quorum: Balance,
    /// Base units for it.
    pub votes_for: Balance,
    /// Base units against it.
    pub votes_against: Balance,
    /// Base units that abstain.
    pub votes_abstain: Balance,
    /// Whether it was done.
    pub executed: bool,
    /// Whether it was cancelled.
    pub canceled: bool,
}

impl Proposal {
    /// How far it is at a time.
    #[must_use]
    pub const fn state_at(&self, time_ms: u64) -> State {
        if self.executed {
            State::Executed
        } else if self.canceled {
            State::Canceled
        } else if time_ms < self.ends_ms {
            State::Active
        } else if !self.passed() {
            State::Defeated
        } else if time_ms < self.ready_ms {
            State::Queued
        } else if time_ms < self.expires_ms {
            State::Ready
        } else {
            State::Expired
        }
    }

    const fn passed(&self) -> bool {
        // Each base unit votes once, so sums of votes fit.
        self.votes_for > self.votes_against && self.votes_for + self.votes_abstain >= self.quorum
    }
}

impl Rules {
    /// Whether votes can be taken and decisions be done by these rules.
    ///
    /// # Errors
    /// `BadRules` where not.
    pub fn check(&self) -> Result<(), Error> {
        let periods = [self.voting_ms, self.delay_ms, self.grace_ms];
        let too_long = periods.iter().any(|period| *period > PERIOD_MS_MAX);
        if too_long || self.voting_ms == 0 || self.grace_ms == 0 {
            return Err(Error::BadRules {
                period_ms_max: PERIOD_MS_MAX,
            });
        }
        Ok(())
    }
}

impl Action {
    /// Whether it may be proposed; neither of the `forbidden` contracts is called.
    ///
    /// # Errors
    /// Why not.
    pub fn check(&self, forbidden: [Address; 2]) -> Result<(), Error> {
        match self {
            Self::Transfer { .. } => Ok(()),
            Self::Call {
                contract, input, ..
            } => {
                if forbidden.contains(contract) {
                    return Err(Error::CallForbidden);
                }
                check_length(input.len(), INPUT_BYTES_MAX)
            }
            Self::SetRules { rules } => rules.check(),
        }
    }
}

/// Whether a text or input is short enough.
///
/// # Errors
/// `TooLong` where not.
pub fn check_length(length: usize, bytes_max: u32) -> Result<(), Error> {
    if length as u64 > u64::from(bytes_max) {
        return Err(Error::TooLong { bytes_max });
    }
    Ok(())
}
