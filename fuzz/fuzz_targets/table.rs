//! The readers of tables and notes on arbitrary bytes. The tests run the same
//! function on a bounded set (tests/it/update/table.rs).

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| indir::table::exercise(data));
