//! Number the ways a call can end. The numbers are consensus: receipts and the `call` host function hold them.

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(
    feature = "scale",
    derive(parity_scale_codec::Encode, parity_scale_codec::Decode)
)]
#[repr(u8)]
pub enum ResultCode {
    /// It did what it should.
    Ok = 0,
    /// The contract refused, with data.
    Reverted = 1,
    /// The gas ran out.
    OutOfGas = 2,
    /// The injected stack counter ran out.
    StackOverflow = 3,
    /// The contract broke a rule of Wasm or of the host: unreachable, bad access, division by zero, bad pointer.
    Trap = 4,
    /// Too many calls on top of each other.
    CallDepth = 5,
    /// A size or count limit of the protocol.
    Limit = 6,
    /// The contract is on the call stack already and the message does not allow re-entry.
    Reentrancy = 7,
    /// There is no contract at this address.
    UnknownContract = 8,
    /// The payer has too little.
    InsufficientBalance = 9,
    /// The code breaks a rule of deployment, or has no such entry point.
    InvalidCode = 10,
    /// A contract with this deployer, salt and code exists.
    AddressTaken = 11,
    /// Only the admin may do this.
    NotAllowed = 12,
    /// A query tried to change something.
    ReadOnly = 13,
    /// There is no code with this hash.
    UnknownCode = 14,
}

impl ResultCode {
    /// Every code, by number.
    pub const ALL: [Self; 15] = [
        Self::Ok,
        Self::Reverted,
        Self::OutOfGas,
        Self::StackOverflow,
        Self::Trap,
        Self::CallDepth,
        Self::Limit,
        Self::Reentrancy,
        Self::UnknownContract,
        Self::InsufficientBalance,
        Self::InvalidCode,
        Self::AddressTaken,
        Self::NotAllowed,
        Self::ReadOnly,
        Self::UnknownCode,
    ];

    /// The code as host functions return it.
    #[must_use]
    pub const fn as_i32(self) -> i32 {
        self as i32
    }

    /// The code with this number.
    #[must_use]
    pub fn from_i32(number: i32) -> Option<Self> {
        usize::try_from(number)
            .ok()
            .and_then(|index| Self::ALL.get(index).copied())
    }

    /// The name users read, in receipts over RPC and in the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Reverted => "reverted",
            Self::OutOfGas => "outOfGas",
            Self::StackOverflow => "stackOverflow",
            Self::Trap => "trap",
            Self::CallDepth => "callDepth",
            Self::Limit => "limit",
            Self::Reentrancy => "reentrancy",
            Self::UnknownContract => "unknownContract",
            Self::InsufficientBalance => "insufficientBalance",
            Self::InvalidCode => "invalidCode",
            Self::AddressTaken => "addressTaken",
            Self::NotAllowed => "notAllowed",
            Self::ReadOnly => "readOnly",
            Self::UnknownCode => "unknownCode",
        }
    }
}
