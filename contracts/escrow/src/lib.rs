//! Hold native tokens of a deal until buyer, seller or arbiter decide whose they are, or a deadline does.
#![cfg_attr(target_family = "wasm", no_std)]

/// The contract.
#[kumiki_contract::contract]
pub mod escrow {
    use kumiki_contract::prelude::*;

    /// The longest time from opening a deal to its deadline: ten years.
    pub const OPEN_MS_MAX: u64 = 10 * 365 * 24 * 60 * 60 * 1_000;

    /// Deals between buyers and sellers, with the tokens of those that are open.
    #[storage]
    pub struct Escrow {
        deals: Map<u64, Deal>,
        /// Deals ever opened, which is the id of the next one.
        opened: Item<u64>,
        /// The tokens of all open deals.
        held: Item<Balance>,
    }

    /// One deal.
    #[data]
    pub struct Deal {
        /// Who paid.
        pub buyer: Address,
        /// Who is to be paid.
        pub seller: Address,
        /// Who decides where they do not agree.
        pub arbiter: Address,
        /// Base units that buyer and seller deal about.
        pub amount: Balance,
        /// From this block time on the buyer may take the tokens back.
        pub deadline_ms: u64,
        /// Whose the tokens are.
        pub state: State,
    }

    /// How far a deal is.
    #[data]
    #[derive(Copy)]
    pub enum State {
        /// Nobody has the tokens yet.
        Open,
        /// The seller has them.
        Released,
        /// The buyer has them back.
        Refunded,
    }

    /// A buyer paid in.
    #[event]
    pub struct Opened {
        /// Which deal.
        #[indexed]
        pub id: u64,
        /// Who paid.
        #[indexed]
        pub buyer: Address,
        /// Who is to be paid.
        #[indexed]
        pub seller: Address,
        /// Base units.
        pub amount: Balance,
    }

    /// The seller was paid.
    #[event]
    pub struct Released {
        /// Which deal.
        #[indexed]
        pub id: u64,
        /// Who decided so.
        #[indexed]
        pub by: Address,
        /// Base units.
        pub amount: Balance,
    }

    /// The buyer was paid back.
    #[event]
    pub struct Refunded {
        /// Which deal.
        #[indexed]
        pub id: u64,
        /// Who decided so.
        #[indexed]
        pub by: Address,
        /// Base units.
        pub amount: Balance,
    }

    /// Why the escrow refuses.
    #[error]
    pub enum Error {
        /// There is no such deal.
        UnknownDeal {
            /// Which was asked for.
            id: u64,
        },
        /// A deal is about some tokens.
        NothingPaid,
        /// Buyer, seller and arbiter are three: who judges over oneself holds nothing for anybody.
        RolesOverlap,
        /// The deadline is not after now, or too far away.
        BadDeadline {
            /// It must be later than this.
            after_ms: u64,
            /// And this at the latest.
            latest_ms: u64,
        },
        /// The tokens have gone where they belong.
        Settled {
            /// Where that was.
            state: State,
        },
        /// The caller has no say in this.
        NotAllowed,
        /// The buyer alone takes nothing back before the deadline.
        TooEarly {
            /// From when on.
            deadline_ms: u64,
        },
        /// The chain could not send the tokens; nothing changed.
        TransferFailed,
    }

    impl Escrow {
        /// Makes an escrow without deals. Nobody has power over the deals of others.
        #[init]
        pub fn init(&mut self) {
            self.held.set(&0);
        }

        /// Opens a deal about the tokens that come along, and returns its id; the caller is the buyer.
        #[payable]
        pub fn open(
            &mut self,
            seller: Address,
            arbiter: Address,
            deadline_ms: u64,
        ) -> Result<u64, Error> {
            let (buyer, amount) = (self.env().caller(), self.env().value());
            if amount == 0 {
                return Err(Error::NothingPaid);
            }
            if buyer == seller || buyer == arbiter || seller == arbiter {
                return Err(Error::RolesOverlap);
            }
            let after_ms = self.env().time_ms();
            let latest_ms = after_ms.saturating_add(OPEN_MS_MAX);
            if deadline_ms <= after_ms || deadline_ms > latest_ms {
                return Err(Error::BadDeadline {
                    after_ms,
                    latest_ms,
                });
            }
            let id = self.opened();
            self.opened.set(&(id + 1));
            let held = self.held() + amount;
            self.held.set(&held);
            let deal = Deal {
                buyer,
                seller,
                arbiter,
                amount,
                deadline_ms,
                state: State::Open,
            };
            self.deals.set(&id, &deal);
            self.emit(Opened {
                id,
                buyer,
                seller,
                amount,
            });
            Ok(id)
        }

        /// Pays the seller; for the buyer and the arbiter.
        pub fn release(&mut self, id: u64) -> Result<(), Error> {
            let deal = self.open_deal(id)?;
            let by = self.env().caller();
            if by != deal.buyer && by != deal.arbiter {
                return Err(Error::NotAllowed);
            }
            let (seller, amount) = (deal.seller, deal.amount);
            self.settle(id, deal, State::Released, seller)?;
            self.emit(Released { id, by, amount });
            Ok(())
        }

        /// Pays the buyer back; for the seller and the arbiter, and from the deadline on for the buyer.
        pub fn refund(&mut self, id: u64) -> Result<(), Error> {
            let deal = self.open_deal(id)?;
            let by = self.env().caller();
            if by == deal.buyer {
                let deadline_ms = deal.deadline_ms;
                if self.env().time_ms() < deadline_ms {
                    return Err(Error::TooEarly { deadline_ms });
                }
            } else if by != deal.seller && by != deal.arbiter {
                return Err(Error::NotAllowed);
            }
            let (buyer, amount) = (deal.buyer, deal.amount);
            self.settle(id, deal, State::Refunded, buyer)?;
            self.emit(Refunded { id, by, amount });
            Ok(())
        }

        /// A deal.
        pub fn deal(&self, id: u64) -> Result<Deal, Error> {
            self.deals.get(&id).ok_or(Error::UnknownDeal { id })
        }

        /// Deals ever opened; their ids are those below.
        pub fn opened(&self) -> u64 {
            self.opened.get_or_default()
        }

        /// Base units in all open deals.
        pub fn held(&self) -> Balance {
            self.held.get_or_default()
        }

        fn open_deal(&self, id: u64) -> Result<Deal, Error> {
            let deal = self.deal(id)?;
            match deal.state {
                State::Open => Ok(deal),
                state => Err(Error::Settled { state }),
            }
        }

        /// Writes down first that the deal is settled, and then pays.
        fn settle(
            &mut self,
            id: u64,
            mut deal: Deal,
            state: State,
            to: Address,
        ) -> Result<(), Error> {
            deal.state = state;
            self.deals.set(&id, &deal);
            let held = self.held() - deal.amount;
            self.held.set(&held);
            let sent = self.env_mut().transfer(to, deal.amount);
            sent.map_err(|_code| Error::TransferFailed)
        }
    }
}
