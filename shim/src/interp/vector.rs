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
use crate::handover::TAG;
use crate::interp::arena::Arena;
use crate::interp::exe::{Executable, find};
use crate::interp::needs::Needs;

/// What a start changes of the executable's own tags.
pub struct Changes<'a> {
    /// Path of ld.so, the executable's interpreter.
    pub ldso: &'static CStr,
    /// Libraries to come before the executable's own needs.
    pub needs: Option<Needs<'a>>,
    /// In a bound plan that is not switched off, the address of what the binder
    /// is told.
    pub handover: Option<usize>,
    /// Instead of the executable's own run path: the tag, and its folders.
    pub search: Option<(u64, &'static CStr)>,
    /// Address of an array of functions to run before constructors, and its
    /// length in bytes.
    pub preinit: (usize, usize),
}

/// Copy of the program headers, to be given to ld.so as AT_PHDR and AT_PHNUM.
///
/// Returns `None` when the arena is full.
pub fn build(
    arena: &mut Arena,
    exe: &Executable,
    changes: &Changes<'_>,
) -> Option<&'static [Phdr]> {
    let needs = changes.needs.as_ref();
    let room = exe.dynamic.len() + needs.map_or(0, Needs::most) + 5;
    let dynamic = arena.take::<Dyn>(room)?;
    let strtab = (exe.bias as u64).wrapping_add(exe.strtab);
    let name = |text: &CStr| (text.as_ptr() as u64).wrapping_sub(strtab);
    let at = |address: usize| (address as u64).wrapping_sub(exe.bias as u64);
    let mut slots = dynamic.iter_mut();
    let mut put = |tag: u64, value: u64| -> Option<()> {
        *slots.next()? = Dyn { tag, value };
        Some(())
    };

    if let Some(needs) = needs {
        needs.each(arena, |need| put(dt::NEEDED, name(need)))?;
    }
    if let Some(handover) = changes.handover {
        put(TAG, handover as u64)?;
    }
    for entry in exe.dynamic {
        match entry.tag {
            dt::RPATH | dt::RUNPATH if changes.search.is_some() => {}
            dt::PREINIT_ARRAY | dt::PREINIT_ARRAYSZ => {}
            tag => put(tag, entry.value)?,
        }
    }
    if let Some((tag, folders)) = changes.search
        && !folders.is_empty()
    {
        put(tag, name(folders))?;
    }
    put(dt::PREINIT_ARRAY, at(changes.preinit.0))?;
    put(dt::PREINIT_ARRAYSZ, changes.preinit.1 as u64)?;
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
                let path = changes.ldso;
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
