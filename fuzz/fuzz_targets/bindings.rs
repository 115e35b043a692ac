//! Any bytes as a bindings file, for the reader and for the whole binder, as they
//! are and with the sum that they should have: no write outside of a writable
//! segment of the intended object, no panic.
#![no_main]

use indir::table::{as_written, exercise_binder, exercise_bindings};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    for bytes in [data, &as_written(data)] {
        exercise_bindings(bytes);
        exercise_binder(bytes);
    }
});
