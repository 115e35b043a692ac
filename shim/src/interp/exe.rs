//! The executable as the kernel mapped it.
//!
//! Unsafe because it is read through AT_PHDR. At this stage nothing of it is
//! relocated: addresses in it are link-time ones, to which `bias` is added.
//! Nothing here may write to it, except `set_debug`.
#![expect(unsafe_code, reason = "reads the mapped executable")]

use core::slice;

use crate::arch::PAGE;
use crate::elf::{Dyn, Ehdr, Phdr, dt, pf, pt};
use crate::format::note::Notes;

/// Most program headers accepted.
pub const MAX_PHDRS: usize = 256;

/// Facts about the mapped executable.
#[derive(Clone, Copy)]
pub struct Executable {
    /// What is added to link-time addresses.
    pub bias: usize,
    /// Its program headers.
    pub phdrs: &'static [Phdr],
    /// Its dynamic section, up to and without DT_NULL.
    pub dynamic: &'static [Dyn],
    /// Link-time address of its string table.
    pub strtab: u64,
    /// Whether the dynamic section lies in a writable segment.
    pub dynamic_writable: bool,
    /// What its notes say.
    pub notes: Notes<'static>,
}

/// Why the executable cannot be started.
pub type Reason = &'static str;

impl Executable {
    /// # Safety
    /// The arguments are the kernel's AT_PHDR, AT_PHNUM and AT_ENTRY.
    ///
    /// # Errors
    /// When it is not a dynamic executable of a layout that can be handled.
    pub unsafe fn new(phdr: usize, phnum: usize, entry: usize) -> Result<Self, Reason> {
        if phdr == 0 || phnum == 0 || phnum > MAX_PHDRS {
            return Err("its program headers cannot be found");
        }
        // SAFETY: the kernel mapped `phnum` headers there.
        let phdrs = unsafe { slice::from_raw_parts(phdr as *const Phdr, phnum) };
        // SAFETY: as for this function.
        let bias = unsafe { bias(phdrs, entry) }.ok_or("its load address cannot be told")?;
        let dynamic = find(phdrs, pt::DYNAMIC).ok_or("it has no dynamic section")?;
        let home = phdrs
            .iter()
            .find(|p| p.kind == pt::LOAD && contains(p, dynamic.vaddr, dynamic.memsz))
            .ok_or("its dynamic section is malformed")?;
        let address = bias.wrapping_add(dynamic.vaddr as usize);
        // SAFETY: inside the pages of a PT_LOAD, which the kernel mapped whole.
        let entries = unsafe {
            slice::from_raw_parts(
                address as *const Dyn,
                dynamic.memsz as usize / size_of::<Dyn>(),
            )
        };
        let len = entries
            .iter()
            .position(|d| d.tag == dt::NULL)
            .unwrap_or(entries.len());
        let entries = entries.get(..len).unwrap_or(entries);
        let strtab = entries
            .iter()
            .find(|d| d.tag == dt::STRTAB)
            .ok_or("it has no dynamic string table")?
            .value;
        let mut notes = Notes::default();
        for note in phdrs.iter().filter(|p| p.kind == pt::NOTE) {
            let mapped = phdrs
                .iter()
                .any(|p| p.kind == pt::LOAD && contains(p, note.vaddr, note.filesz));
            if mapped {
                let at = bias.wrapping_add(note.vaddr as usize) as *const u8;
                // SAFETY: inside the pages of a PT_LOAD, which the kernel mapped whole.
                let bytes = unsafe { slice::from_raw_parts(at, note.filesz as usize) };
                notes.scan(bytes, note.align as usize);
            }
        }
        Ok(Self {
            bias,
            phdrs,
            dynamic: entries,
            strtab,
            dynamic_writable: home.flags & pf::W != 0,
            notes,
        })
    }

    /// Fills DT_DEBUG of the executable's own dynamic section, where debuggers
    /// look for it: ld.so only fills the copy that it is given.
    pub fn set_debug(&self, address: usize) {
        if !self.dynamic_writable {
            return;
        }
        if let Some(entry) = self.dynamic.iter().find(|d| d.tag == dt::DEBUG) {
            // SAFETY: in a writable segment of the process; no reference to the
            // value is held.
            unsafe {
                (&raw const entry.value)
                    .cast_mut()
                    .write_volatile(address as u64)
            };
        }
    }
}

/// The first program header of type `kind`.
pub fn find(phdrs: &[Phdr], kind: u32) -> Option<&Phdr> {
    phdrs.iter().find(|p| p.kind == kind)
}

/// Whether the pages of `load` hold the range: all of its last page is mapped, and
/// patchelf after strip puts the dynamic section behind the segment's end in it.
fn contains(load: &Phdr, vaddr: u64, len: u64) -> bool {
    // The kernel mapped it, so that nothing overflows.
    let end = load
        .vaddr
        .wrapping_add(load.memsz)
        .wrapping_add(PAGE as u64 - 1);
    let end = end & !(PAGE as u64 - 1);
    vaddr >= load.vaddr && vaddr <= end && len <= end.wrapping_sub(vaddr)
}

/// Load bias: from PT_PHDR as ld.so does (elf/rtld.c), else from the ELF header
/// if it lies at the start of the page that holds the program headers.
///
/// # Safety
/// See `Executable::new`.
unsafe fn bias(phdrs: &[Phdr], entry: usize) -> Option<usize> {
    let address = phdrs.as_ptr() as usize;
    if let Some(phdr) = find(phdrs, pt::PHDR) {
        return Some(address.wrapping_sub(phdr.vaddr as usize));
    }
    let page = address & !(PAGE - 1);
    // SAFETY: the page that holds the program headers is mapped, and a page is
    // larger than an ELF header.
    let header = unsafe { &*(page as *const Ehdr) };
    if header.ident.starts_with(b"\x7fELF") && page.wrapping_add(header.phoff as usize) == address {
        return Some(entry.wrapping_sub(header.entry as usize));
    }
    None
}
