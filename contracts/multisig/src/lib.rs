//! Let several owners spend from one wallet together: what enough of them confirm is done, once.
#![cfg_attr(target_family = "wasm", no_std)]

pub mod proposal;

/// The contract.
#[kumiki_contract::contract]
pub mod multisig {
    use kumiki_contract::prelude::*;

    use crate::proposal::{Action, Owners, Proposal};

    /// The most owners.
    pub const OWNERS_MAX: u32 = 32;
    /// The longest input of a call, in bytes.
    pub const INPUT_BYTES_MAX: u32 = 4_096;
    /// Bytes of a refused call's answer that the error repeats.
    pub const ANSWER_BYTES_MAX: usize = 256;
    /// How long a proposal can be confirmed and executed: thirty days.
    pub const OPEN_MS: u64 = 30 * 24 * 60 * 60 * 1_000;

    /// A wallet with several owners.
    #[storage]
    pub struct Multisig {
        owners: Item<Owners>,
        /// How often the owners changed. Proposals of other owners than today's are void.
        generation: Item<u64>,
        proposals: Map<u64, Proposal>,
        /// Proposals ever made, which is the id of the next one.
        proposed: Item<u64>,
    }

    /// An owner proposed something.
    #[event]
    pub struct Proposed {
        /// Which proposal.
        #[indexed]
        pub id: u64,
        /// Who.
        #[indexed]
        pub by: Address,
        /// What others confirm.
        pub digest: Hash,
    }

    /// An owner wants a proposal done.
    #[event]
    pub struct Confirmed {
        /// Which proposal.
        #[indexed]
        pub id: u64,
        /// Who.
        #[indexed]
        pub by: Address,
    }

    /// An owner wants a proposal done no longer.
    #[event]
    pub struct Withdrawn {
        /// Which proposal.
        #[indexed]
        pub id: u64,
        /// Who.
        #[indexed]
        pub by: Address,
    }

    /// A proposal was done.
    #[event]
    pub struct Executed {
        /// Which proposal.
        #[indexed]
        pub id: u64,
        /// Who had it done.
        #[indexed]
        pub by: Address,
    }

    /// Others own the wallet now.
    #[event]
    pub struct OwnersSet {
        /// Who.
        pub owners: Owners,
    }

    /// Why the wallet refuses.
    #[error]
    pub enum Error {
        /// Only owners have a say.
        NotOwner,
        /// Too few or too many owners, one twice, the zero address, or the wallet itself.
        BadOwners {
            /// The most owners.
            owners_max: u32,
        },
        /// It takes at least one owner, and not more than there are.
        BadThreshold {
            /// How many there are.
            owners: u32,
        },
        /// The input of the call is too long.
        InputTooLong {
            /// The most bytes.
            bytes_max: u32,
        },
        /// The wallet does not call itself; there is an action for all it can change.
        CallsItself,
        /// There is no such proposal.
        UnknownProposal {
            /// Which was asked for.
            id: u64,
        },
        /// The proposal is not what the caller confirms.
        OtherProposal {
            /// What it is.
            digest: Hash,
        },
        /// It was done already.
        AlreadyExecuted,
        /// Its time is over.
        Expired {
            /// Since when.
            expires_ms: u64,
        },
        /// It was proposed to other owners than there are now.
        OwnersChanged,
        /// The caller confirmed already.
        AlreadyConfirmed,
        /// The caller has not confirmed.
        NotConfirmed,
        /// More owners must confirm.
        TooFewConfirmations {
            /// How many did.
            confirmed: u32,
            /// How many it takes.
            threshold: u32,
        },
        /// The chain could not send the tokens; nothing changed.
        TransferFailed {
            /// What the wallet has.
            available: Balance,
        },
        /// The called contract refused or failed; nothing changed.
        CallFailed {
            /// Number of the chain's result code.
            code: u8,
            /// The beginning of what the contract reverted with.
            data: Vec<u8>,
        },
    }

    impl Multisig {
        /// Makes a wallet of these owners, of whom it takes `threshold`.
        #[init]
        pub fn init(&mut self, owners: Vec<Address>, threshold: u32) -> Result<(), Error> {
            let owners = Owners {
                addresses: owners,
                threshold,
            };
            self.check_owners(&owners)?;
            self.owners.set(&owners);
            Ok(())
        }

        /// Proposes an action and confirms it; returns the proposal's id. For owners.
        pub fn propose(&mut self, action: Action) -> Result<u64, Error> {
            let by = self.owner_who_calls()?;
            self.check_action(&action)?;
            let id = self.proposed();
            self.proposed.set(&(id + 1));
            let digest = self.digest_of(id, &action);
            let proposal = Proposal {
                action,
                confirmed_by: vec![by],
                expires_ms: self.env().time_ms().saturating_add(OPEN_MS),
                generation: self.generation(),
                executed: false,
            };
            self.proposals.set(&id, &proposal);
            self.emit(Proposed { id, by, digest });
            self.emit(Confirmed { id, by });
            Ok(id)
        }

        /// Confirms the proposal with this id and digest, and no other; for owners.
        pub fn confirm(&mut self, id: u64, digest: Hash) -> Result<(), Error> {
            let by = self.owner_who_calls()?;
            let mut proposal = self.open_proposal(id)?;
            // Whoever signs this may know the proposal from a node that lies about it.
            let found = self.digest_of(id, &proposal.action);
            if found != digest {
                return Err(Error::OtherProposal { digest: found });
            }
            if proposal.confirmed_by.contains(&by) {
                return Err(Error::AlreadyConfirmed);
            }
            proposal.confirmed_by.push(by);
            self.proposals.set(&id, &proposal);
            self.emit(Confirmed { id, by });
            Ok(())
        }

        /// Takes the caller's confirmation back; for owners who confirmed.
        pub fn withdraw(&mut self, id: u64) -> Result<(), Error> {
            let by = self.owner_who_calls()?;
            let mut proposal = self.open_proposal(id)?;
            if !proposal.confirmed_by.contains(&by) {
                return Err(Error::NotConfirmed);
            }
            proposal.confirmed_by.retain(|owner| *owner != by);
            self.proposals.set(&id, &proposal);
            self.emit(Withdrawn { id, by });
            Ok(())
        }

        /// Does what enough owners confirmed, and returns what the called contract did; for owners. Where the action
        /// fails, nothing happened and it can be tried again.
        pub fn execute(&mut self, id: u64) -> Result<Vec<u8>, Error> {
            let by = self.owner_who_calls()?;
            let mut proposal = self.open_proposal(id)?;
            let (confirmed, threshold) = (count(&proposal.confirmed_by), self.owners().threshold);
            if confirmed < threshold {
                return Err(Error::TooFewConfirmations {
                    confirmed,
                    threshold,
                });
            }
            // Written down before anything leaves the wallet.
            proposal.executed = true;
            self.proposals.set(&id, &proposal);
            self.emit(Executed { id, by });
            self.perform(proposal.action)
        }

        /// Who owns the wallet, and how many of them it takes.
        pub fn owners(&self) -> Owners {
            self.owners.get().unwrap_or(Owners {
                addresses: Vec::new(),
                threshold: u32::MAX,
            })
        }

        /// How often the owners changed.
        pub fn generation(&self) -> u64 {
            self.generation.get_or_default()
        }

        /// A proposal.
        pub fn proposal(&self, id: u64) -> Result<Proposal, Error> {
            self.proposals.get(&id).ok_or(Error::UnknownProposal { id })
        }

        /// What owners confirm: SHA3-256 of wallet, id and action in SCALE.
        pub fn digest(&self, id: u64) -> Result<Hash, Error> {
            let proposal = self.proposal(id)?;
            Ok(self.digest_of(id, &proposal.action))
        }

        /// Proposals ever made; their ids are those below.
        pub fn proposed(&self) -> u64 {
            self.proposed.get_or_default()
        }

        fn digest_of(&self, id: u64, action: &Action) -> Hash {
            let wallet = self.env().self_address();
            self.env().sha3_256(&(wallet, id, action).encode())
        }

        fn owner_who_calls(&self) -> Result<Address, Error> {
            let caller = self.env().caller();
            if self.owners().addresses.contains(&caller) {
                Ok(caller)
            } else {
                Err(Error::NotOwner)
            }
        }

        fn open_proposal(&self, id: u64) -> Result<Proposal, Error> {
            let proposal = self.proposal(id)?;
            let expires_ms = proposal.expires_ms;
            if proposal.executed {
                Err(Error::AlreadyExecuted)
            } else if self.env().time_ms() >= expires_ms {
                Err(Error::Expired { expires_ms })
            } else if proposal.generation != self.generation() {
                Err(Error::OwnersChanged)
            } else {
                Ok(proposal)
            }
        }

        fn check_action(&self, action: &Action) -> Result<(), Error> {
            match action {
                Action::Transfer { .. } => Ok(()),
                Action::Call {
                    contract, input, ..
                } => {
                    if *contract == self.env().self_address() {
                        return Err(Error::CallsItself);
                    }
                    if input.len() as u64 > u64::from(INPUT_BYTES_MAX) {
                        return Err(Error::InputTooLong {
                            bytes_max: INPUT_BYTES_MAX,
                        });
                    }
                    Ok(())
                }
                Action::SetOwners { owners } => self.check_owners(owners),
            }
        }

        fn check_owners(&self, owners: &Owners) -> Result<(), Error> {
            let addresses = &owners.addresses;
            let own = self.env().self_address();
            let bad = |(index, one): (usize, &Address)| {
                *one == own
                    || *one == Address::default()
                    || addresses.iter().skip(index + 1).any(|other| other == one)
            };
            let owner_count = count(addresses);
            // The count comes first: looking for duplicates takes its square in steps.
            if owner_count > OWNERS_MAX
                || addresses.is_empty()
                || addresses.iter().enumerate().any(bad)
            {
                return Err(Error::BadOwners {
                    owners_max: OWNERS_MAX,
                });
            }
            if owners.threshold == 0 || owners.threshold > owner_count {
                return Err(Error::BadThreshold {
                    owners: owner_count,
                });
            }
            Ok(())
        }

        fn perform(&mut self, action: Action) -> Result<Vec<u8>, Error> {
            match action {
                Action::Transfer { to, amount } => {
                    let available = self.env().balance(self.env().self_address());
                    let sent = self.env_mut().transfer(to, amount);
                    sent.map_err(|_code| Error::TransferFailed { available })?;
                }
                Action::Call {
                    contract,
                    input,
                    amount,
                } => {
                    let answer = self.env_mut().call_raw(contract, &input, amount);
                    return answer.map_err(|failed| {
                        let mut data = failed.data;
                        data.truncate(ANSWER_BYTES_MAX);
                        let code = failed.code as u8;
                        Error::CallFailed { code, data }
                    });
                }
                Action::SetOwners { owners } => {
                    self.owners.set(&owners);
                    let generation = self.generation() + 1;
                    self.generation.set(&generation);
                    self.emit(OwnersSet { owners });
                }
            }
            Ok(Vec::new())
        }
    }

    /// How many; no list of a contract has 2^32 entries.
    fn count(list: &[Address]) -> u32 {
        u32::try_from(list.len()).unwrap_or(u32::MAX)
    }
}
