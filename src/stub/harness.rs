//! What the fuzzer and the tests do with arbitrary bytes.

use crate::abi::{Abi, read};
use crate::elf::ElfFile;

use super::stub;

/// Reads `data` as a library, prints and parses its ABI, cuts a stub and reads
/// that back. Does nothing if `data` is no library.
///
/// # Panics
/// When two of these disagree: a mistake in this crate.
pub fn exercise(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data) {
        let _ = Abi::from_text(text);
    }
    let Ok(elf) = ElfFile::parse(data) else {
        return;
    };
    let Ok(read) = read::read(&elf) else { return };
    let text = read.abi.to_text();
    assert_eq!(Abi::from_text(&text).as_ref(), Ok(&read.abi), "text");
    let Ok(bytes) = stub(&read.abi) else { return };
    let again = ElfFile::parse(&bytes).and_then(|elf| read::read(&elf));
    let again = again.map(|again| again.abi.to_text());
    assert_eq!(again.as_ref().ok(), Some(&text), "stub");
}
