//! Run the system contract that validators join and leave by: `docs/spec/validators.md`.
//!
//! It is called like any contract (selector, SCALE arguments, revert data, events) and has metadata of the same
//! schema, but it is native, and only transactions call it.

mod methods;
mod refusal;
mod registry;
mod rotation;
mod sets;

use kumiki_abi::{REVERT_CONTRACT, REVERT_SDK, SdkError};
use kumiki_protocol::{
    Address, Amount, Decode, Encode, Evidence, Gas, PublicKey, ResultCode, Signature,
    ValidatorsCall, decode_bounded, limits, sha3_256,
};
use kumiki_vm::{Outcome, Session, gas};

use crate::ExecutionFailure;
use crate::transaction::Rules;
use methods::Caller;
use refusal::Refusal;

pub use refusal::ValidatorsError;
pub(crate) use rotation::rotate;
pub use sets::validators_at;

/// Metadata of the contract, JSON of the schema `kumiki-abi/1`.
pub const VALIDATORS_ABI: &str = include_str!("validators/abi.json");

/// A call of the contract by a transaction.
pub(crate) struct Call<'a> {
    pub(crate) caller: Address,
    pub(crate) input: &'a [u8],
    pub(crate) value: Amount,
    pub(crate) gas: Gas,
}

#[derive(Clone, Copy)]
enum Method {
    Join,
    Leave,
    Withdraw,
    Report,
}

#[derive(Clone, Copy)]
enum View {
    Validator,
    Validators,
    NextValidators,
}

const METHODS: [(&str, Method, Gas); 4] = [
    (ValidatorsCall::JOIN, Method::Join, gas::VALIDATORS_JOIN),
    (ValidatorsCall::LEAVE, Method::Leave, gas::VALIDATORS_LEAVE),
    (
        ValidatorsCall::WITHDRAW,
        Method::Withdraw,
        gas::VALIDATORS_WITHDRAW,
    ),
    (
        ValidatorsCall::REPORT,
        Method::Report,
        gas::VALIDATORS_REPORT,
    ),
];

const VIEWS: [(&str, View, Gas); 3] = [
    ("validator([u8; 32])", View::Validator, gas::VALIDATORS_VIEW),
    ("validators()", View::Validators, gas::VALIDATORS_VIEW_SET),
    (
        "next_validators()",
        View::NextValidators,
        gas::VALIDATORS_VIEW_SET,
    ),
];

/// Runs one method. What a failed call wrote is the transaction's to undo.
pub(crate) fn call(
    rules: &Rules<'_>,
    mut session: Session,
    call: &Call<'_>,
) -> Result<(Session, Outcome), ExecutionFailure> {
    let Some((method, price, arguments)) = find(&METHODS, call.input) else {
        let outcome = priced(gas::VALIDATORS_UNKNOWN, call.gas, || {
            Err(SdkError::UnknownSelector.into())
        })?;
        return Ok((session, outcome));
    };
    let outcome = priced(price, call.gas, || {
        if call.value > 0 && !matches!(method, Method::Join) {
            return Err(SdkError::NotPayable.into());
        }
        let mut caller = Caller {
            rules,
            session: &mut session,
            address: call.caller,
        };
        match method {
            Method::Join => {
                let (key, proof): (PublicKey, Signature) = decode(arguments)?;
                caller.join(key, &proof, call.value)
            }
            Method::Leave => caller.leave(decode(arguments)?),
            Method::Withdraw => caller.withdraw(decode(arguments)?),
            Method::Report => caller.report(&decode::<Evidence>(arguments)?),
        }
        .map(|()| Vec::new())
    })?;
    Ok((session, outcome))
}

/// Answers one view over the state before the block of `rules`.
pub(crate) fn view(
    rules: &Rules<'_>,
    mut session: Session,
    input: &[u8],
    gas: Gas,
) -> Result<(Session, Outcome), ExecutionFailure> {
    let Some((view, price, arguments)) = find(&VIEWS, input) else {
        let outcome = priced(gas::VALIDATORS_UNKNOWN, gas, || {
            Err(SdkError::UnknownSelector.into())
        })?;
        return Ok((session, outcome));
    };
    let outcome = priced(price, gas, || {
        Ok(match view {
            View::Validator => registry::record(&mut session, &decode(arguments)?)?.encode(),
            View::Validators => {
                let () = decode(arguments)?;
                sets::in_force(rules, &mut session)?.encode()
            }
            View::NextValidators => {
                let () = decode(arguments)?;
                sets::next(rules, &mut session)?.encode()
            }
        })
    })?;
    Ok((session, outcome))
}

/// What the selector names in `table`, its price, and the arguments.
fn find<'a, T: Copy>(table: &[(&str, T, Gas)], input: &'a [u8]) -> Option<(T, Gas, &'a [u8])> {
    let (selector, arguments) = input.split_at_checked(4)?;
    table
        .iter()
        .find(|(signature, ..)| sha3_256(&[signature.as_bytes()]).0.starts_with(selector))
        .map(|(_, named, price)| (*named, *price, arguments))
}

/// No method's arguments are longer than evidence.
fn decode<T: Decode>(arguments: &[u8]) -> Result<T, Refusal> {
    decode_bounded(arguments, limits::EVIDENCE_BYTES_MAX)
        .map_err(|_malformed| SdkError::BadInput.into())
}

/// Does `work` if `gas` pays its price, which is the same however it ends.
fn priced(
    price: Gas,
    gas: Gas,
    work: impl FnOnce() -> Result<Vec<u8>, Refusal>,
) -> Result<Outcome, ExecutionFailure> {
    let ended = |code, data, gas_used| Outcome {
        code,
        data,
        gas_used,
    };
    if gas < price {
        return Ok(ended(ResultCode::OutOfGas, Vec::new(), gas));
    }
    match work() {
        Ok(data) => Ok(ended(ResultCode::Ok, data, price)),
        Err(Refusal::Contract(error)) => {
            let data = [vec![REVERT_CONTRACT], error.encode()].concat();
            Ok(ended(ResultCode::Reverted, data, price))
        }
        Err(Refusal::Sdk(error)) => {
            let data = vec![REVERT_SDK, error as u8];
            Ok(ended(ResultCode::Reverted, data, price))
        }
        Err(Refusal::Code(code)) => Ok(ended(code, Vec::new(), price)),
        Err(Refusal::Failed(failure)) => Err(failure),
    }
}
