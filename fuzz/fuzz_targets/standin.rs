//! The splitter of headers and the scanner of words on arbitrary bytes. The tests run the
//! same function on a bounded set (tests/it/standin/bad_input.rs).

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| indir::standin::exercise(data));
