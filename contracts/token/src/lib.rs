//! Issue a fungible token: balances, allowances, and an owner who mints.
#![cfg_attr(target_family = "wasm", no_std)]

/// The contract.
#[kumiki_contract::contract]
pub mod token {
    use kumiki_contract::prelude::*;

    /// A fungible token.
    #[storage]
    pub struct Token {
        name: Item<String>,
        symbol: Item<String>,
        decimals: Item<u8>,
        owner: Item<Address>,
        total_supply: Item<Balance>,
        balances: Map<Address, Balance>,
        /// What the second address may spend of the first one's tokens.
        allowances: Map<(Address, Address), Balance>,
    }

    /// Tokens changed hands.
    #[event]
    pub struct Transfer {
        /// Who gave.
        #[indexed]
        pub from: Address,
        /// Who received.
        #[indexed]
        pub to: Address,
        /// How many base units.
        pub amount: Balance,
    }

    /// Somebody let somebody else spend.
    #[event]
    pub struct Approval {
        /// Whose tokens.
        #[indexed]
        pub owner: Address,
        /// Who may spend them.
        #[indexed]
        pub spender: Address,
        /// How many base units from now on.
        pub amount: Balance,
    }

    /// New tokens were made.
    #[event]
    pub struct Mint {
        /// For whom.
        #[indexed]
        pub to: Address,
        /// How many base units.
        pub amount: Balance,
    }

    /// Tokens were destroyed.
    #[event]
    pub struct Burn {
        /// Whose.
        #[indexed]
        pub from: Address,
        /// How many base units.
        pub amount: Balance,
    }

    /// Why the token refuses.
    #[error]
    pub enum Error {
        /// The payer holds too little.
        InsufficientBalance {
            /// What the payer holds.
            available: Balance,
        },
        /// The caller may spend less of the payer's tokens.
        InsufficientAllowance {
            /// What the caller may spend.
            available: Balance,
        },
        /// Only the owner of the token mints.
        NotOwner,
        /// The total supply would exceed 128 bits.
        SupplyOverflow,
    }

    impl Token {
        /// Makes the token; who deploys it owns it and holds the whole `supply`.
        #[init]
        pub fn init(&mut self, name: String, symbol: String, decimals: u8, supply: Balance) {
            let owner = self.env().caller();
            self.name.set(&name);
            self.symbol.set(&symbol);
            self.decimals.set(&decimals);
            self.owner.set(&owner);
            self.total_supply.set(&supply);
            self.balances.set(&owner, &supply);
            self.emit(Mint {
                to: owner,
                amount: supply,
            });
        }

        /// Moves the caller's tokens.
        pub fn transfer(&mut self, to: Address, amount: Balance) -> Result<(), Error> {
            let from = self.env().caller();
            self.move_tokens(from, to, amount)
        }

        /// Lets `spender` spend up to `amount` of the caller's tokens, whatever it was before.
        pub fn approve(&mut self, spender: Address, amount: Balance) {
            let owner = self.env().caller();
            self.allowances.set(&(owner, spender), &amount);
            self.emit(Approval {
                owner,
                spender,
                amount,
            });
        }

        /// Moves tokens of `from` that the caller may spend.
        pub fn transfer_from(
            &mut self,
            from: Address,
            to: Address,
            amount: Balance,
        ) -> Result<(), Error> {
            let spender = self.env().caller();
            let mut allowance = self.allowances.entry(&(from, spender));
            let available = allowance.get_or_default();
            let Some(rest) = available.checked_sub(amount) else {
                return Err(Error::InsufficientAllowance { available });
            };
            allowance.set(&rest);
            self.move_tokens(from, to, amount)
        }

        /// Makes new tokens; only for the owner of the token.
        pub fn mint(&mut self, to: Address, amount: Balance) -> Result<(), Error> {
            if self.owner.get() != Some(self.env().caller()) {
                return Err(Error::NotOwner);
            }
            let supply = self.total_supply();
            let supply = supply.checked_add(amount).ok_or(Error::SupplyOverflow)?;
            self.total_supply.set(&supply);
            let mut balance = self.balances.entry(&to);
            let sum = balance.get_or_default() + amount;
            balance.set(&sum);
            self.emit(Mint { to, amount });
            Ok(())
        }

        /// Destroys tokens of the caller.
        pub fn burn(&mut self, amount: Balance) -> Result<(), Error> {
            let from = self.env().caller();
            self.take(from, amount)?;
            let supply = self.total_supply() - amount;
            self.total_supply.set(&supply);
            self.emit(Burn { from, amount });
            Ok(())
        }

        /// The token's name.
        pub fn name(&self) -> String {
            self.name.get_or_default()
        }

        /// The token's symbol.
        pub fn symbol(&self) -> String {
            self.symbol.get_or_default()
        }

        /// Base units in a display unit, as a power of ten.
        pub fn decimals(&self) -> u8 {
            self.decimals.get_or_default()
        }

        /// Who may mint.
        pub fn owner(&self) -> Address {
            self.owner.get_or_default()
        }

        /// Base units that exist.
        pub fn total_supply(&self) -> Balance {
            self.total_supply.get_or_default()
        }

        /// Base units that an address holds.
        pub fn balance_of(&self, owner: Address) -> Balance {
            self.balances.get_or_default(&owner)
        }

        /// Base units that `spender` may spend of `owner`'s.
        pub fn allowance(&self, owner: Address, spender: Address) -> Balance {
            self.allowances.get_or_default(&(owner, spender))
        }

        fn move_tokens(
            &mut self,
            from: Address,
            to: Address,
            amount: Balance,
        ) -> Result<(), Error> {
            self.take(from, amount)?;
            let mut receiver = self.balances.entry(&to);
            // Balances add up to the total supply, so this cannot overflow.
            let sum = receiver.get_or_default() + amount;
            receiver.set(&sum);
            self.emit(Transfer { from, to, amount });
            Ok(())
        }

        fn take(&mut self, from: Address, amount: Balance) -> Result<(), Error> {
            let mut payer = self.balances.entry(&from);
            let available = payer.get_or_default();
            let Some(rest) = available.checked_sub(amount) else {
                return Err(Error::InsufficientBalance { available });
            };
            payer.set(&rest);
            Ok(())
        }
    }
}
