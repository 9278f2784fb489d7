//! Run a sequence of steps on a fresh chain, and see after each whether all that should hold does.

use kumiki_abi::metadata::EntryKind;
use kumiki_abi::{REVERT_CONTRACT, REVERT_SDK, SdkError};
use kumiki_contract::{Address, ResultCode};

use super::Property;
use super::message::{Message, Target};
use super::quiet::catch;
use super::random::{Random, Seen, Source};
use super::source_text::Names;
use super::value::{Codec, Value};
use crate::{Account, TestChain};

/// How many accounts call.
pub(crate) const CALLERS: usize = 4;

/// One step of a sequence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// A call, or a question where the message is a view.
    Call {
        caller: usize,
        target: usize,
        message: usize,
        arguments: Vec<Value>,
        value: u128,
    },
    /// Time passes before the next block.
    Wait { ms: u64 },
}

/// What a sequence broke.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Rule {
    Agreement,
    Invariant(&'static str),
}

/// A rule that is broken, and how.
#[derive(Clone, Debug)]
pub(crate) struct Broken {
    pub(crate) rule: Rule,
    pub(crate) how: String,
}

/// A chain as the author set it up, and what random calls did to it.
pub(crate) struct Attempt {
    pub(crate) chain: TestChain,
    pub(crate) property: Property,
    /// The callers, then the contracts.
    pub(crate) known: Vec<[u8; 32]>,
    callers: [Account; CALLERS],
    named: Vec<Address>,
    seen: Seen,
}

impl Attempt {
    /// Sets up; a set-up that panics is the test's failure.
    pub(crate) fn begin(set_up: fn(&mut TestChain) -> Property) -> Self {
        let mut chain = TestChain::both();
        let property = set_up(&mut chain);
        let callers: [Account; CALLERS] = chain.accounts();
        let accounts = callers.iter().map(|one| one.address.0);
        let contracts = property.targets.iter().map(|one| one.address.0);
        let known: Vec<[u8; 32]> = accounts.chain(contracts).collect();
        Self {
            named: known.iter().copied().map(Address).collect(),
            chain,
            property,
            known,
            callers,
            seen: Seen::default(),
        }
    }

    /// A random next step.
    pub(crate) fn choose(&mut self, random: &mut Random) -> Step {
        let mut source = Source {
            random,
            seen: &self.seen,
            known: self.known.len(),
            clock: [self.chain.time_ms(), self.chain.height()],
        };
        source.step(&self.property.targets)
    }

    /// Checks all invariants.
    pub(crate) fn check(&self) -> Result<(), Broken> {
        for (name, holds) in &self.property.invariants {
            catch(|| holds(&self.chain, &self.named)).map_err(|how| Broken {
                rule: Rule::Invariant(name),
                how,
            })?;
        }
        Ok(())
    }

    /// Takes a step and checks. How the step ended, as a reader would say it.
    pub(crate) fn take(&mut self, step: &Step) -> Result<Ended, Broken> {
        let Step::Call {
            caller,
            target,
            message,
            arguments,
            value,
        } = step
        else {
            if let Step::Wait { ms } = step {
                self.chain.advance_time_ms(*ms);
            }
            self.check()?;
            return Ok(Ended::Waited);
        };
        let target_of = |property: &Property| -> Option<(Address, [u8; 4], EntryKind)> {
            let target = property.targets.get(*target)?;
            let message = target.messages.get(*message)?;
            Some((target.address, message.selector, message.kind))
        };
        let Some((contract, selector, kind)) = target_of(&self.property) else {
            return Ok(Ended::Waited);
        };
        self.learn(arguments, *value);
        let input = self.input(*target, *message, arguments, selector);
        let caller = self.callers.get(*caller).cloned();
        let chain = &mut self.chain;
        let result = catch(|| match (kind, caller) {
            (EntryKind::Call, Some(caller)) => chain.call_bytes(&caller, contract, input, *value),
            _ => chain.ask(contract, &input),
        });
        let (code, data) = result.map_err(|how| Broken {
            rule: Rule::Agreement,
            how,
        })?;
        if self.chain.is_exhausted() {
            return Ok(Ended::Exhausted);
        }
        let ended = self.ended(*target, *message, code, &data);
        self.check()?;
        Ok(ended)
    }

    fn input(
        &self,
        target: usize,
        message: usize,
        arguments: &[Value],
        selector: [u8; 4],
    ) -> Vec<u8> {
        let mut input = selector.to_vec();
        if let Some((target, message)) = message_of(&self.property.targets, target, message) {
            let codec = self.codec(target);
            codec.encode_parts(arguments, &message.arguments, &mut input);
        }
        input
    }

    fn codec<'a>(&'a self, target: &'a Target) -> Codec<'a> {
        Codec {
            types: &target.types,
            known: &self.known,
        }
    }

    fn learn(&mut self, values: &[Value], paid: u128) {
        if paid > 0 {
            self.seen.learn_number(paid);
        }
        for value in values {
            self.seen.learn(value);
            value.walk(&mut |one| match one {
                Value::Address(word) if !self.named.contains(&Address(*word)) => {
                    self.named.push(Address(*word));
                }
                _ => {}
            });
        }
    }

    fn ended(&mut self, target: usize, message: usize, code: ResultCode, data: &[u8]) -> Ended {
        let Some((target, message)) = message_of(&self.property.targets, target, message) else {
            return Ended::Waited;
        };
        let codec = Codec {
            types: &target.types,
            known: &self.known,
        };
        if code == ResultCode::Ok {
            let returned = codec.decode_whole(data, &message.returns);
            self.learn(&returned.into_iter().collect::<Vec<_>>(), 0);
            return Ended::Well;
        }
        let names = Names::of(&self.property.targets);
        let text = match data.split_first() {
            Some((&REVERT_SDK, [number])) => {
                SdkError::from_number(*number).map(|error| format!("{error:?}"))
            }
            Some((&REVERT_CONTRACT, rest)) => target.error.as_ref().and_then(|of| {
                let error = codec.decode_whole(rest, of)?;
                Some(names.value(&error, of, &target.types))
            }),
            _ => None,
        };
        Ended::Refused(text.unwrap_or_else(|| code.name().to_owned()))
    }
}

/// How a step ended.
pub(crate) enum Ended {
    Waited,
    Well,
    /// The contract or the chain refused: with what.
    Refused(String),
    /// Native code and Wasm can no longer be compared.
    Exhausted,
}

/// A contract and one of its messages, by their numbers.
pub(crate) fn message_of(
    targets: &[Target],
    target: usize,
    message: usize,
) -> Option<(&Target, &Message)> {
    let target = targets.get(target)?;
    Some((target, target.messages.get(message)?))
}
