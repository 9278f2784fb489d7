//! Give native tokens to somebody little by little: nothing before a cliff, then in proportion to the time passed.
#![cfg_attr(target_family = "wasm", no_std)]

/// The contract.
#[kumiki_contract::contract]
pub mod vesting {
    use kumiki_contract::math::mul_div_floor;
    use kumiki_contract::prelude::*;

    /// The longest grant: a hundred years.
    pub const DURATION_MS_MAX: u64 = 100 * 365 * 24 * 60 * 60 * 1_000;

    /// Grants, with the tokens of each that were not paid out yet.
    #[storage]
    pub struct Vesting {
        grants: Map<u64, Grant>,
        /// Grants ever made, which is the id of the next one.
        made: Item<u64>,
        /// What was not paid out of all grants.
        held: Item<Balance>,
    }

    /// Tokens that become the beneficiary's between two points in time.
    #[data]
    pub struct Grant {
        /// Who gave, and may revoke where the grant says so.
        pub funder: Address,
        /// Whose the tokens become.
        pub beneficiary: Address,
        /// Base units in all; after a revocation, what was vested then.
        pub total: Balance,
        /// Base units that the beneficiary has.
        pub released: Balance,
        /// When it begins.
        pub start_ms: u64,
        /// How long nothing is vested.
        pub cliff_ms: u64,
        /// After how long everything is.
        pub duration_ms: u64,
        /// Whether the funder may take back what is not vested yet.
        pub revocable: bool,
        /// Whether the funder did.
        pub revoked: bool,
    }

    /// Somebody gave tokens.
    #[event]
    pub struct Granted {
        /// Which grant.
        #[indexed]
        pub id: u64,
        /// Who gave.
        #[indexed]
        pub funder: Address,
        /// For whom.
        #[indexed]
        pub beneficiary: Address,
        /// Base units.
        pub amount: Balance,
    }

    /// Vested tokens were paid out.
    #[event]
    pub struct Released {
        /// Which grant.
        #[indexed]
        pub id: u64,
        /// To whom.
        #[indexed]
        pub beneficiary: Address,
        /// Base units.
        pub amount: Balance,
    }

    /// The funder took back what was not vested.
    #[event]
    pub struct Revoked {
        /// Which grant.
        #[indexed]
        pub id: u64,
        /// Base units that went back.
        pub returned: Balance,
    }

    /// Somebody else is paid from now on.
    #[event]
    pub struct BeneficiarySet {
        /// Which grant.
        #[indexed]
        pub id: u64,
        /// Who.
        #[indexed]
        pub beneficiary: Address,
    }

    /// Why the contract refuses.
    #[error]
    pub enum Error {
        /// There is no such grant.
        UnknownGrant {
            /// Which was asked for.
            id: u64,
        },
        /// A grant is about some tokens.
        NothingGranted,
        /// It lasts no time or too long.
        BadDuration {
            /// The longest.
            duration_ms_max: u64,
        },
        /// The cliff lies behind the end.
        CliffAfterEnd {
            /// How long the grant is.
            duration_ms: u64,
        },
        /// It would begin more than the longest grant from now, or end when no clock goes.
        BadStart {
            /// The latest.
            latest_ms: u64,
        },
        /// Nothing is vested that was not paid out.
        NothingToRelease {
            /// When something will be, as far as that can be said: the cliff.
            cliff_at_ms: u64,
        },
        /// Only the funder revokes.
        NotFunder,
        /// Only the beneficiary hands the grant on.
        NotBeneficiary,
        /// The grant was made for good.
        NotRevocable,
        /// It was revoked already.
        AlreadyRevoked,
        /// The zero address is nobody's.
        ZeroAddress,
        /// The chain could not send the tokens; nothing changed.
        TransferFailed,
    }

    impl Vesting {
        /// Makes a contract without grants. Nobody has power over the grants of others.
        #[init]
        pub fn init(&mut self) {
            self.held.set(&0);
        }

        /// Grants the tokens that come along, and returns the grant's id. Nothing is vested before `cliff_ms` after
        /// `start_ms`, all of it `duration_ms` after `start_ms`. The start may lie in the past.
        #[payable]
        pub fn grant(
            &mut self,
            beneficiary: Address,
            start_ms: u64,
            cliff_ms: u64,
            duration_ms: u64,
            revocable: bool,
        ) -> Result<u64, Error> {
            let (funder, amount) = (self.env().caller(), self.env().value());
            if amount == 0 {
                return Err(Error::NothingGranted);
            }
            check_beneficiary(beneficiary)?;
            self.check_schedule(start_ms, cliff_ms, duration_ms)?;
            let id = self.made();
            self.made.set(&(id + 1));
            let held = self.held() + amount;
            self.held.set(&held);
            let grant = Grant {
                funder,
                beneficiary,
                total: amount,
                released: 0,
                start_ms,
                cliff_ms,
                duration_ms,
                revocable,
                revoked: false,
            };
            self.grants.set(&id, &grant);
            self.emit(Granted {
                id,
                funder,
                beneficiary,
                amount,
            });
            Ok(id)
        }

        /// Pays the beneficiary what is vested and was not paid yet, and returns how much; anybody may ask for it.
        pub fn release(&mut self, id: u64) -> Result<Balance, Error> {
            let mut grant = self.grant_of(id)?;
            let vested = vested_at(&grant, self.env().time_ms());
            let amount = vested - grant.released;
            if amount == 0 {
                let cliff_at_ms = grant.start_ms + grant.cliff_ms;
                return Err(Error::NothingToRelease { cliff_at_ms });
            }
            grant.released = vested;
            self.grants.set(&id, &grant);
            let beneficiary = grant.beneficiary;
            self.pay(beneficiary, amount)?;
            self.emit(Released {
                id,
                beneficiary,
                amount,
            });
            Ok(amount)
        }

        /// Takes back what is not vested yet, and returns how much; for the funder of a revocable grant, once. What is
        /// vested stays the beneficiary's.
        pub fn revoke(&mut self, id: u64) -> Result<Balance, Error> {
            let mut grant = self.grant_of(id)?;
            let funder = grant.funder;
            if self.env().caller() != funder {
                return Err(Error::NotFunder);
            }
            if !grant.revocable {
                return Err(Error::NotRevocable);
            }
            if grant.revoked {
                return Err(Error::AlreadyRevoked);
            }
            let vested = vested_at(&grant, self.env().time_ms());
            let returned = grant.total - vested;
            grant.total = vested;
            grant.revoked = true;
            self.grants.set(&id, &grant);
            if returned > 0 {
                self.pay(funder, returned)?;
            }
            self.emit(Revoked { id, returned });
            Ok(returned)
        }

        /// Hands the grant on, with what was not paid out yet; for the beneficiary.
        pub fn set_beneficiary(&mut self, id: u64, beneficiary: Address) -> Result<(), Error> {
            check_beneficiary(beneficiary)?;
            let mut grant = self.grant_of(id)?;
            if self.env().caller() != grant.beneficiary {
                return Err(Error::NotBeneficiary);
            }
            grant.beneficiary = beneficiary;
            self.grants.set(&id, &grant);
            self.emit(BeneficiarySet { id, beneficiary });
            Ok(())
        }

        /// A grant.
        pub fn grant_of(&self, id: u64) -> Result<Grant, Error> {
            self.grants.get(&id).ok_or(Error::UnknownGrant { id })
        }

        /// Base units of a grant that are vested at a time, paid out or not.
        pub fn vested(&self, id: u64, time_ms: u64) -> Result<Balance, Error> {
            Ok(vested_at(&self.grant_of(id)?, time_ms))
        }

        /// Base units that `release` would pay now.
        pub fn releasable(&self, id: u64) -> Result<Balance, Error> {
            let grant = self.grant_of(id)?;
            Ok(vested_at(&grant, self.env().time_ms()) - grant.released)
        }

        /// Grants ever made; their ids are those below.
        pub fn made(&self) -> u64 {
            self.made.get_or_default()
        }

        /// Base units of all grants that were not paid out.
        pub fn held(&self) -> Balance {
            self.held.get_or_default()
        }

        fn check_schedule(
            &self,
            start_ms: u64,
            cliff_ms: u64,
            duration_ms: u64,
        ) -> Result<(), Error> {
            if duration_ms == 0 || duration_ms > DURATION_MS_MAX {
                return Err(Error::BadDuration {
                    duration_ms_max: DURATION_MS_MAX,
                });
            }
            if cliff_ms > duration_ms {
                return Err(Error::CliffAfterEnd { duration_ms });
            }
            let latest_ms = self.env().time_ms().saturating_add(DURATION_MS_MAX);
            if start_ms > latest_ms || start_ms.checked_add(duration_ms).is_none() {
                return Err(Error::BadStart { latest_ms });
            }
            Ok(())
        }

        /// Sends tokens of grants; what a grant says must have been written down before.
        fn pay(&mut self, to: Address, amount: Balance) -> Result<(), Error> {
            let held = self.held() - amount;
            self.held.set(&held);
            let sent = self.env_mut().transfer(to, amount);
            sent.map_err(|_code| Error::TransferFailed)
        }
    }

    /// What is vested at a time, rounded down; the last base unit comes with the end.
    fn vested_at(grant: &Grant, time_ms: u64) -> Balance {
        let passed_ms = time_ms.saturating_sub(grant.start_ms);
        if grant.revoked || passed_ms >= grant.duration_ms {
            return grant.total;
        }
        // Also where the cliff is zero, nothing is vested before the start.
        if passed_ms < grant.cliff_ms {
            return 0;
        }
        let (passed_ms, duration_ms) = (u128::from(passed_ms), u128::from(grant.duration_ms));
        // A part of the total, which fits; the duration is not zero.
        mul_div_floor(grant.total, passed_ms, duration_ms).unwrap_or_default()
    }

    fn check_beneficiary(beneficiary: Address) -> Result<(), Error> {
        if beneficiary == Address::default() {
            return Err(Error::ZeroAddress);
        }
        Ok(())
    }
}
