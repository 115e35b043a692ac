//! The reader of libraries on arbitrary bytes, and what is made of what it
//! reads. The tests run the same function on a bounded set
//! (tests/it/stub/bad_input.rs).

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| indir::stub::exercise(data));
