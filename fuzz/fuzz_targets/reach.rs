//! Graphs of arbitrary bytes, and arbitrary bytes as files of graphs. The tests run the same function on a bounded set
//! (tests/it/reach/bad_input.rs, stored.rs).

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let _ = indir::reach::exercise(data);
    let _ = indir::reach::exercise_stored(data);
});
