//! Which of the objects that ld.so has mapped are the ones that bindings were
//! computed for.
//!
//! docs/bindings-format.md, "Which object is the expected one", has the reasons.
//! Unsafe because it reads ld.so's list and mapped objects.

#![expect(unsafe_code, reason = "reads ld.so's link maps and mapped objects")]

use core::ffi::CStr;
use core::slice;

use crate::arch::PAGE;
use crate::binder::linkmap::LinkMap;
use crate::bytes::string;
use crate::elf::{Dyn, Ehdr, Phdr, dt, pf, pt};
use crate::format::bindings::{Bindings, Object};
use crate::format::bindings_layout::{FileState, OBJECT_STORED, SUM_UP_TO};
use crate::format::bindings_sum::{sum, sum_entry};
use crate::format::layout::{IDENTITY_BUILD_ID, IDENTITY_SIZE_MTIME, Identity};
use crate::format::note::Notes;
use crate::format::table::Table;
use crate::sys;

/// Fills `maps` and `bases` with the objects at the front of ld.so's list that
/// are the expected ones, and returns how many they are. `phdrs` are the
/// executable's.
///
/// The list is in lookup order (elf/rtld.c puts even ld.so in its place), but
/// for the vDSO, which no lookup sees.
pub(crate) fn expected(
    table: &Table<'_>,
    bindings: &Bindings<'_>,
    main: &LinkMap,
    phdrs: &[Phdr],
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
            let same = match count.checked_sub(1) {
                // Its build-id is the table's; but that may be set by hand.
                // ld.so has the shim's copy of its dynamic section.
                None => content(&object, link_map.addr, phdrs) == Some(object.raw.content.get()),
                Some(at) => is_expected(&object, table, at, link_map),
            };
            if same {
                break Some(link_map);
            }
            if count == 0 || !is_vdso(link_map) {
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

/// ld.so's name of an object: the absolute path that it was mapped from, but
/// for the vDSO.
fn name_of(link_map: &LinkMap) -> &'static CStr {
    // SAFETY: ld.so's names end in NUL and stay.
    unsafe { string(link_map.name.cast()) }
}

fn is_vdso(link_map: &LinkMap) -> bool {
    name_of(link_map).to_bytes().starts_with(b"linux-vdso")
}

/// Whether the mapped library is the expected one, the object of the table at
/// `index`. One of a store is known by its path and its build-id. Another is if
/// what binding depends on is the same in memory. If that is much, its file is
/// asked first, at the price of a path's way through the kernel: one that has not
/// been touched need not be read.
fn is_expected(object: &Object<'_>, table: &Table<'_>, index: usize, link_map: &LinkMap) -> bool {
    let raw = object.raw;
    // A different place of the dynamic section: another file.
    let dynamic = (link_map.dynamic as usize).wrapping_sub(link_map.addr) as u64;
    if dynamic != raw.dynamic.get() {
        return false;
    }
    let name = name_of(link_map);
    let is_named = || table.object(index).is_some_and(|named| named.path == name);
    if raw.flags & OBJECT_STORED != 0 && is_named() {
        return is_stored(&raw.identity, name, link_map);
    }
    if content_len(object) > SUM_UP_TO && is_untouched(&raw.file, name) {
        return true;
    }
    if !sys::is_readable(link_map.addr) {
        return false;
    }
    // SAFETY: just asked.
    let phdrs = unsafe { mapped_phdrs(link_map) };
    let total = phdrs.and_then(|phdrs| content(object, link_map.addr, phdrs));
    total.is_some_and(|total| {
        // SAFETY: ld.so walked it.
        let total = unsafe { with_dynamic(total, link_map) };
        total == raw.content.get()
    })
}

/// Whether the library of a store that was mapped from `path` has `identity`.
fn is_stored(identity: &Identity, path: &CStr, link_map: &LinkMap) -> bool {
    match identity.kind {
        IDENTITY_SIZE_MTIME => sys::stat(path).is_ok_and(|stat| {
            let words = [stat.size() as u64, stat.changed() as u64].map(u64::to_le_bytes);
            identity.bytes.starts_with(words.as_flattened())
        }),
        // SAFETY: the file at this path has its header there, or would not be
        // `OBJECT_STORED`.
        IDENTITY_BUILD_ID => match unsafe { mapped_phdrs(link_map) } {
            Some(phdrs) => has_build_id(identity, link_map.addr, phdrs),
            None => false,
        },
        _ => false,
    }
}

/// Whether the file at `path` is the one that it was, with the content that it had.
fn is_untouched(file: &FileState, path: &CStr) -> bool {
    sys::stat(path).is_ok_and(|stat| {
        stat.ino == file.inode.get()
            && stat.size() as u64 == file.size.get()
            && stat.changed() as u64 == file.changed.get()
            && stat.status_changed() as u64 == file.status.get()
    })
}

/// Bytes of all ranges.
fn content_len(object: &Object<'_>) -> u64 {
    let mut len = 0_u64;
    let mut index = 0;
    while let Some(range) = object.range(index) {
        len = len.saturating_add(range.len.get());
        index += 1;
    }
    len
}

/// The sum of the program headers, symbols, names, versions and relocations of the object
/// at `base`, where it has all of them.
fn content(object: &Object<'_>, base: usize, phdrs: &[Phdr]) -> Option<u64> {
    let mut total = 0;
    let mut index = 0;
    while let Some(range) = object.range(index) {
        // SAFETY: ld.so mapped the object by these headers.
        match unsafe { mapped(phdrs, base, range.start.get(), range.len.get()) } {
            Some(bytes) => total = sum(total, bytes),
            None => return None,
        }
        index += 1;
    }
    (index != 0).then_some(total)
}

/// The sum continued with the dynamic section of an object.
///
/// # Safety
/// It is mapped and ends in DT_NULL.
unsafe fn with_dynamic(mut total: u64, link_map: &LinkMap) -> u64 {
    let mut at: *const Dyn = link_map.dynamic;
    // SAFETY: the caller's promise.
    unsafe {
        while (*at).tag != dt::NULL {
            total = sum_entry(total, (*at).tag, (*at).value, link_map.addr as u64);
            at = at.add(1);
        }
    }
    total
}

fn has_build_id(identity: &Identity, base: usize, phdrs: &[Phdr]) -> bool {
    let mut notes = Notes::default();
    for note in phdrs.iter().filter(|p| p.kind == pt::NOTE) {
        // SAFETY: ld.so mapped the object by these headers.
        if let Some(bytes) = unsafe { mapped(phdrs, base, note.vaddr, note.filesz) } {
            notes.scan(bytes, note.align as usize);
        }
    }
    let id = notes.build_id;
    id.is_some() && identity.bytes.get(..identity.len as usize) == id
}

/// The `len` bytes at `start` from the load address `base`, if they lie in what
/// one readable segment has of the file.
///
/// # Safety
/// The object with these program headers is mapped at `base`.
unsafe fn mapped(phdrs: &[Phdr], base: usize, start: u64, len: u64) -> Option<&'static [u8]> {
    let mut loads = phdrs
        .iter()
        .filter(|p| p.kind == pt::LOAD && p.flags & pf::R != 0);
    loads.find(|load| {
        let within = start.wrapping_sub(load.vaddr);
        within <= load.filesz && len <= load.filesz - within
    })?;
    let at = base.wrapping_add(start as usize) as *const u8;
    // SAFETY: the caller's promise.
    Some(unsafe { slice::from_raw_parts(at, len as usize) })
}

/// The program headers of a mapped library.
///
/// # Safety
/// A page is mapped at its load address, and can be read.
pub(crate) unsafe fn mapped_phdrs(link_map: &LinkMap) -> Option<&[Phdr]> {
    let at = link_map.addr;
    if at == 0 || !at.is_multiple_of(PAGE) {
        return None;
    }
    // SAFETY: the caller's promise; a page is larger than an ELF header.
    let header = unsafe { &*(at as *const Ehdr) };
    let len = header.phnum as u64 * size_of::<Phdr>() as u64;
    let end = header.phoff.checked_add(len)?;
    if !header.ident.starts_with(b"\x7fELF") || end > PAGE as u64 || header.phoff % 8 != 0 {
        return None;
    }
    let first = at.wrapping_add(header.phoff as usize) as *const Phdr;
    // SAFETY: inside of the first page.
    Some(unsafe { slice::from_raw_parts(first, header.phnum as usize) })
}
