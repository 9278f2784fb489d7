//! Let people register names that lead to addresses, for a yearly price, until the names expire.
#![cfg_attr(target_family = "wasm", no_std)]

/// The contract.
#[kumiki_contract::contract]
pub mod registry {
    use kumiki_contract::prelude::*;

    /// The shortest name, in bytes.
    pub const NAME_BYTES_MIN: u32 = 3;
    /// The longest name, in bytes.
    pub const NAME_BYTES_MAX: u32 = 32;
    /// The longest note at a name, in bytes.
    pub const NOTE_BYTES_MAX: u32 = 256;
    /// How far from now a name may expire, in years.
    pub const YEARS_MAX: u8 = 10;
    /// A year of 365 days.
    pub const YEAR_MS: u64 = 365 * 24 * 60 * 60 * 1_000;
    /// How long a name that expired waits for its holder before anybody may have it: thirty days.
    pub const GRACE_MS: u64 = 30 * 24 * 60 * 60 * 1_000;

    /// Names and where they lead.
    #[storage]
    pub struct Registry {
        /// Who sets the price and has the income.
        owner: Item<Address>,
        /// Base units for one name and year.
        price: Item<Balance>,
        /// By normalised name.
        records: Map<String, Record>,
    }

    /// A registered name.
    #[data]
    pub struct Record {
        /// Whose it is.
        pub holder: Address,
        /// Where it leads.
        pub target: Option<Address>,
        /// What the holder says about it.
        pub note: String,
        /// From this block time on it leads nowhere.
        pub expires_ms: u64,
    }

    /// Somebody has a name that was free.
    #[event]
    pub struct Registered {
        /// The name.
        #[indexed]
        pub name: String,
        /// Who.
        #[indexed]
        pub holder: Address,
        /// Until when.
        pub expires_ms: u64,
    }

    /// A name lasts longer.
    #[event]
    pub struct Renewed {
        /// The name.
        #[indexed]
        pub name: String,
        /// Until when.
        pub expires_ms: u64,
    }

    /// A name leads elsewhere, or its note changed.
    #[event]
    pub struct Changed {
        /// The name.
        #[indexed]
        pub name: String,
        /// Where it leads.
        pub target: Option<Address>,
        /// What its holder says about it.
        pub note: String,
    }

    /// A name is somebody else's.
    #[event]
    pub struct Transferred {
        /// The name.
        #[indexed]
        pub name: String,
        /// Who had it.
        #[indexed]
        pub from: Address,
        /// Who has it.
        #[indexed]
        pub to: Address,
    }

    /// A holder gave a name up.
    #[event]
    pub struct Released {
        /// The name.
        #[indexed]
        pub name: String,
    }

    /// A year costs something else.
    #[event]
    pub struct PriceSet {
        /// Base units for one name and year.
        pub price: Balance,
    }

    /// Why the registry refuses.
    #[error]
    pub enum Error {
        /// A name has 3 to 32 bytes.
        BadLength {
            /// The fewest.
            bytes_min: u32,
            /// The most.
            bytes_max: u32,
        },
        /// Names are made of letters a to z, digits, and single hyphens between them.
        BadCharacter {
            /// Where the first byte is that cannot stand there.
            at: u32,
        },
        /// Somebody has the name.
        Taken {
            /// When anybody may have it, unless it is renewed.
            free_at_ms: u64,
        },
        /// Nobody has the name, or it expired.
        NotRegistered,
        /// The name is somebody else's.
        NotHolder,
        /// The registry is somebody else's.
        NotOwner,
        /// A name is registered and renewed by at least a year, and never beyond ten years from now.
        BadYears {
            /// The most.
            years_max: u8,
        },
        /// Other than the exact price was paid.
        WrongPrice {
            /// What it is.
            expected: Balance,
        },
        /// The price does not fit 128 bits.
        PriceOverflow,
        /// The note is too long.
        NoteTooLong {
            /// The most bytes.
            bytes_max: u32,
        },
        /// The zero address is nobody's.
        ZeroAddress,
        /// There is less to take out.
        TransferFailed {
            /// What there is.
            available: Balance,
        },
    }

    impl Registry {
        /// Makes an empty registry where a name costs `price` a year; who deploys it has the income.
        #[init]
        pub fn init(&mut self, price: Balance) {
            let owner = self.env().caller();
            self.owner.set(&owner);
            self.price.set(&price);
        }

        /// Registers a name that is free for the caller, who sends exactly the price of that many years; returns when
        /// it expires.
        #[payable]
        pub fn register(&mut self, name: String, years: u8) -> Result<u64, Error> {
            let name = normalised(&name)?;
            let now_ms = self.env().time_ms();
            if let Some(record) = self.records.get(&name) {
                let free_at_ms = record.expires_ms.saturating_add(GRACE_MS);
                if now_ms < free_at_ms {
                    return Err(Error::Taken { free_at_ms });
                }
            }
            let expires_ms = self.paid_until(now_ms, years)?;
            let holder = self.env().caller();
            // A new record: nothing that an earlier holder wrote stays.
            let record = Record {
                holder,
                target: None,
                note: String::new(),
                expires_ms,
            };
            self.records.set(&name, &record);
            self.emit(Registered {
                name,
                holder,
                expires_ms,
            });
            Ok(expires_ms)
        }

        /// Lets a name last that many years longer for exactly their price; returns when it expires. Anybody may pay,
        /// also in the thirty days after it expired.
        #[payable]
        pub fn renew(&mut self, name: String, years: u8) -> Result<u64, Error> {
            let name = normalised(&name)?;
            let mut record = self.records.get(&name).ok_or(Error::NotRegistered)?;
            if self.env().time_ms() >= record.expires_ms.saturating_add(GRACE_MS) {
                return Err(Error::NotRegistered);
            }
            // From when it expires, not from now: no year is lost by renewing early, and none won by renewing late.
            let expires_ms = self.paid_until(record.expires_ms, years)?;
            record.expires_ms = expires_ms;
            self.records.set(&name, &record);
            self.emit(Renewed { name, expires_ms });
            Ok(expires_ms)
        }

        /// Says where a name leads and what there is to say about it; for its holder.
        pub fn set(
            &mut self,
            name: String,
            target: Option<Address>,
            note: String,
        ) -> Result<(), Error> {
            if note.len() as u64 > u64::from(NOTE_BYTES_MAX) {
                return Err(Error::NoteTooLong {
                    bytes_max: NOTE_BYTES_MAX,
                });
            }
            let (name, mut record) = self.of_caller(&name)?;
            record.target = target;
            record.note.clone_from(&note);
            self.records.set(&name, &record);
            self.emit(Changed { name, target, note });
            Ok(())
        }

        /// Gives a name to somebody else; for its holder. It leads nowhere until the new holder says where.
        pub fn transfer(&mut self, name: String, to: Address) -> Result<(), Error> {
            if to == Address::default() {
                return Err(Error::ZeroAddress);
            }
            let (name, mut record) = self.of_caller(&name)?;
            let from = record.holder;
            record.holder = to;
            record.target = None;
            record.note = String::new();
            self.records.set(&name, &record);
            self.emit(Transferred { name, from, to });
            Ok(())
        }

        /// Gives a name up, which is free at once; for its holder. Nothing is paid back.
        pub fn release(&mut self, name: String) -> Result<(), Error> {
            let (name, _record) = self.of_caller(&name)?;
            self.records.remove(&name);
            self.emit(Released { name });
            Ok(())
        }

        /// Sets the price of what is registered and renewed from now on; for the owner.
        pub fn set_price(&mut self, price: Balance) -> Result<(), Error> {
            self.check_owner()?;
            self.price.set(&price);
            self.emit(PriceSet { price });
            Ok(())
        }

        /// Takes income out; for the owner.
        pub fn withdraw(&mut self, to: Address, amount: Balance) -> Result<(), Error> {
            self.check_owner()?;
            let available = self.env().balance(self.env().self_address());
            let sent = self.env_mut().transfer(to, amount);
            sent.map_err(|_code| Error::TransferFailed { available })
        }

        /// Where a name leads, unless it expired.
        pub fn resolve(&self, name: String) -> Result<Option<Address>, Error> {
            Ok(self.live(&normalised(&name)?)?.target)
        }

        /// What is registered under a name, also where that expired.
        pub fn record(&self, name: String) -> Result<Option<Record>, Error> {
            Ok(self.records.get(&normalised(&name)?))
        }

        /// Whether anybody may register a name now.
        pub fn is_free(&self, name: String) -> Result<bool, Error> {
            let record = self.records.get(&normalised(&name)?);
            let now_ms = self.env().time_ms();
            Ok(record.is_none_or(|record| now_ms >= record.expires_ms.saturating_add(GRACE_MS)))
        }

        /// Base units for one name and year.
        pub fn price(&self) -> Balance {
            self.price.get_or_default()
        }

        /// Who sets the price and has the income.
        pub fn owner(&self) -> Address {
            self.owner.get_or_default()
        }

        /// When a name expires that is paid for `years` from `from_ms` on.
        fn paid_until(&self, from_ms: u64, years: u8) -> Result<u64, Error> {
            let added_ms = u64::from(years) * YEAR_MS;
            let until_ms = from_ms.saturating_add(added_ms);
            let latest_ms = self
                .env()
                .time_ms()
                .saturating_add(u64::from(YEARS_MAX) * YEAR_MS);
            if years == 0 || until_ms > latest_ms {
                return Err(Error::BadYears {
                    years_max: YEARS_MAX,
                });
            }
            let price = self.price().checked_mul(u128::from(years));
            let expected = price.ok_or(Error::PriceOverflow)?;
            if self.env().value() != expected {
                return Err(Error::WrongPrice { expected });
            }
            Ok(until_ms)
        }

        fn live(&self, name: &String) -> Result<Record, Error> {
            let record = self.records.get(name).ok_or(Error::NotRegistered)?;
            if self.env().time_ms() >= record.expires_ms {
                return Err(Error::NotRegistered);
            }
            Ok(record)
        }

        fn of_caller(&self, name: &str) -> Result<(String, Record), Error> {
            let name = normalised(name)?;
            let record = self.live(&name)?;
            if record.holder != self.env().caller() {
                return Err(Error::NotHolder);
            }
            Ok((name, record))
        }

        fn check_owner(&self) -> Result<(), Error> {
            if self.owner.get() == Some(self.env().caller()) {
                Ok(())
            } else {
                Err(Error::NotOwner)
            }
        }
    }

    /// The one way in which a name is written: capitals become small. Other letters than a to z are refused, since
    /// people cannot tell many of them apart.
    fn normalised(name: &str) -> Result<String, Error> {
        let length = u32::try_from(name.len()).unwrap_or(u32::MAX);
        if !(NAME_BYTES_MIN..=NAME_BYTES_MAX).contains(&length) {
            return Err(Error::BadLength {
                bytes_min: NAME_BYTES_MIN,
                bytes_max: NAME_BYTES_MAX,
            });
        }
        let mut after_hyphen = true;
        for (at, byte) in (0_u32..).zip(name.bytes()) {
            let fits = match byte {
                b'-' => !after_hyphen && at + 1 < length,
                _ => byte.is_ascii_alphanumeric(),
            };
            if !fits {
                return Err(Error::BadCharacter { at });
            }
            after_hyphen = byte == b'-';
        }
        Ok(name.to_ascii_lowercase())
    }
}
