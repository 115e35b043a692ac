//! Builds what ld.so is given instead of the executable's own program headers
//! and dynamic section.
//!
//! ld.so computes the executable's load address as AT_PHDR minus PT_PHDR's
//! p_vaddr and finds everything else relative to it (elf/rtld.c,
//! rtld_setup_main_map), so a copy in our memory serves when its addresses are
//! lowered by the same bias. DT_NEEDED's value is added to DT_STRTAB modulo
//! 2^64, so names may lie in the table. Nothing here makes a system call.

use core::ffi::CStr;

use crate::elf::{Dyn, Phdr, dt, pf, pt};
use crate::format::layout::{OBJECT_LDSO, OBJECT_SEARCH};
use crate::format::table::Table;
use crate::handover::TAG;
use crate::interp::arena::Arena;
use crate::interp::exe::{Executable, find};

/// What a start adds to the executable's own tags.
pub struct Additions<'a> {
    /// The closure.
    pub table: &'a Table<'static>,
    /// The binder, in a bound plan that is not switched off, and the address of
    /// what it is told.
    pub binder: Option<(&'static CStr, usize)>,
    /// Value of DT_RPATH.
    pub search: &'static CStr,
    /// Address of an array of functions to run before constructors, and its
    /// length in bytes.
    pub preinit: (usize, usize),
}

/// Copy of the program headers, to be given to ld.so as AT_PHDR and AT_PHNUM.
/// `by_soname` tells for each object whether ld.so shall search for it.
///
/// Returns `None` when the arena is full.
pub fn build(
    arena: &mut Arena,
    exe: &Executable,
    add: &Additions<'_>,
    mut by_soname: impl FnMut(&CStr) -> bool,
) -> Option<&'static [Phdr]> {
    let dynamic = arena.take::<Dyn>(exe.dynamic.len() + add.table.len() + 6)?;
    let strtab = (exe.bias as u64).wrapping_add(exe.strtab);
    let name = |text: &CStr| (text.as_ptr() as u64).wrapping_sub(strtab);
    let at = |address: usize| (address as u64).wrapping_sub(exe.bias as u64);
    let mut slots = dynamic.iter_mut();
    let mut put = |tag: u64, value: u64| -> Option<()> {
        *slots.next()? = Dyn { tag, value };
        Some(())
    };

    let mut index = 0;
    while let Some(object) = add.table.object(index) {
        index += 1;
        let flags = object.raw.flags;
        let text = if flags & OBJECT_LDSO != 0 {
            add.table.ldso()
        } else if flags & OBJECT_SEARCH != 0 || by_soname(object.soname) {
            object.soname
        } else {
            object.path
        };
        put(dt::NEEDED, name(text))?;
    }
    if let Some((binder, handover)) = add.binder {
        put(dt::NEEDED, name(binder))?;
        put(TAG, handover as u64)?;
    }
    for entry in exe.dynamic {
        match entry.tag {
            dt::RPATH | dt::RUNPATH | dt::PREINIT_ARRAY | dt::PREINIT_ARRAYSZ => {}
            tag => put(tag, entry.value)?,
        }
    }
    if !add.search.is_empty() {
        put(dt::RPATH, name(add.search))?;
    }
    put(dt::PREINIT_ARRAY, at(add.preinit.0))?;
    put(dt::PREINIT_ARRAYSZ, add.preinit.1 as u64)?;
    put(dt::NULL, 0)?;

    let missing = usize::from(find(exe.phdrs, pt::PHDR).is_none());
    let phdrs = arena.take::<Phdr>(exe.phdrs.len() + missing)?;
    let address = phdrs.as_ptr() as usize;
    let size = size_of_val(phdrs) as u64;
    // PT_PHDR goes first: ld.so needs the load address for all that follows.
    let (first, rest) = phdrs.split_first_mut()?;
    *first = Phdr {
        kind: pt::PHDR,
        flags: pf::R,
        offset: 0,
        vaddr: at(address),
        paddr: at(address),
        filesz: size,
        memsz: size,
        align: 8,
    };
    let mut slots = rest.iter_mut();
    for phdr in exe.phdrs {
        if phdr.kind == pt::PHDR {
            continue;
        }
        let mut phdr = *phdr;
        match phdr.kind {
            pt::DYNAMIC => {
                phdr.vaddr = at(dynamic.as_ptr() as usize);
                phdr.memsz = size_of_val(dynamic) as u64;
                phdr.filesz = phdr.memsz;
                phdr.flags |= pf::W;
            }
            pt::INTERP => {
                let path = add.table.ldso();
                phdr.vaddr = at(path.as_ptr() as usize);
                phdr.memsz = path.count_bytes() as u64 + 1;
                phdr.filesz = phdr.memsz;
            }
            _ => {}
        }
        *slots.next()? = phdr;
    }
    Some(phdrs)
}
