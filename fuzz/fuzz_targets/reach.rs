//! Graphs of arbitrary bytes. The tests run the same function on a bounded set
//! (tests/it/reach/bad_input.rs).

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| indir::reach::exercise(data));
