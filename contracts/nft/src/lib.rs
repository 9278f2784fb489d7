//! Issue tokens of which each is one of its kind: owners, approvals, operators, and a minter who makes them.
#![cfg_attr(target_family = "wasm", no_std)]

/// The contract.
#[kumiki_contract::contract]
pub mod nft {
    use kumiki_contract::prelude::*;

    /// The longest name, in bytes.
    pub const NAME_BYTES_MAX: u32 = 64;
    /// The longest symbol, in bytes.
    pub const SYMBOL_BYTES_MAX: u32 = 16;
    /// The longest URI of a token, in bytes.
    pub const URI_BYTES_MAX: u32 = 256;

    /// A collection of tokens of which each is one of its kind.
    #[storage]
    pub struct Nft {
        name: Item<String>,
        symbol: Item<String>,
        /// Who makes tokens; nobody any more where there is none.
        minter: Item<Address>,
        /// Tokens that may ever be made.
        made_max: Item<u64>,
        /// Tokens ever made, which is the id of the next one: a burned id never comes back.
        made: Item<u64>,
        supply: Item<u64>,
        tokens: Map<u64, Token>,
        balances: Map<Address, u64>,
        /// The second address may do everything with all tokens of the first, now and later.
        operators: Map<(Address, Address), ()>,
    }

    /// One token.
    #[data]
    pub struct Token {
        /// Whose it is.
        pub owner: Address,
        /// Who may move it once, besides owner and operators.
        pub approved: Option<Address>,
        /// Where it is described.
        pub uri: String,
    }

    /// A token was made.
    #[event]
    pub struct Mint {
        /// For whom.
        #[indexed]
        pub to: Address,
        /// Which.
        #[indexed]
        pub id: u64,
        /// Where it is described.
        pub uri: String,
    }

    /// A token changed hands; whoever was approved no longer is.
    #[event]
    pub struct Transfer {
        /// Who gave.
        #[indexed]
        pub from: Address,
        /// Who received.
        #[indexed]
        pub to: Address,
        /// Which.
        #[indexed]
        pub id: u64,
    }

    /// A token was destroyed.
    #[event]
    pub struct Burn {
        /// Whose.
        #[indexed]
        pub from: Address,
        /// Which.
        #[indexed]
        pub id: u64,
    }

    /// Somebody may move a token, or nobody any more.
    #[event]
    pub struct Approval {
        /// Whose token.
        #[indexed]
        pub owner: Address,
        /// Which.
        #[indexed]
        pub id: u64,
        /// Who may move it.
        pub approved: Option<Address>,
    }

    /// Somebody may act for all tokens of an owner, or no longer.
    #[event]
    pub struct OperatorSet {
        /// Whose tokens.
        #[indexed]
        pub owner: Address,
        /// Who may act.
        #[indexed]
        pub operator: Address,
        /// Whether from now on or no longer.
        pub allowed: bool,
    }

    /// Somebody else makes tokens now, or nobody ever again.
    #[event]
    pub struct MinterSet {
        /// Who.
        pub minter: Option<Address>,
    }

    /// Why the collection refuses.
    #[error]
    pub enum Error {
        /// There is no such token.
        UnknownToken {
            /// Which was asked for.
            id: u64,
        },
        /// The token is somebody else's.
        WrongOwner {
            /// Whose it is.
            owner: Address,
        },
        /// The caller neither owns the token nor may act for its owner.
        NotAllowed {
            /// Whose it is.
            owner: Address,
        },
        /// Only the minter makes tokens and hands that right on.
        NotMinter,
        /// As many tokens as may ever be were made.
        SoldOut {
            /// How many.
            made_max: u64,
        },
        /// A text is too long.
        TooLong {
            /// The most bytes.
            bytes_max: u32,
        },
        /// The zero address is nobody's: a token there would be lost.
        ZeroAddress,
    }

    impl Nft {
        /// Makes an empty collection in which at most `made_max` tokens are ever made; who deploys it is the minter.
        #[init]
        pub fn init(&mut self, name: String, symbol: String, made_max: u64) -> Result<(), Error> {
            check_length(&name, NAME_BYTES_MAX)?;
            check_length(&symbol, SYMBOL_BYTES_MAX)?;
            let minter = self.env().caller();
            self.name.set(&name);
            self.symbol.set(&symbol);
            self.minter.set(&minter);
            self.made_max.set(&made_max);
            Ok(())
        }

        /// Makes a token and returns its id; only for the minter.
        pub fn mint(&mut self, to: Address, uri: String) -> Result<u64, Error> {
            self.check_minter()?;
            check_receiver(to)?;
            check_length(&uri, URI_BYTES_MAX)?;
            let (id, made_max) = (self.made(), self.made_max());
            if id >= made_max {
                return Err(Error::SoldOut { made_max });
            }
            self.made.set(&(id + 1));
            let supply = self.total_supply() + 1;
            self.supply.set(&supply);
            self.add_to_balance(to);
            let token = Token {
                owner: to,
                approved: None,
                uri: uri.clone(),
            };
            self.tokens.set(&id, &token);
            self.emit(Mint { to, id, uri });
            Ok(id)
        }

        /// Moves a token of `from`; for its owner, operators of the owner, and who is approved. Nobody is approved
        /// afterwards.
        pub fn transfer(&mut self, from: Address, to: Address, id: u64) -> Result<(), Error> {
            check_receiver(to)?;
            let mut token = self.token_to_move(id)?;
            let owner = token.owner;
            // Who signed this may have meant it while the token was another's.
            if owner != from {
                return Err(Error::WrongOwner { owner });
            }
            token.owner = to;
            token.approved = None;
            self.tokens.set(&id, &token);
            self.take_from_balance(from);
            self.add_to_balance(to);
            self.emit(Transfer { from, to, id });
            Ok(())
        }

        /// Destroys a token; for those who may move it.
        pub fn burn(&mut self, id: u64) -> Result<(), Error> {
            let from = self.token_to_move(id)?.owner;
            self.tokens.remove(&id);
            self.take_from_balance(from);
            let supply = self.total_supply() - 1;
            self.supply.set(&supply);
            self.emit(Burn { from, id });
            Ok(())
        }

        /// Lets `approved` move one token, or nobody; for its owner and operators of the owner.
        pub fn approve(&mut self, approved: Option<Address>, id: u64) -> Result<(), Error> {
            let mut token = self.token(id)?;
            let owner = token.owner;
            if !self.acts_for(owner) {
                return Err(Error::NotAllowed { owner });
            }
            token.approved = approved;
            self.tokens.set(&id, &token);
            self.emit(Approval {
                owner,
                id,
                approved,
            });
            Ok(())
        }

        /// Lets `operator` act for all tokens of the caller, or no longer.
        pub fn set_operator(&mut self, operator: Address, allowed: bool) {
            let owner = self.env().caller();
            if allowed {
                self.operators.set(&(owner, operator), &());
            } else {
                self.operators.remove(&(owner, operator));
            }
            self.emit(OperatorSet {
                owner,
                operator,
                allowed,
            });
        }

        /// Hands the right to make tokens on, or gives it up for ever; only for the minter.
        pub fn set_minter(&mut self, minter: Option<Address>) -> Result<(), Error> {
            self.check_minter()?;
            match minter {
                Some(minter) => self.minter.set(&minter),
                None => self.minter.clear(),
            }
            self.emit(MinterSet { minter });
            Ok(())
        }

        /// The collection's name.
        pub fn name(&self) -> String {
            self.name.get_or_default()
        }

        /// The collection's symbol.
        pub fn symbol(&self) -> String {
            self.symbol.get_or_default()
        }

        /// Who makes tokens.
        pub fn minter(&self) -> Option<Address> {
            self.minter.get()
        }

        /// Tokens that may ever be made.
        pub fn made_max(&self) -> u64 {
            self.made_max.get_or_default()
        }

        /// Tokens ever made; their ids are those below.
        pub fn made(&self) -> u64 {
            self.made.get_or_default()
        }

        /// Tokens that exist.
        pub fn total_supply(&self) -> u64 {
            self.supply.get_or_default()
        }

        /// How many tokens an address holds.
        pub fn balance_of(&self, owner: Address) -> u64 {
            self.balances.get_or_default(&owner)
        }

        /// A token: owner, who is approved, URI.
        pub fn token(&self, id: u64) -> Result<Token, Error> {
            self.tokens.get(&id).ok_or(Error::UnknownToken { id })
        }

        /// Whether `operator` may act for all tokens of `owner`.
        pub fn is_operator(&self, owner: Address, operator: Address) -> bool {
            self.operators.contains(&(owner, operator))
        }

        fn check_minter(&self) -> Result<(), Error> {
            if self.minter.get() == Some(self.env().caller()) {
                Ok(())
            } else {
                Err(Error::NotMinter)
            }
        }

        /// Whether the caller is the owner or an operator of the owner.
        fn acts_for(&self, owner: Address) -> bool {
            let caller = self.env().caller();
            caller == owner || self.is_operator(owner, caller)
        }

        fn token_to_move(&self, id: u64) -> Result<Token, Error> {
            let token = self.token(id)?;
            let owner = token.owner;
            if token.approved == Some(self.env().caller()) || self.acts_for(owner) {
                Ok(token)
            } else {
                Err(Error::NotAllowed { owner })
            }
        }

        fn add_to_balance(&mut self, owner: Address) {
            let mut balance = self.balances.entry(&owner);
            let sum = balance.get_or_default() + 1;
            balance.set(&sum);
        }

        fn take_from_balance(&mut self, owner: Address) {
            let mut balance = self.balances.entry(&owner);
            let rest = balance.get_or_default() - 1;
            balance.set(&rest);
        }
    }

    fn check_length(text: &str, bytes_max: u32) -> Result<(), Error> {
        if text.len() as u64 > u64::from(bytes_max) {
            return Err(Error::TooLong { bytes_max });
        }
        Ok(())
    }

    fn check_receiver(to: Address) -> Result<(), Error> {
        if to == Address::default() {
            return Err(Error::ZeroAddress);
        }
        Ok(())
    }
}
