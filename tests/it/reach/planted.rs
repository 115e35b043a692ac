//! One byte changed in a real library: whoever reaches it, as the linker knew, sees it.
//!
//! `INDIR_PLANTED` is how many bytes are changed in each library, 30 without it.

use std::collections::BTreeSet;
use std::path::Path;

use goblin::elf::Elf;

use super::support::next;
use super::truth::{Truth, expat, judge, user, zlib};
use crate::support::Scratch;

/// Where in the file the byte at `address` is, if it is in code or constant.
fn place(bytes: &[u8], address: u64) -> Option<usize> {
    let elf = Elf::parse(bytes).unwrap();
    let section = elf.section_headers.iter().find(|section| {
        let name = elf.shdr_strtab.get_at(section.sh_name).unwrap_or_default();
        let fixed = name == ".text" || name == ".rodata";
        fixed && section.sh_addr <= address && address < section.sh_addr + section.sh_size
    })?;
    usize::try_from(address - section.sh_addr + section.sh_offset).ok()
}

fn plant(make: fn(&Scratch) -> std::path::PathBuf) {
    let dir = Scratch::new();
    let old = make(&dir);
    let truth = Truth::of(&old);
    let user = user(&dir, &truth, &old);
    let good = std::fs::read(&old).unwrap();
    let new = dir.dir("new").join(old.file_name().unwrap());
    let reached: Vec<(&str, BTreeSet<u64>)> = truth
        .exports
        .iter()
        .map(|(name, at)| (&**name, truth.reached(*at)))
        .collect();
    let count = std::env::var("INDIR_PLANTED").map_or(30, |count| count.parse().unwrap());
    let (mut state, mut seen) = (0x2545_f491_4f6c_dd1d, 0);
    for _ in 0..count {
        let (symbol, at, address) = loop {
            let symbol = &truth.symbols[next(&mut state) % truth.symbols.len()];
            let size = usize::try_from(symbol.end - symbol.start).unwrap();
            let address = symbol.start + (next(&mut state) % size) as u64;
            if let Some(at) = place(&good, address) {
                break (symbol, at, address);
            }
        };
        let mut bytes = good.clone();
        bytes[at] ^= 1 << (next(&mut state) % 8);
        std::fs::write(&new, bytes).unwrap();
        let judge = judge(&old, Path::new(&new));
        for (name, _) in reached
            .iter()
            .filter(|(_, all)| all.contains(&symbol.start))
        {
            let explained = judge.explain(&user, name).unwrap().unwrap();
            let sees = !explained.differences.is_empty();
            assert!(sees, "{name} reaches {address:#x} in {symbol:?}");
            seen += 1;
        }
    }
    println!("{count} bytes changed, seen by {seen} exports");
    assert!(seen > count, "only {seen} of {count}");
}

#[test]
fn a_byte_of_zlib() {
    plant(zlib);
}

#[test]
fn a_byte_of_expat() {
    plant(expat);
}
