//! Search for what takes longest for its gas: every instruction and host function, worst cases and their mixtures.

mod arithmetic;
mod chain;
mod control;
mod host_calls;
mod host_functions;
mod kernel;
mod measuring;
mod memory;
mod mixtures;
mod operators;
mod report;

use std::time::{Duration, Instant};

use kumiki_abi::HOST_FUNCTIONS;
use kumiki_testkit::Random;

pub use kernel::{Costs, Kernel, Keys};
pub use operators::{accepted_operators, mnemonic, operator_name};
pub use report::{Entry, Report};

use chain::{Asked, KernelChain};
use measuring::Measuring;

/// What to search.
#[derive(Clone, Debug)]
pub struct Search {
    /// How long to look for mixtures that are worse than what they are made of.
    pub mixing: Duration,
    /// Of the mixtures.
    pub seed: u64,
    /// Only kernels whose subject or name has this in it.
    pub only: String,
    /// How often each kernel is measured, apart from each other.
    pub passes: u32,
}

/// The kernels of a subject: an instruction, by the parser's name, or a host function.
#[must_use]
pub fn kernels_of(subject: &str) -> Vec<Kernel> {
    if HOST_FUNCTIONS.iter().any(|host| host.name == subject) {
        return host_functions::kernels(subject);
    }
    let mnemonic = mnemonic(subject);
    [
        arithmetic::kernels(subject, &mnemonic),
        memory::kernels(subject, &mnemonic),
        control::kernels(subject),
    ]
    .concat()
}

/// Every instruction that contracts may use, then every host function.
#[must_use]
pub fn subjects() -> Vec<&'static str> {
    let host = HOST_FUNCTIONS.iter().map(|host| host.name);
    accepted_operators().into_iter().chain(host).collect()
}

/// Runs each of `kernels` for a few rounds, on the chain that it is measured on, and gives what fails. Call it on a thread
/// that can execute.
#[must_use]
pub fn failures(kernels: &[Kernel]) -> Vec<String> {
    let mut chain = KernelChain::new();
    let mut failed = Vec::new();
    let mut all = Vec::new();
    for some in kernels.chunks(40) {
        all.extend(some.iter().zip(chain.deploy_kernels(some)));
    }
    for (kernel, deployed) in all {
        for prepares in [true, false] {
            let asked = Asked {
                start: 1,
                rounds: 3.min(kernel.rounds_max),
                prepares,
            };
            failed.extend(chain.run(&deployed, asked).err());
        }
    }
    failed
}

/// Measures all kernels, then mixtures of the worst of them. Call it on a thread that can execute.
#[must_use]
pub fn search(search: &Search, progress: &dyn Fn(&str)) -> Report {
    let start = Instant::now();
    let mut kernels: Vec<Kernel> = subjects().into_iter().flat_map(kernels_of).collect();
    kernels.retain(|kernel| {
        search.only.is_empty()
            || format!("{} {}", kernel.subject, kernel.name).contains(&search.only)
    });
    let mut measuring = Measuring::new();
    measuring.add(kernels, progress);
    for pass in 1..search.passes {
        progress(&format!(
            "pass {} of {}, {} s",
            pass + 1,
            search.passes,
            start.elapsed().as_secs()
        ));
        measuring.pass();
    }
    let mixing = Instant::now();
    let mut random = Random::new(search.seed);
    mixtures::search(&mut measuring, &mut random, search.mixing, progress);
    let mut report = measuring.report();
    report.seed = search.seed;
    report.seconds = start.elapsed().as_secs();
    report.mixing_seconds = mixing.elapsed().as_secs();
    report
}
