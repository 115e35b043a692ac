//! Whether two files come to the same in memory: then nothing has changed, symbols or not.

use object::elf;

use crate::elf::{ElfFile, Segment};
use crate::resolve::Library;

/// Fields of the ELF header that only tools read: e_shoff, and e_shentsize to e_shstrndx.
const OF_SECTIONS: [std::ops::Range<u64>; 2] = [40..48, 58..64];

/// All that is loaded, without the build-id, is equal. A program that reads its own
/// build-id is outside of what is promised (docs/reach.md).
pub(super) fn is_same(old: &Library, new: &Library) -> bool {
    let (old, new) = (old.map(), new.map());
    if old.bytes() == new.bytes() {
        return true;
    }
    let (Ok(old), Ok(new)) = (old.elf(), new.elf()) else {
        return false;
    };
    old.segments() == new.segments()
        && old.entry() == new.entry()
        && old
            .segments()
            .iter()
            .filter(|s| s.kind == elf::PT_LOAD)
            .all(|segment| loads_same(&old, &new, segment))
}

fn loads_same(old: &ElfFile<'_>, new: &ElfFile<'_>, segment: &Segment) -> bool {
    let (Some(a), Some(b)) = (old.segment_bytes(segment), new.segment_bytes(segment)) else {
        return false;
    };
    if a == b {
        return true;
    }
    let ignored = [ignored(old), ignored(new)].concat();
    let differ = a.iter().zip(b).enumerate().filter(|(_, (x, y))| x != y);
    let mut places = differ.map(|(at, _)| segment.offset.saturating_add(at as u64));
    places.all(|at| ignored.iter().any(|range| range.contains(&at)))
}

/// Where in the file bytes lie that nobody runs or reads.
fn ignored(file: &ElfFile<'_>) -> Vec<std::ops::Range<u64>> {
    let mut ranges = OF_SECTIONS.to_vec();
    if let Some(id) = file.build_id() {
        let start = (id.as_ptr() as usize).wrapping_sub(file.data().as_ptr() as usize) as u64;
        ranges.push(start..start.saturating_add(id.len() as u64));
    }
    ranges
}
