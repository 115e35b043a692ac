//! What binding depends on in one object, as a sum.
//!
//! A build-id need not change with the content (a project may set it by hand),
//! and size and time need not either. So bindings hold a sum of what lookups and
//! slots depend on: program headers, hash table, symbols, their names and
//! versions, the relocations that look a symbol up, and a library's dynamic section, which
//! says where all of these are and whether it is symbolic. The binder sums the same bytes in
//! memory where it cannot tell by a file's state; ld.so changes none of them.
//! RELATIVE entries are left out: the binder takes them from the object itself.

use std::ops::Range;

use indir_shim::format::bindings_layout::MAX_RANGES;
use indir_shim::format::bindings_sum::{sum, sum_entry};
use object::elf;

use super::content::Content;
use super::object::LoadedObject;
use crate::elf::Segment;

/// Bytes between two tables that are summed with them, not to have two ranges.
const GAP: u64 = 64;
/// Size of a program header.
const PROGRAM_HEADER: usize = 56;

impl LoadedObject {
    /// What binding depends on in it; read at the first call.
    pub fn content(&self) -> &Content {
        self.content.get_or_init(|| Content::new(self))
    }
}

impl Content {
    fn new(object: &LoadedObject) -> Self {
        let bytes = object.file().bytes();
        let mut places: Vec<(u64, u64)> = parts(object, bytes)
            .into_iter()
            .filter(|part| !part.is_empty())
            .filter_map(|part| address_of(object.segments(), &part))
            .collect();
        places.sort_unstable();
        let mut merged: Vec<(u64, u64)> = Vec::new();
        for (start, len) in places {
            match merged.last_mut() {
                Some(last)
                    if start <= last.0 + last.1 + GAP
                        && is_in_one_segment(object, last.0, start + len) =>
                {
                    last.1 = last.1.max(start + len - last.0);
                }
                _ => merged.push((start, len)),
            }
        }
        merged.truncate(MAX_RANGES);
        let of = |total, &(start, len): &(u64, u64)| sum(total, object.bytes_at(start, len));
        let sum = merged.iter().fold(0, of);
        Self {
            whole: with_dynamic(sum, object),
            sum,
            ranges: merged,
        }
    }
}

/// The sum continued with the object's dynamic section.
fn with_dynamic(sum: u64, object: &LoadedObject) -> u64 {
    let dynamic = object.segments().iter().find(|s| s.kind == elf::PT_DYNAMIC);
    let bytes = dynamic.map_or(&[][..], |s| object.bytes_at(s.vaddr, s.filesz));
    let (words, _) = bytes.as_chunks::<8>();
    let (entries, _) = words.as_chunks::<2>();
    entries
        .iter()
        .map(|entry| entry.map(u64::from_le_bytes))
        .take_while(|[tag, _]| *tag != 0)
        .fold(sum, |sum, [tag, value]| sum_entry(sum, tag, value, 0))
}

/// The parts of the file that matter, in no order.
fn parts(object: &LoadedObject, bytes: &[u8]) -> Vec<Range<usize>> {
    let headers = object.segments().len() * PROGRAM_HEADER;
    let headers_at = bytes
        .get(32..40)
        .and_then(|raw| raw.first_chunk())
        .and_then(|raw| usize::try_from(u64::from_le_bytes(*raw)).ok());
    let mut parts = object.tables_of_symbols();
    if let Some(at) = headers_at
        && let Some(end) = at.checked_add(headers)
    {
        parts.push(at..end);
    }
    parts
}

/// Address and length of a part of the file, if one segment has it whole and
/// the process can read it.
fn address_of(segments: &[Segment], part: &Range<usize>) -> Option<(u64, u64)> {
    let (start, end) = (part.start as u64, part.end as u64);
    let holds = |s: &&Segment| is_readable(s) && start >= s.offset && end - s.offset <= s.filesz;
    let load = segments.iter().find(holds)?;
    Some((load.vaddr.checked_add(start - load.offset)?, end - start))
}

fn is_readable(segment: &Segment) -> bool {
    segment.kind == elf::PT_LOAD && segment.flags.0 & elf::PF_R.0 != 0
}

fn is_in_one_segment(object: &LoadedObject, start: u64, end: u64) -> bool {
    object
        .segments()
        .iter()
        .any(|s| is_readable(s) && start >= s.vaddr && end - s.vaddr <= s.filesz)
}
