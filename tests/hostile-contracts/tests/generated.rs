//! Generated contracts come to the same on the compiler and the interpreter.

use kumiki_hostile_contracts::smith::{self, Verdict};
use kumiki_protocol::ResultCode;

/// Modules that the test runs unless `KUMIKI_MODULES` says otherwise; `KUMIKI_SEED` is the first.
const MODULES: u64 = 100_000;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn compiler_and_interpreter_agree_on_generated_contracts() {
    let first = number("KUMIKI_SEED").unwrap_or(0);
    let modules = number("KUMIKI_MODULES").unwrap_or(MODULES);
    let ended = smith::run(first, modules, &|_progress| {});
    let ended = ended.unwrap_or_else(|differences| unreachable!("{differences}"));
    let count = |verdict: Verdict| ended.get(&verdict).copied().unwrap_or(0);
    // Modules that nobody accepts show nothing: most must run, and end in every way.
    assert!(count(Verdict::Refused) * 5 < modules, "{ended:?}");
    let ways = [
        ResultCode::Ok,
        ResultCode::Trap,
        ResultCode::OutOfGas,
        ResultCode::StackOverflow,
    ];
    for code in ways {
        assert!(
            count(Verdict::Ran(code)) * 100 > modules,
            "{code:?}: {ended:?}"
        );
    }
}
