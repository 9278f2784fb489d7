//! Hand libFuzzer's bytes to the body of `genesis`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    kumiki_fuzz_bodies::run("genesis", bytes);
});
