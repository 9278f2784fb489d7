//! Execute one transaction: reserve the fee, run the actions all or none, charge the gas on every path.

use kumiki_protocol::{
    AccountRecord, Action, Address, Amount, ChainKind, Decode, Encode, Gas, Hash, Height, Nonce,
    Parameters, Receipt, Rejection, ResultCode, Status, TransactionBody, TransactionHash,
    VALIDATORS_CONTRACT, limits, state_key,
};
use kumiki_vm::{
    Deployment, Diagnostics, Entry, Message, Outcome, Session, TracedAction, Upgrade, Vm, gas,
};

use crate::code::{deploy, replace_code, source};
use crate::{ExecutionFailure, validators};

/// What every transaction of one block is executed under.
pub(crate) struct Rules<'a> {
    pub(crate) vm: &'a Vm,
    pub(crate) genesis_hash: Hash,
    pub(crate) kind: ChainKind,
    pub(crate) parameters: Parameters,
    pub(crate) height: Height,
}

/// A transaction's receipt and what developers may want to know beside it.
pub(crate) struct Executed {
    pub(crate) receipt: Receipt,
    pub(crate) diagnostics: Diagnostics,
}

/// The gas that a transaction of `encoded_bytes` bytes costs before its first action.
pub(crate) fn intrinsic_gas(encoded_bytes: usize) -> Gas {
    let bytes = u64::try_from(encoded_bytes).unwrap_or(u64::MAX);
    gas::TRANSACTION_BASE
        .saturating_add(gas::SIGNATURE)
        .saturating_add(gas::TRANSACTION_PER_BYTE.saturating_mul(bytes))
}

/// Executes `body`, whose signature is verified and whose encoding with signature has `encoded_bytes` bytes.
///
/// A rejected transaction leaves the session as it was. Every other one pays for the gas it used and uses up its
/// nonce, whatever its actions came to.
pub(crate) fn execute(
    rules: &Rules<'_>,
    mut session: Session,
    body: &TransactionBody,
    hash: TransactionHash,
    encoded_bytes: usize,
) -> Result<(Session, Executed), ExecutionFailure> {
    session.begin_transaction();
    let sender = body.sender_address();
    let account = read_account(&mut session, &sender)?;
    let intrinsic = intrinsic_gas(encoded_bytes);
    if let Err(rejection) = check(rules, body, &account, intrinsic) {
        let receipt = rejected(hash, rejection);
        return Ok((
            session,
            Executed {
                receipt,
                diagnostics: Diagnostics::default(),
            },
        ));
    }
    // Reserve the whole fee cap first: no action can spend what the gas will cost.
    let reserved = AccountRecord {
        nonce: account.nonce.saturating_add(1),
        balance: account.balance.saturating_sub(body.fee_cap()),
    };
    write_account(&mut session, &sender, reserved);

    let run = run_actions(rules, session, body, &sender, intrinsic)?;
    let mut session = run.session;
    let fee = Amount::from(run.gas_used).saturating_mul(Amount::from(body.gas_price));
    refund(&mut session, &sender, body.fee_cap().saturating_sub(fee))?;
    let events = std::mem::take(&mut session.events);
    let succeeded = run.status == Status::Ok;
    let receipt = Receipt {
        transaction: hash,
        status: run.status,
        gas_used: run.gas_used,
        fee,
        outputs: if succeeded { run.outputs } else { Vec::new() },
        events: if succeeded { events } else { Vec::new() },
    };
    let diagnostics = std::mem::take(&mut session.diagnostics);
    Ok((
        session,
        Executed {
            receipt,
            diagnostics,
        },
    ))
}

/// The receipt of a transaction that was passed over.
pub(crate) fn rejected(hash: TransactionHash, rejection: Rejection) -> Receipt {
    Receipt {
        transaction: hash,
        status: Status::Rejected(rejection),
        gas_used: 0,
        fee: 0,
        outputs: Vec::new(),
        events: Vec::new(),
    }
}

fn check(
    rules: &Rules<'_>,
    body: &TransactionBody,
    account: &AccountRecord,
    intrinsic: Gas,
) -> Result<(), Rejection> {
    if body.check_form().is_err() || body.check_kind(rules.kind).is_err() {
        return Err(Rejection::Malformed);
    }
    if body.genesis_hash != rules.genesis_hash {
        return Err(Rejection::WrongChain);
    }
    check_nonce(body.nonce, account.nonce)?;
    if rules.height > body.valid_until {
        return Err(Rejection::Expired);
    }
    if body.valid_until.saturating_sub(rules.height) > limits::VALID_UNTIL_WINDOW_MAX {
        return Err(Rejection::ValidUntilTooFar);
    }
    if body.gas_price < rules.parameters.gas_price_min {
        return Err(Rejection::GasPriceTooLow);
    }
    if body.gas_limit < intrinsic || body.gas_limit > rules.parameters.block_gas_max {
        return Err(Rejection::GasLimitOutOfRange);
    }
    let needed = body
        .value()
        .and_then(|value| value.checked_add(body.fee_cap()));
    match needed {
        Some(needed) if needed <= account.balance => Ok(()),
        Some(_) | None => Err(Rejection::InsufficientFunds),
    }
}

fn check_nonce(given: Nonce, expected: Nonce) -> Result<(), Rejection> {
    match given.cmp(&expected) {
        std::cmp::Ordering::Less => Err(Rejection::NonceTooLow),
        std::cmp::Ordering::Equal => Ok(()),
        std::cmp::Ordering::Greater => Err(Rejection::NonceGap),
    }
}

struct Run {
    session: Session,
    status: Status,
    gas_used: Gas,
    outputs: Vec<Vec<u8>>,
}

/// Runs the actions in order; the first that fails undoes all of them.
fn run_actions(
    rules: &Rules<'_>,
    mut session: Session,
    body: &TransactionBody,
    sender: &Address,
    intrinsic: Gas,
) -> Result<Run, ExecutionFailure> {
    let checkpoint = session.journal.checkpoint();
    let mut gas_used = intrinsic;
    let mut outputs = Vec::with_capacity(body.actions.len());
    let mut acting = *sender;
    for (index, action) in body.actions.iter().enumerate() {
        let gas_left = body.gas_limit.saturating_sub(gas_used);
        if let Action::Impersonate { account } = action {
            acting = *account;
        }
        let calls_before = session.trace.as_ref().map_or(0, |trace| trace.calls.len());
        let (after, outcome) = run_action(rules, session, &acting, action, gas_left)?;
        let unpaid = outcome.gas_used;
        let outcome = pay_for_output(outcome, gas_left, &outputs);
        session = after;
        if let Some(trace) = &mut session.trace {
            trace.actions.push(TracedAction {
                gas_used: outcome.gas_used,
                output_gas: outcome.gas_used.saturating_sub(unpaid),
                call: (trace.calls.len() > calls_before).then_some(calls_before),
            });
        }
        gas_used = gas_used
            .saturating_add(outcome.gas_used)
            .min(body.gas_limit);
        if outcome.code != ResultCode::Ok {
            session.journal.revert_to(checkpoint);
            session.events.clear();
            let status = Status::Failed {
                action: u16::try_from(index).unwrap_or(u16::MAX),
                code: outcome.code,
                data: if outcome.code == ResultCode::Reverted {
                    outcome.data
                } else {
                    Vec::new()
                },
            };
            return Ok(Run {
                session,
                status,
                gas_used,
                outputs: Vec::new(),
            });
        }
        outputs.push(outcome.data);
    }
    Ok(Run {
        session,
        status: Status::Ok,
        gas_used,
        outputs,
    })
}

fn run_action(
    rules: &Rules<'_>,
    session: Session,
    sender: &Address,
    action: &Action,
    gas: Gas,
) -> Result<(Session, Outcome), ExecutionFailure> {
    let vm = rules.vm;
    match action {
        Action::Transfer { to, amount } => transfer(session, sender, to, *amount, gas),
        Action::Call {
            contract,
            input,
            value,
        } if *contract == VALIDATORS_CONTRACT => {
            let call = validators::Call {
                caller: *sender,
                input,
                value: *value,
                gas,
            };
            validators::call(rules, session, &call)
        }
        Action::Call {
            contract,
            input,
            value,
        } => Ok(vm.call(
            session,
            Message {
                caller: *sender,
                contract: *contract,
                entry: Entry::Call,
                input: input.clone(),
                value: *value,
                gas,
            },
        )?),
        Action::Deploy {
            code,
            salt,
            input,
            value,
            admin,
        } => {
            let deployment = Deployment {
                deployer: *sender,
                admin: *admin,
                code: source(code),
                salt: *salt,
                input: input.clone(),
                value: *value,
                gas,
            };
            deploy(vm, session, deployment)
        }
        Action::Upgrade {
            contract,
            code,
            input,
        } => {
            let upgrade = Upgrade {
                contract: *contract,
                code: source(code),
                input: input.clone(),
                gas,
                sender: Some(*sender),
            };
            Ok(vm.upgrade(session, upgrade)?)
        }
        Action::ReplaceCode { contract, code } => {
            replace_code(vm, session, (*sender, *contract), code, gas)
        }
        Action::SetBalance { account, balance } => set_balance(session, account, *balance, gas),
        // Whose step comes next is known to the caller.
        Action::Impersonate { .. } => Ok((session, flat(gas))),
    }
}

/// Only a chain for development has this step.
fn set_balance(
    mut session: Session,
    address: &Address,
    balance: Amount,
    gas_left: Gas,
) -> Result<(Session, Outcome), ExecutionFailure> {
    let outcome = flat(gas_left);
    if outcome.code == ResultCode::Ok {
        let account = read_account(&mut session, address)?;
        write_account(&mut session, address, AccountRecord { balance, ..account });
    }
    Ok((session, outcome))
}

/// Charges for what the receipt will keep. Data that is not paid for, or that is too much beside what earlier actions
/// returned, fails the action.
fn pay_for_output(outcome: Outcome, gas_left: Gas, earlier: &[Vec<u8>]) -> Outcome {
    let kept = outcome.data.len();
    let bytes = u64::try_from(kept).unwrap_or(u64::MAX);
    let gas_used = outcome
        .gas_used
        .saturating_add(bytes.saturating_mul(gas::OUTPUT_PER_BYTE));
    let together = earlier.iter().map(Vec::len).sum::<usize>();
    let refused = |code, gas_used| Outcome {
        code,
        data: Vec::new(),
        gas_used,
    };
    if gas_used > gas_left {
        refused(ResultCode::OutOfGas, gas_left)
    } else if together.saturating_add(kept) > limits::OUTPUT_BYTES_MAX {
        refused(ResultCode::Limit, gas_used)
    } else {
        Outcome {
            gas_used,
            ..outcome
        }
    }
}

fn transfer(
    mut session: Session,
    sender: &Address,
    to: &Address,
    amount: Amount,
    gas_left: Gas,
) -> Result<(Session, Outcome), ExecutionFailure> {
    let outcome = flat(gas_left);
    if outcome.code != ResultCode::Ok {
        return Ok((session, outcome));
    }
    let code = session.transfer(sender, to, amount)?;
    Ok((session, Outcome { code, ..outcome }))
}

/// A step that costs what a transfer costs, as far as the gas goes.
fn flat(gas_left: Gas) -> Outcome {
    let (code, gas_used) = match gas_left < gas::TRANSFER {
        true => (ResultCode::OutOfGas, gas_left),
        false => (ResultCode::Ok, gas::TRANSFER),
    };
    Outcome {
        code,
        data: Vec::new(),
        gas_used,
    }
}

fn refund(
    session: &mut Session,
    address: &Address,
    amount: Amount,
) -> Result<(), ExecutionFailure> {
    let mut account = read_account(session, address)?;
    account.balance = account
        .balance
        .checked_add(amount)
        .ok_or(ExecutionFailure::OutOfRange {
            quantity: "an account's balance",
        })?;
    write_account(session, address, account);
    Ok(())
}

/// Credits the fees of a block to its proposer.
pub(crate) fn credit_fees(
    session: &mut Session,
    proposer: &Address,
    fees: Amount,
) -> Result<(), ExecutionFailure> {
    if fees == 0 {
        Ok(())
    } else {
        refund(session, proposer, fees)
    }
}

pub(crate) fn read_account(
    session: &mut Session,
    address: &Address,
) -> Result<AccountRecord, ExecutionFailure> {
    let key = state_key::account(address);
    match session.journal.get(&key)? {
        None => Ok(AccountRecord::default()),
        Some(mut bytes) => AccountRecord::decode(&mut bytes).map_err(|_malformed| {
            ExecutionFailure::CorruptRecord {
                record: "account",
                key: Hash(address.0).to_string(),
            }
        }),
    }
}

pub(crate) fn write_account(session: &mut Session, address: &Address, account: AccountRecord) {
    session
        .journal
        .set(state_key::account(address), account.encode());
}
