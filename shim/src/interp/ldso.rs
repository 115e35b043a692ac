//! Maps the real ld.so the way the kernel maps an interpreter
//! (Linux fs/binfmt_elf.c, load_elf_interp).
//!
//! Unsafe because it maps code. ld.so uses the tail of its last data page as
//! heap, so that tail is zeroed; every segment gets the protection that it asks
//! for. The file is untrusted: nothing is mapped before its headers make sense.
#![expect(unsafe_code, reason = "maps ld.so")]

use core::ffi::CStr;
use core::slice;

use crate::arch::{Code, Features, GAPS, MACHINE, PROPERTY, clear};
use crate::bytes::Buffer;
use crate::elf::{Dyn, ET_DYN, Ehdr, Phdr, Sym, dt, pf, pt};
use crate::format::note::Notes;
use crate::sys::{self, Errno, map};

/// Bytes of the file that are read: header and program headers must lie inside.
/// ld.so itself reads 832 of a library (elf/dl-load.c, struct filebuf).
const HEAD: usize = 1024;

/// Largest address space that an ld.so may span.
const MAX_SPAN: u64 = 1 << 30;

/// A mapped ld.so.
#[derive(Clone, Copy)]
pub struct Mapped {
    /// Load bias: AT_BASE.
    pub base: usize,
    /// Address to jump to.
    pub entry: usize,
    /// Descriptor that is still open.
    pub fd: usize,
    /// Its PT_DYNAMIC.
    dynamic: Option<Phdr>,
    /// End of its last segment, from `base`.
    span: u64,
}

impl Mapped {
    /// Address of the variable `name`, whose GNU hash is `hash`, if ld.so
    /// exports it. Nothing of ld.so is relocated yet.
    #[cold]
    #[inline(never)]
    pub fn variable(&self, name: &[u8], hash: u32) -> Option<usize> {
        let dynamic = self.dynamic?;
        let mut hashes = 0;
        let mut symbols = 0;
        let mut strings = 0;
        let mut at = dynamic.vaddr;
        loop {
            let entry = self.get::<Dyn>(at)?;
            match entry.tag {
                dt::NULL => break,
                dt::GNU_HASH => hashes = entry.value,
                dt::SYMTAB => symbols = entry.value,
                dt::STRTAB => strings = entry.value,
                _ => {}
            }
            at = at.wrapping_add(size_of::<Dyn>() as u64);
        }
        // elf/dl-lookup.c; the section is described in binutils' bfd/elflink.c.
        let [buckets, first, words, _] = *self.get::<[u32; 4]>(hashes)?;
        let table = hashes.wrapping_add(16 + 8 * u64::from(words));
        let bucket = hash.checked_rem(buckets)?;
        let mut index = *self.get::<u32>(table.wrapping_add(4 * u64::from(bucket)))?;
        loop {
            let place = index.checked_sub(first)?;
            let chain = 4 * (u64::from(buckets) + u64::from(place));
            let value = *self.get::<u32>(table.wrapping_add(chain))?;
            let offset = size_of::<Sym>() as u64 * u64::from(index);
            let symbol = self.get::<Sym>(symbols.wrapping_add(offset))?;
            let text = strings.wrapping_add(u64::from(symbol.name));
            if value | 1 == hash | 1 && self.is_named(text, name) {
                return Some(self.base.wrapping_add(symbol.value as usize));
            }
            if value & 1 != 0 {
                return None;
            }
            index = index.checked_add(1)?;
        }
    }

    fn is_named(&self, mut at: u64, name: &[u8]) -> bool {
        name.iter().chain(&[0]).all(|byte| {
            let same = self.get::<u8>(at) == Some(byte);
            at = at.wrapping_add(1);
            same
        })
    }

    /// The `T` at `address`, if it lies in the segments' span and is aligned.
    fn get<T: Copy>(&self, address: u64) -> Option<&T> {
        let end = address.checked_add(size_of::<T>() as u64)?;
        let at = self.base.wrapping_add(address as usize) as *const T;
        if end > self.span || !at.is_aligned() {
            return None;
        }
        // SAFETY: inside of what was mapped, readable; used with integers only.
        Some(unsafe { &*at })
    }
}

/// Why ld.so cannot be used.
pub type Reason = &'static str;

#[repr(C, align(16))]
struct Head(Buffer<HEAD>);

/// Opens `path` and maps it; `identity` is told its build-id, if it has one
/// among the first bytes of the file. `table` is a descriptor that is closed
/// where there may be no further one. `whole` asks whether the file is as long
/// as its headers say, which costs a system call: using what lies beyond its end
/// would raise SIGBUS.
///
/// # Errors
/// Says what is wrong with the file; what was mapped by then stays mapped,
/// because the process ends.
#[inline(never)]
pub fn map(
    path: &CStr,
    page: usize,
    features: Features,
    whole: bool,
    table: &mut Option<usize>,
    identity: impl FnOnce(&[u8]),
) -> Result<Mapped, Reason> {
    let mut opened = sys::open(path);
    if opened == Err(sys::EMFILE)
        && let Some(fd) = table.take()
    {
        sys::close(fd);
        opened = sys::open(path);
    }
    let fd = opened.map_err(Errno::message)?;
    let mut head = Head(Buffer::empty());
    // SAFETY: read(2) writes as many bytes as it returns.
    unsafe { head.0.fill(|to, len| sys::read_raw(fd, to, len)) }.map_err(Errno::message)?;
    let bytes = head.0.bytes();
    let phdrs = headers(bytes)?;
    let header = ehdr(bytes).ok_or(NOT_ELF)?;
    let mut notes = Notes::default();
    for note in phdrs.iter().filter(|p| p.kind == pt::NOTE) {
        let start = note.offset as usize;
        if let Some(end) = start.checked_add(note.filesz as usize)
            && let Some(note_bytes) = bytes.get(start..end)
        {
            notes.scan(note_bytes, note.align as usize);
        }
    }
    if notes.stub.is_some() {
        return Err("it is an ABI stub");
    }
    if notes.shim {
        return Err("it is a shim of indir");
    }
    if let Some(id) = notes.build_id {
        identity(id);
    }
    let code = features.code(|| property(phdrs, fd));
    // Where nobody may ask, in a sandbox, it is taken for whole too.
    let len = whole.then(|| sys::length(fd).ok()).flatten();
    let len = len.unwrap_or(usize::MAX) as u64;
    let base = map_segments(phdrs, fd, len, page, code)?;
    Ok(Mapped {
        base,
        entry: base.wrapping_add(header.entry as usize),
        fd,
        dynamic: phdrs.iter().find(|p| p.kind == pt::DYNAMIC).copied(),
        span: phdrs
            .iter()
            .filter(|p| p.kind == pt::LOAD)
            .map(|p| p.vaddr.wrapping_add(p.memsz))
            .max()
            .unwrap_or(0),
    })
}

const NOT_ELF: Reason = "it is not an ELF file";
const MALFORMED: Reason = "its segments make no sense";

fn ehdr(bytes: &[u8]) -> Option<&Ehdr> {
    if bytes.len() < size_of::<Ehdr>() || !bytes.starts_with(b"\x7fELF") {
        return None;
    }
    // SAFETY: long enough, and aligned as `Head` is.
    Some(unsafe { &*bytes.as_ptr().cast::<Ehdr>() })
}

fn headers(bytes: &[u8]) -> Result<&[Phdr], Reason> {
    let header = ehdr(bytes).ok_or(NOT_ELF)?;
    let [_, _, _, _, class, data, ..] = header.ident;
    if class != 2 || data != 1 || header.machine != MACHINE {
        return Err("it is for another architecture");
    }
    if header.kind != ET_DYN || header.phentsize as usize != size_of::<Phdr>() {
        return Err("it is not a shared object");
    }
    let at = header.phoff as usize;
    let len = header.phnum as usize * size_of::<Phdr>();
    let inside = at
        .checked_add(len)
        .and_then(|end| bytes.get(at..end))
        .filter(|_| at.is_multiple_of(align_of::<Phdr>()))
        .ok_or(MALFORMED)?;
    // SAFETY: in bounds and aligned, checked above; any bits are a Phdr.
    Ok(unsafe { slice::from_raw_parts(inside.as_ptr().cast::<Phdr>(), header.phnum as usize) })
}

fn protection(flags: u32, code: Code) -> usize {
    let bit = |flag: u32, value: usize| if flags & flag != 0 { value } else { 0 };
    bit(pf::R, map::READ) | bit(pf::W, map::WRITE) | bit(pf::X, map::EXEC | code.protection())
}

/// The start of the GNU property note, which may be anywhere in the file.
fn property(phdrs: &[Phdr], fd: usize) -> Option<[u8; PROPERTY]> {
    let place = phdrs.iter().find(|p| p.kind == pt::GNU_PROPERTY)?;
    let mut note = [0; PROPERTY];
    let len = (place.filesz as usize).min(PROPERTY);
    sys::read_at(fd, note.get_mut(..len)?, place.offset as usize).ok()?;
    Some(note)
}

/// Maps all PT_LOAD segments in one reservation. Returns the load bias.
fn map_segments(
    phdrs: &[Phdr],
    fd: usize,
    file_len: u64,
    page: usize,
    code: Code,
) -> Result<usize, Reason> {
    let page = page as u64;
    let down = |address: u64| address & !(page - 1);
    let up = |address: u64| down(address.wrapping_add(page - 1));
    let first = phdrs.iter().find(|p| p.kind == pt::LOAD);
    let first = first.ok_or(MALFORMED)?;
    let start = down(first.vaddr);
    let mut end = 0;
    for load in phdrs.iter().filter(|p| p.kind == pt::LOAD) {
        let last = load.vaddr.checked_add(load.memsz).ok_or(MALFORMED)?;
        if load.filesz > load.memsz
            || load.vaddr < end
            || (load.vaddr ^ load.offset) & (page - 1) != 0
            || last > MAX_SPAN
        {
            return Err(MALFORMED);
        }
        if load.offset.saturating_add(load.filesz) > file_len {
            return Err("it is truncated");
        }
        end = up(last);
    }
    let failed = |_| "it cannot be mapped";
    // All of it as the first segment is; the others then replace their parts.
    let len = (end - start) as usize;
    let (first_prot, offset) = (protection(first.flags, code), down(first.offset) as usize);
    // SAFETY: the kernel chooses the place.
    let at = unsafe { sys::mmap(0, len, first_prot, map::PRIVATE, fd, offset) };
    let bias = at.map_err(failed)?.wrapping_sub(start as usize);
    let mut covered = start;
    for load in phdrs.iter().filter(|p| p.kind == pt::LOAD) {
        let from = down(load.vaddr);
        if GAPS && from > covered {
            let gap = bias.wrapping_add(covered as usize);
            sys::forbid(gap, (from - covered) as usize).map_err(failed)?;
        }
        let file_end = load.vaddr + load.filesz;
        let prot = protection(load.flags, code);
        // glibc's read-only data has the protection of its headers, and lies at
        // the same distance in the file: it is there already.
        let is_there = prot == first_prot
            && load.vaddr.wrapping_sub(load.offset) == first.vaddr.wrapping_sub(first.offset);
        if load.filesz > 0 && !is_there {
            let len = (file_end - from) as usize;
            let at = bias.wrapping_add(from as usize);
            // ld.so writes to every page of its data before anything else: one
            // call instead of a fault for each.
            let populate = if load.flags & pf::W != 0 {
                map::POPULATE
            } else {
                0
            };
            let flags = map::PRIVATE | map::FIXED | populate;
            let offset = down(load.offset) as usize;
            // SAFETY: inside of the reservation.
            unsafe { sys::mmap(at, len, prot, flags, fd, offset) }.map_err(failed)?;
        }
        let zero_end = up(load.vaddr + load.memsz);
        covered = zero_end;
        let anonymous = if load.filesz > 0 { up(file_end) } else { from };
        if load.flags & pf::W != 0 && anonymous > file_end {
            let at = bias.wrapping_add(file_end as usize) as *mut u8;
            // SAFETY: the rest of the last page of a writable private mapping.
            unsafe { clear(at, (anonymous - file_end) as usize) };
        }
        if zero_end > anonymous && load.memsz > load.filesz {
            let flags = map::PRIVATE | map::FIXED | map::ANONYMOUS;
            let at = bias.wrapping_add(anonymous as usize);
            let len = (zero_end - anonymous) as usize;
            // SAFETY: inside of the reservation.
            unsafe { sys::mmap(at, len, prot, flags, usize::MAX, 0) }.map_err(failed)?;
        }
    }
    Ok(bias)
}
