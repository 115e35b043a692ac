//! Any bytes as a bindings file: no write outside of a writable segment of the
//! intended object, no panic.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| indir::table::exercise_bindings(data));
