//! Which of the objects that ld.so has mapped are the ones that bindings were
//! computed for.
//!
//! Judged by what is in memory where that is possible: the place of the dynamic
//! section, then the build-id. Unsafe because it reads ld.so's list and mapped
//! objects.

#![expect(unsafe_code, reason = "reads ld.so's link maps and mapped objects")]

use core::ffi::CStr;
use core::slice;

use crate::arch::PAGE;
use crate::binder::linkmap::LinkMap;
use crate::bytes::string;
use crate::elf::{Ehdr, Phdr, pt};
use crate::format::bindings::{Bindings, Object};
use crate::format::layout::{IDENTITY_BUILD_ID, IDENTITY_SIZE_MTIME, Identity};
use crate::format::note::Notes;
use crate::format::table::Table;
use crate::sys;

/// Fills `maps` and `bases` with the objects at the front of ld.so's list that
/// are the expected ones, and returns how many they are.
///
/// The list is in lookup order (elf/rtld.c puts even ld.so in its place), but
/// for the vDSO, which no lookup sees.
pub(crate) fn expected(
    table: &Table<'_>,
    bindings: &Bindings<'_>,
    main: &LinkMap,
    maps: &mut [usize],
    bases: &mut [u64],
) -> usize {
    let mut next: *const LinkMap = main;
    let mut count = 0;
    let slots = maps.iter_mut().zip(bases.iter_mut());
    for (map_slot, base_slot) in slots {
        let Some(object) = bindings.object(count) else {
            break;
        };
        let found = loop {
            // SAFETY: ld.so's list; it ends in NULL.
            let Some(link_map) = (unsafe { next.as_ref() }) else {
                break None;
            };
            next = link_map.next;
            // The executable was recognised by the shim.
            if count == 0 || is_expected(&object, table, count, link_map) {
                break Some(link_map);
            }
            if !is_vdso(link_map) {
                break None;
            }
        };
        let Some(link_map) = found else {
            break;
        };
        *map_slot = core::ptr::from_ref(link_map) as usize;
        *base_slot = link_map.addr as u64;
        count += 1;
    }
    count
}

/// The vDSO's name has no slash; every other object's is the absolute path that
/// the table or a search gave it.
fn is_vdso(link_map: &LinkMap) -> bool {
    // SAFETY: ld.so's names end in NUL and stay.
    let name = unsafe { string(link_map.name.cast()) };
    name.to_bytes().starts_with(b"linux-vdso")
}

/// Whether the mapped object is the expected one: by its build-id, in memory.
/// What has none is identified by its path, size and time of last change, at
/// the price of a system call.
fn is_expected(object: &Object<'_>, table: &Table<'_>, index: usize, link_map: &LinkMap) -> bool {
    let raw = object.raw;
    let dynamic = (link_map.dynamic as usize).wrapping_sub(link_map.addr) as u64;
    // A different place of the dynamic section: another file, whose header may
    // be elsewhere too, so that nothing of it is touched.
    if dynamic != raw.dynamic.get() {
        return false;
    }
    if raw.identity.kind == IDENTITY_SIZE_MTIME {
        let path = index.checked_sub(1).and_then(|at| table.object(at));
        return path.is_some_and(|named| is_unchanged(&raw.identity, named.path, link_map));
    }
    if raw.identity.kind != IDENTITY_BUILD_ID {
        return false;
    }
    // SAFETY: a file with this layout has its header at `start`.
    let Some(phdrs) = (unsafe { mapped_phdrs(link_map, raw.start.get()) }) else {
        return false;
    };
    let mut notes = Notes::default();
    for note in phdrs.iter().filter(|p| p.kind == pt::NOTE) {
        let at = link_map.addr.wrapping_add(note.vaddr as usize);
        let inside = note.vaddr.wrapping_sub(raw.start.get()) <= raw.span.get()
            && note.filesz <= raw.span.get();
        if inside {
            // SAFETY: inside of the span that ld.so mapped for the file.
            let bytes = unsafe { slice::from_raw_parts(at as *const u8, note.filesz as usize) };
            notes.scan(bytes, note.align as usize);
        }
    }
    has_build_id(&raw.identity, notes.build_id)
}

/// Whether the object was mapped from `path`, and the file there has the size
/// and the time of last change of `identity`.
fn is_unchanged(identity: &Identity, path: &CStr, link_map: &LinkMap) -> bool {
    // SAFETY: ld.so's names end in NUL and stay.
    let name = unsafe { string(link_map.name.cast()) };
    if name != path {
        return false;
    }
    let Ok(stat) = sys::stat(path) else {
        return false;
    };
    let size = (stat.size() as u64).to_le_bytes();
    let changed = stat.changed().to_le_bytes();
    let [known @ .., _, _, _, _] = &identity.bytes;
    let (known_size, known_changed) = known.split_at(8);
    known_size == size && known_changed == changed
}

fn has_build_id(identity: &Identity, id: Option<&[u8]>) -> bool {
    id.is_some() && identity.bytes.get(..identity.len as usize) == id
}

/// The program headers of a mapped library.
///
/// # Safety
/// The first page of the library's mapping is at `start` from its load address.
pub(crate) unsafe fn mapped_phdrs(link_map: &LinkMap, start: u64) -> Option<&[Phdr]> {
    let at = link_map.addr.wrapping_add(start as usize);
    // SAFETY: the caller's promise; a page is larger than an ELF header.
    let header = unsafe { &*(at as *const Ehdr) };
    let end = header.phoff as usize + header.phnum as usize * size_of::<Phdr>();
    if !header.ident.starts_with(b"\x7fELF") || end > PAGE || header.phoff % 8 != 0 {
        return None;
    }
    let first = at.wrapping_add(header.phoff as usize) as *const Phdr;
    // SAFETY: inside of the first page.
    Some(unsafe { slice::from_raw_parts(first, header.phnum as usize) })
}
