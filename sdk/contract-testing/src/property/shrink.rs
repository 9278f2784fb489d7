//! Make a failing sequence as short and its arguments as plain as they can be while it breaks the same rule.

use super::Property;
use super::attempt::{Attempt, Rule, Step, message_of};
use super::plainer::{plainer_each, smaller};
use super::value::Value;
use crate::TestChain;

/// Sequences tried at most; a small failure needs far fewer.
const ATTEMPTS_MAX: u32 = 2_000;

/// Shrinks sequences of one property that break one rule.
pub(crate) struct Shrinking<'a> {
    set_up: fn(&mut TestChain) -> Property,
    rule: &'a Rule,
    attempts_left: u32,
    /// Says what the messages are.
    fresh: Attempt,
}

impl<'a> Shrinking<'a> {
    pub(crate) fn new(set_up: fn(&mut TestChain) -> Property, rule: &'a Rule) -> Self {
        Self {
            set_up,
            rule,
            attempts_left: ATTEMPTS_MAX,
            fresh: Attempt::begin(set_up),
        }
    }

    /// The plainest sequence found.
    pub(crate) fn shrink(&mut self, mut steps: Vec<Step>) -> Vec<Step> {
        loop {
            let before = steps.clone();
            self.drop_steps(&mut steps);
            self.simplify_steps(&mut steps);
            if steps == before || self.attempts_left == 0 {
                return steps;
            }
        }
    }

    /// Keeps `plainer`, up to where it breaks the rule, if it does.
    fn keep(&mut self, steps: &mut Vec<Step>, plainer: Vec<Step>) -> bool {
        let Some(left) = self.attempts_left.checked_sub(1) else {
            return false;
        };
        self.attempts_left = left;
        let Some(count) = self.breaks_after(&plainer) else {
            return false;
        };
        *steps = plainer;
        steps.truncate(count);
        true
    }

    /// After how many steps the same rule is broken.
    fn breaks_after(&self, steps: &[Step]) -> Option<usize> {
        let mut attempt = Attempt::begin(self.set_up);
        if let Err(broken) = attempt.check() {
            return (broken.rule == *self.rule).then_some(0);
        }
        for (index, step) in steps.iter().enumerate() {
            if let Err(broken) = attempt.take(step) {
                return (broken.rule == *self.rule).then_some(index + 1);
            }
        }
        None
    }

    /// Leaves out halves, quarters, …, single steps.
    fn drop_steps(&mut self, steps: &mut Vec<Step>) {
        let mut size = steps.len().div_ceil(2);
        while size > 0 {
            let mut start = 0;
            while start < steps.len() {
                let end = (start + size).min(steps.len());
                let mut shorter = steps.clone();
                shorter.drain(start..end);
                if !self.keep(steps, shorter) {
                    start = end;
                }
            }
            size /= 2;
        }
    }

    fn simplify_steps(&mut self, steps: &mut Vec<Step>) {
        let mut index = 0;
        while let Some(step) = steps.get(index) {
            let found = self.plainer(step).into_iter().any(|step| {
                let mut changed = steps.clone();
                if let Some(place) = changed.get_mut(index) {
                    *place = step;
                }
                self.keep(steps, changed)
            });
            // What became plainer may become plainer still.
            if !found {
                index += 1;
            }
        }
    }

    fn plainer(&self, step: &Step) -> Vec<Step> {
        match step {
            Step::Wait { ms } => smaller(u128::from(*ms))
                .filter_map(|ms| u64::try_from(ms).ok())
                .map(|ms| Step::Wait { ms })
                .collect(),
            Step::Call {
                caller,
                target,
                message,
                arguments,
                value,
            } => {
                let call = |caller: usize, arguments: Vec<Value>, value: u128| Step::Call {
                    caller,
                    target: *target,
                    message: *message,
                    arguments,
                    value,
                };
                let callers = (0..*caller).map(|caller| call(caller, arguments.clone(), *value));
                let paid = smaller(*value).map(|value| call(*caller, arguments.clone(), value));
                let mut steps: Vec<Step> = callers.chain(paid).collect();
                let targets = &self.fresh.property.targets;
                if let Some((target, message)) = message_of(targets, *target, *message) {
                    let of: Vec<_> = message.arguments.iter().map(|one| &one.of).collect();
                    let lists = plainer_each(arguments, &of, &target.types);
                    steps.extend(lists.into_iter().map(|list| call(*caller, list, *value)));
                }
                steps
            }
        }
    }
}
