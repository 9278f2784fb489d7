//! Catch panics without printing them: while a failure is shrunk, the same assertion fails a hundred times.

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind, set_hook, take_hook};
use std::sync::Once;

thread_local! {
    static QUIET: Cell<bool> = const { Cell::new(false) };
    static LAST: RefCell<String> = const { RefCell::new(String::new()) };
}

/// What `run` gives, or where and with what it panicked.
pub(crate) fn catch<T>(run: impl FnOnce() -> T) -> Result<T, String> {
    silently(|| catch_unwind(AssertUnwindSafe(run))).map_err(|_payload| LAST.take())
}

/// What `run` gives; panics that it catches are not printed. It must catch all.
pub(crate) fn silently<T>(run: impl FnOnce() -> T) -> T {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let loud = take_hook();
        set_hook(Box::new(move |info| {
            if QUIET.get() {
                LAST.replace(text(info));
            } else {
                loud(info);
            }
        }));
    });
    let before = QUIET.replace(true);
    let result = run();
    QUIET.set(before);
    result
}

fn text(info: &PanicHookInfo<'_>) -> String {
    let message = info.payload_as_str().unwrap_or("panic without a text");
    match info.location() {
        // Our own words say what they are about.
        Some(place) if !place.file().ends_with("wasm_file.rs") => format!("{place}: {message}"),
        _ => message.to_owned(),
    }
}
