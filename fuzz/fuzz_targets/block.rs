//! Hand libFuzzer's bytes to the body of `block`.
#![no_main]

// By its own name, so that the program holds nothing of other targets.
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    kumiki_fuzz_bodies::block(bytes);
});
