//! A stub's bytes.
//!
//! The file has what linkers read: section headers (bfd, gold, mold), program
//! headers (lld and mold take a symbol's class from there), dynamic section,
//! symbols and versions. Data sections have no content. The code is the instruction that
//! stops whoever comes to it (`int3`), zeros for machines that are not served.
//!
//! What stops ld.so from loading a stub: it needs, of libc.so.6, a version that
//! is nowhere defined. Link editors look at the version needs of a shared object
//! only for its undefined symbols; ld.so checks them all before it relocates
//! anything, and its message quotes the version's name.

use indir_shim::format::note;
use object::elf::{self, Machine};

use crate::abi::model::{Abi, Binding, Properties};
use crate::arch::Arch;

use super::image::{
    ALLOC, EXEC, Image, R, Segment, TLS, Target, W, WRITE, X, finish, index, load, segment,
};
use super::layout::Layout;
use super::symbols::{Placed, symbol_table};
use super::tables::{self, Strings};

/// The name of the version that no stub has: ld.so says that it was not found.
pub const NOT_LOADABLE: &str =
    "indir ABI stub, for linking only: put the real library in its place, or run indir update";

/// The file that shall have that version. Not the stub itself: ld.so does not
/// know an object that is opened by path under its soname, and asserts that the
/// file of a version need is loaded. libc.so.6 is in every process.
const HOST: &[u8] = b"libc.so.6";

const PAGE: u64 = 0x1000;

/// Why an ABI cannot be written as a stub.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum StubError {
    /// The sizes of its objects are absurd.
    #[error("its objects add up to more than an address space")]
    Span,
    /// Version indices are 15 bits.
    #[error("it defines more versions than ELF can number")]
    Versions,
    /// Section indices are 16 bits.
    #[error("it has more link warnings than ELF can number sections")]
    Sections,
    /// Offsets into the string table are 32 bits.
    #[error("its names are longer than ELF can address")]
    Names,
}

/// Writes the stub of `abi`.
///
/// # Errors
/// When ELF cannot express it; no library that a linker made does that.
pub fn stub(abi: &Abi) -> Result<Vec<u8>, StubError> {
    let layout = Layout::new(abi).ok_or(StubError::Span)?;
    if abi.versions.len() > 0x7ff0 {
        return Err(StubError::Versions);
    }
    if abi.warnings.len() > 0xf000 {
        return Err(StubError::Sections);
    }
    let mut strings = Strings::new();
    let soname = abi.soname.as_deref();
    let verdef = tables::version_definitions(abi, &mut strings);
    let verneed = tables::version_need(
        HOST,
        NOT_LOADABLE.as_bytes(),
        abi.versions.len(),
        &mut strings,
    );
    let names: Vec<&[u8]> = abi
        .undefined
        .keys()
        .map(Vec::as_slice)
        .chain(layout.order.iter().map(|s| s.0.name.as_slice()))
        .collect();
    let name_offsets: Vec<u32> = names.iter().map(|name| strings.add(name)).collect();
    let needed: Vec<u32> = abi.needed.iter().map(|name| strings.add(name)).collect();
    let soname_at = soname.map(|name| strings.add(name));
    let runpath = (!needed.is_empty()).then(|| strings.add(b"$ORIGIN"));
    let strtab = strings.finish().ok_or(StubError::Names)?;
    let hashes = tables::hash_table(&names);
    let versym = tables::version_symbols(abi, &layout);

    // Addresses are exact only below twice the strictest alignment.
    let strictest = [&layout.rodata, &layout.relro, &layout.data, &layout.tls]
        .iter()
        .map(|area| area.align)
        .max();
    let unit = PAGE.max(strictest.unwrap_or(1) * 2);

    let has_properties = abi.properties != Properties::default();
    let segments = 7
        + usize::from(layout.rodata.size > 0)
        + usize::from(layout.tls.size > 0)
        + 2 * usize::from(has_properties);
    let mut image = Image {
        bytes: vec![0; 64 + segments * 56],
        sections: Vec::new(),
    };
    let mut program: Vec<Segment> = Vec::with_capacity(segments);

    let note = tables::note(note::OWNER, note::TYPE_STUB, &abi.digest().0, 4);
    let note = image.push(note::SECTION, elf::SHT_NOTE.0, ALLOC, 4, 0, &note);
    let property = has_properties.then(|| {
        let note = tables::property_note(abi.properties);
        image.push(".note.gnu.property", elf::SHT_NOTE.0, ALLOC, 8, 0, &note)
    });
    let hash = image.push(".hash", elf::SHT_HASH.0, ALLOC, 8, 0, &hashes);
    // Filled in below, when the addresses are known.
    let dynsym = image.push(
        ".dynsym",
        elf::SHT_DYNSYM.0,
        ALLOC,
        8,
        0,
        &vec![0; 24 * (names.len() + 1)],
    );
    let versym = image.push(".gnu.version", elf::SHT_GNU_VERSYM.0, ALLOC, 2, 0, &versym);
    let verdef = image.push(
        ".gnu.version_d",
        elf::SHT_GNU_VERDEF.0,
        ALLOC,
        8,
        0,
        &verdef,
    );
    let verneed = image.push(
        ".gnu.version_r",
        elf::SHT_GNU_VERNEED.0,
        ALLOC,
        8,
        0,
        &verneed,
    );
    let dynstr = image.push(".dynstr", elf::SHT_STRTAB.0, ALLOC, 1, 0, &strtab);
    let headers_end = image.here();
    program.push(load(R, 0, 0, headers_end, headers_end, unit));

    let mut placed = Placed::default();
    let next = |end: u64, offset: u64| end.next_multiple_of(unit) + offset % unit;

    image.pad(16);
    let start = image.here();
    let vaddr = next(headers_end, start);
    let trap = Arch::of(Machine(abi.machine)).map_or(&[0][..], |arch| arch.trap);
    let size = usize::try_from(layout.text.size.max(1)).map_err(|_| StubError::Span)?;
    let code: Vec<u8> = trap.iter().copied().cycle().take(size).collect();
    let text = image.push(
        ".text",
        elf::SHT_PROGBITS.0,
        ALLOC | EXEC,
        16,
        vaddr - start,
        &code,
    );
    placed.text = (vaddr, index(text));
    program.push(load(
        R | X,
        start,
        vaddr,
        code.len() as u64,
        code.len() as u64,
        unit,
    ));
    let mut end = vaddr + code.len() as u64;

    if layout.rodata.size > 0 {
        let vaddr = end.next_multiple_of(unit);
        let size = layout.rodata.size;
        let at = image.push_empty(".rodata", ALLOC, vaddr, size, layout.rodata.align);
        placed.rodata = (vaddr, index(at));
        program.push(load(R, 0, vaddr, 0, size, unit));
        end = vaddr + size;
    }

    // The writable segment: .dynamic and the relro objects, then the rest.
    image.pad(16);
    let start = image.here();
    let rw = next(end, start);
    let address = |at: usize| image.sections.get(at).map_or(0, |s| s.addr);
    let mut entries: Vec<(i64, u64)> = Vec::new();
    entries.extend(needed.iter().map(|&n| (elf::DT_NEEDED.0, u64::from(n))));
    entries.extend(soname_at.map(|n| (elf::DT_SONAME.0, u64::from(n))));
    entries.extend(runpath.map(|n| (elf::DT_RUNPATH.0, u64::from(n))));
    entries.extend([
        (elf::DT_HASH.0, address(hash)),
        (elf::DT_STRTAB.0, address(dynstr)),
        (elf::DT_SYMTAB.0, address(dynsym)),
        (elf::DT_STRSZ.0, strtab.len() as u64),
        (elf::DT_SYMENT.0, 24),
        (elf::DT_VERSYM.0, address(versym)),
        (elf::DT_VERDEF.0, address(verdef)),
        (elf::DT_VERDEFNUM.0, abi.versions.len() as u64 + 1),
        (elf::DT_VERNEED.0, address(verneed)),
        (elf::DT_VERNEEDNUM.0, 1),
        (elf::DT_NULL.0, 0),
    ]);
    let mut content = Vec::with_capacity(entries.len() * 16);
    for (tag, value) in entries {
        content.extend_from_slice(&tag.to_le_bytes());
        content.extend_from_slice(&value.to_le_bytes());
    }
    let dynamic = image.push(
        ".dynamic",
        elf::SHT_DYNAMIC.0,
        ALLOC | WRITE,
        16,
        rw - start,
        &content,
    );
    let filesz = content.len() as u64;
    let mut end = rw + filesz;
    if layout.relro.size > 0 {
        let vaddr = end.next_multiple_of(unit);
        let at = image.push_empty(
            ".data.rel.ro",
            ALLOC | WRITE,
            vaddr,
            layout.relro.size,
            layout.relro.align,
        );
        placed.relro = (vaddr, index(at));
        end = vaddr + layout.relro.size;
    }
    let relro_end = end.next_multiple_of(PAGE);
    if layout.data.size > 0 {
        let vaddr = relro_end.next_multiple_of(unit);
        let at = image.push_empty(
            ".bss",
            ALLOC | WRITE,
            vaddr,
            layout.data.size,
            layout.data.align,
        );
        placed.data = (vaddr, index(at));
        end = vaddr + layout.data.size;
    } else {
        end = relro_end;
    }
    program.push(load(R | W, start, rw, filesz, end - rw, unit));
    if layout.tls.size > 0 {
        let vaddr = end.next_multiple_of(unit);
        let (size, align) = (layout.tls.size, layout.tls.align);
        let at = image.push_empty(".tbss", ALLOC | WRITE | TLS, vaddr, size, align);
        placed.tls = (0, index(at));
        program.push(segment(elf::PT_TLS.0, R, start, vaddr, 0, size, align));
    }
    program.push(segment(
        elf::PT_DYNAMIC.0,
        R | W,
        start,
        rw,
        filesz,
        filesz,
        8,
    ));
    program.push(segment(
        elf::PT_GNU_RELRO.0,
        R,
        start,
        rw,
        filesz,
        relro_end - rw,
        1,
    ));
    for (at, align) in [(Some(note), 4), (property, 8)] {
        let Some(at) = at.and_then(|at| image.sections.get(at)) else {
            continue;
        };
        program.push(segment(
            elf::PT_NOTE.0,
            R,
            at.offset,
            at.addr,
            at.size,
            at.size,
            align,
        ));
        if align == 8 {
            program.push(segment(
                elf::PT_GNU_PROPERTY.0,
                R,
                at.offset,
                at.addr,
                at.size,
                at.size,
                8,
            ));
        }
    }
    program.push(segment(elf::PT_GNU_STACK.0, R | W, 0, 0, 0, 0, 16));

    for (name, text) in &abi.warnings {
        let title = [b".gnu.warning.", name.as_slice()].concat();
        let content = [text.as_slice(), b"\0"].concat();
        let at = image.push("", elf::SHT_PROGBITS.0, 0, 1, 0, &content);
        if let Some(section) = image.sections.get_mut(at) {
            section.name = title;
        }
    }

    for (at, link, info, entsize) in [
        (hash, dynsym, 0, 4),
        (dynsym, dynstr, 1, 24),
        (versym, dynsym, 0, 2),
        (verdef, dynstr, abi.versions.len() as u32 + 1, 0),
        (verneed, dynstr, 1, 0),
        (dynamic, dynstr, 0, 16),
    ] {
        if let Some(section) = image.sections.get_mut(at) {
            section.link = u32::from(index(link));
            section.info = info;
            section.entsize = entsize;
        }
    }
    let symbols = symbol_table(abi, &layout, &placed, &name_offsets);
    if let Some(at) = image.sections.get(dynsym).map(|s| s.offset as usize)
        && let Some(room) = image.bytes.get_mut(at..at + symbols.len())
    {
        room.copy_from_slice(&symbols);
    }
    let target = Target {
        machine: abi.machine,
        flags: abi.flags,
        unique: abi.symbols.values().any(|s| s.binding == Binding::Unique),
    };
    finish(image, &target, &program).ok_or(StubError::Names)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::stub;
    use crate::abi::parse::tests::any_abi;

    proptest! {
        #[test]
        fn a_stub_reads_back_as_the_abi_it_was_cut_from(abi in any_abi()) {
            let bytes = stub(&abi).unwrap();
            let elf = crate::elf::ElfFile::parse(&bytes).unwrap();
            let read = crate::abi::read::read(&elf).unwrap();
            prop_assert_eq!(read.stub, Some(true));
            prop_assert_eq!(read.abi.to_text(), abi.to_text());
            prop_assert_eq!(bytes, stub(&read.abi).unwrap());
        }
    }
}
