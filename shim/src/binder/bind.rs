//! The binder's work: runs once, from an IFUNC resolver, when ld.so has mapped
//! every object and relocated none (or, since glibc 2.39, only libc.so.6).
//!
//! For each object of the closure that is proved to be the expected one, it
//! writes every symbolic slot, applies the RELATIVE entries, and edits the
//! object's mapped dynamic section so that ld.so does only what is left. The
//! recipe and its reasons are in docs/bindings-format.md.
//!
//! Anything that cannot be proved leaves the object as it is, to be resolved in
//! the ordinary way. Nothing here may call a function of any library: none of
//! them is relocated. Unsafe because it reads and writes mapped objects.
#![expect(unsafe_code, reason = "writes the slots of mapped objects")]

use core::ffi::CStr;
use core::slice;

use crate::arch::{Page, R_RELATIVE};
use crate::binder::expected::{expected, mapped_phdrs};
use crate::binder::linkmap::{LinkMap, RDebug};
use crate::bytes::{Buffer, string};
use crate::elf::{Dyn, Phdr, dt, pf, pt};
use crate::format::bindings::{Bindings, BindingsError, Object, Writable};
use crate::format::bindings_layout::{MAX_BINDINGS, OBJECT_KEEPS_JUMP, OBJECT_PROBE, Rela, SUFFIX};
use crate::format::table::Table;
use crate::handover::{Handover, TAG};
use crate::message::Line;
use crate::secure::{Denied, check_file};
use crate::sys::{self, PATH, map};
use crate::trust::{Doubt, counts};

/// Most writable segments of one object; linkers make one or two.
const SEGMENTS: usize = 4;

/// Runs the binder.
///
/// # Safety
/// `debug` is what ld.so found under the name `_r_debug`, of the size of its own one, and
/// ld.so is where the module says.
pub unsafe fn run(debug: *const RDebug) {
    // SAFETY: a variable that was found is mapped.
    let Some(debug) = (unsafe { debug.as_ref() }).filter(|debug| debug.is_of_ldso()) else {
        return;
    };
    // SAFETY: ld.so filled it before it mapped the first library.
    let Some(main) = (unsafe { debug.map.as_ref() }) else {
        return;
    };
    // SAFETY: the executable's dynamic section ends in DT_NULL.
    let Some(value) = (unsafe { entry(main.dynamic, TAG) }) else {
        return;
    };
    // SAFETY: nobody but the shim writes this tag, into a copy of its own.
    let handover = unsafe { &*(value.value as *const Handover) };
    let outcome = bind(handover, main);
    if handover.debug {
        match outcome {
            Ok(()) => Line::begin().text("bindings applied").write(),
            Err(reason) => Line::begin().text("no bindings: ").text(reason).write(),
        }
    }
}

/// Binds what can be bound; an error says why nothing was.
fn bind(handover: &Handover, main: &LinkMap) -> Result<(), &'static str> {
    let bytes = map_file(handover)?;
    // SAFETY: the shim's and ld.so's promises.
    unsafe { apply(handover, main, bytes) }
}

/// Applies the bindings file with these `bytes`.
///
/// # Errors
/// Why nothing was bound.
///
/// # Safety
/// What `handover` names is there; `main` begins a list of objects that are
/// mapped by their program headers and not relocated.
pub unsafe fn apply(handover: &Handover, main: &LinkMap, bytes: &[u8]) -> Result<(), &'static str> {
    // SAFETY: the shim's promise.
    let (table, main_phdrs) = unsafe {
        (
            slice::from_raw_parts(handover.table, handover.table_len),
            slice::from_raw_parts(handover.phdrs, handover.phnum),
        )
    };
    let table = Table::parse(table).map_err(|e| e.message())?;
    let bindings = Bindings::parse(bytes, &table.header().digest).map_err(|e| e.message())?;
    let mut scratch = Scratch {
        at: handover.scratch as usize,
        end: (handover.scratch as usize).wrapping_add(handover.scratch_len),
    };
    let maps = scratch
        .take::<usize>(bindings.len())
        .ok_or("too many objects")?;
    let bases = scratch
        .take::<u64>(bindings.len())
        .ok_or("too many objects")?;
    let count = expected(&table, &bindings, main, main_phdrs, maps, bases);
    if count == 0 {
        return Err("they are for another build of the program");
    }
    let bases = bases.get(..count).unwrap_or(&[]);
    for index in 0..count {
        let (Some(object), Some(&at)) = (bindings.object(index), maps.get(index)) else {
            break;
        };
        // SAFETY: `expected` stored the addresses of link maps.
        let link_map = unsafe { &*(at as *const LinkMap) };
        if !object.is_left() && object.raw.reach.get() as usize <= count {
            let phdrs = if index == 0 {
                Some(main_phdrs)
            } else {
                // SAFETY: it is the expected file, whose header is there, or its
                // entry would be `OBJECT_LEFT`.
                unsafe { mapped_phdrs(link_map) }
            };
            if let Some(phdrs) = phdrs {
                bind_object(
                    &object,
                    link_map,
                    phdrs,
                    bases,
                    &mut scratch,
                    (index == 0, handover.page),
                );
            }
        }
    }
    Ok(())
}

/// Maps the bindings file beside the table.
fn map_file(handover: &Handover) -> Result<&'static [u8], &'static str> {
    // SAFETY: the shim's promise.
    let table = unsafe { string(handover.table_path) };
    let mut path = Buffer::<PATH>::empty();
    let parts = path
        .push(table.to_bytes())
        .and_then(|()| path.push(SUFFIX.as_bytes()));
    let text: &CStr = parts
        .and_then(|()| path.push(b"\0"))
        .and_then(|()| path.text())
        .ok_or("their path is too long")?;
    let fd = sys::open(text).map_err(|e| e.message())?;
    let bytes = map_open(handover, fd);
    sys::close(fd);
    bytes
}

/// Maps the open bindings file, if it counts and can be one.
fn map_open(handover: &Handover, fd: usize) -> Result<&'static [u8], &'static str> {
    let stat = sys::fstat(fd).map_err(|e| e.message())?;
    if handover.secure {
        // Its folder is the table's, which the shim has looked at.
        check_file(&stat).map_err(Denied::message)?;
    } else {
        let ours = |uid| uid == handover.euid || uid == handover.owner;
        counts(stat.mode, stat.uid, ours).map_err(Doubt::message)?;
    }
    let len = stat.size();
    if len > MAX_BINDINGS {
        return Err(BindingsError::TooLarge.message());
    }
    let flags = map::PRIVATE | map::POPULATE;
    // SAFETY: the kernel chooses the place.
    let at = unsafe { sys::mmap(0, len, map::READ, flags, fd, 0) };
    let at = at.map_err(|e| e.message())?;
    // SAFETY: just mapped with this length. The file is replaced by rename and
    // never written in place; if somebody truncates it, reading it raises
    // SIGBUS, as for every mapped library.
    Ok(unsafe { slice::from_raw_parts(at as *const u8, len) })
}

/// The entry of a dynamic section with `tag`.
///
/// # Safety
/// The section is mapped and ends in DT_NULL.
unsafe fn entry<'a>(mut at: *mut Dyn, tag: u64) -> Option<&'a mut Dyn> {
    // SAFETY: the caller's promise; ld.so is not running meanwhile.
    unsafe {
        while (*at).tag != dt::NULL {
            if (*at).tag == tag {
                return Some(&mut *at);
            }
            at = at.add(1);
        }
    }
    None
}

/// The entries of a dynamic section that matter, found in one pass.
#[derive(Default)]
struct Tags {
    rela: usize,
    rela_size: usize,
    rela_count: usize,
    jump_size: usize,
}

impl Tags {
    /// # Safety
    /// The section is mapped and ends in DT_NULL.
    unsafe fn of(mut at: *mut Dyn) -> Self {
        let mut tags = Self::default();
        // SAFETY: the caller's promise.
        unsafe {
            while (*at).tag != dt::NULL {
                let value = (&raw mut (*at).value) as usize;
                match (*at).tag {
                    dt::RELA => tags.rela = value,
                    dt::RELASZ => tags.rela_size = value,
                    dt::RELACOUNT => tags.rela_count = value,
                    dt::PLTRELSZ => tags.jump_size = value,
                    _ => {}
                }
                at = at.add(1);
            }
        }
        tags
    }
}

/// Reads the word at `address`.
///
/// # Safety
/// It is mapped and aligned.
unsafe fn get(address: usize) -> u64 {
    // SAFETY: the caller's promise.
    unsafe { *(address as *const u64) }
}

/// Writes the word at `address`, if it is not zero.
///
/// # Safety
/// It is mapped writable, or zero.
unsafe fn set(address: usize, value: u64) {
    if address != 0 {
        // SAFETY: the caller's promise.
        unsafe { (address as *mut u64).write_unaligned(value) };
    }
}

/// Binds one object, or leaves it as it is.
fn bind_object(
    object: &Object<'_>,
    link_map: &LinkMap,
    phdrs: &[Phdr],
    bases: &[u64],
    scratch: &mut Scratch,
    (is_main, page): (bool, Page),
) {
    let raw = object.raw;
    let base = link_map.addr as u64;
    let mut writable = [Writable::default(); SEGMENTS];
    let mut segments = 0;
    let dynamic = (link_map.dynamic as u64).wrapping_sub(base);
    let mut edits = is_main;
    for load in phdrs
        .iter()
        .filter(|p| p.kind == pt::LOAD && p.flags & pf::W != 0)
    {
        let Some(slot) = writable.get_mut(segments) else {
            return;
        };
        let end = load.vaddr.wrapping_add(load.memsz);
        // ld.so mapped the file by these very headers.
        *slot = Writable {
            start: load.vaddr,
            end,
        };
        edits |= dynamic >= load.vaddr && dynamic < end;
        segments += 1;
    }
    let writable = writable.get(..segments).unwrap_or(&[]);
    // A read-only dynamic section cannot be edited; without a probe there is
    // nothing to write.
    if !edits || raw.flags & OBJECT_PROBE == 0 || object.check(writable, bases.len()).is_err() {
        return;
    }
    let probe = base.wrapping_add(u64::from(raw.probe.get())) as usize;
    // SAFETY: the probe is one of the slots, checked to be in the object.
    if unsafe { (probe as *const u64).read_unaligned() } != raw.probe_value.get() {
        return;
    }
    // SAFETY: ld.so mapped it and walked it.
    let tags = unsafe { Tags::of(link_map.dynamic) };
    let relative = raw.relative_count.get() as usize;
    let left = object.left_count() as usize;
    // SAFETY: addresses of fields of the dynamic section.
    let (counted, size, rela) = unsafe {
        let or_zero = |at: usize| if at == 0 { 0 } else { get(at) as usize };
        let [count, size, rela] = [tags.rela_count, tags.rela_size, tags.rela].map(or_zero);
        (count, size, rela)
    };
    if counted != relative
        || relative.saturating_mul(size_of::<Rela>()) > size
        || (tags.rela == 0 && left != 0)
    {
        return;
    }
    let Some(entries) = scratch.take::<Rela>(left) else {
        return;
    };
    populate(link_map.addr, phdrs, page);
    let mut slots = entries.iter_mut();
    let put = |rela| {
        if let Some(slot) = slots.next() {
            *slot = rela;
        }
    };
    if object.left(writable, base, bases, put).is_err() {
        return;
    }
    // Before the slots: if not all are RELATIVE, nothing is changed that ld.so
    // would not write alike.
    if rela != 0 {
        // SAFETY: ld.so made DT_RELA an absolute address in place, DT_RELACOUNT
        // says how many.
        let sound = unsafe { apply_relative(rela as *const Rela, relative, base) };
        if !sound {
            return;
        }
    }
    let applied = object.apply(writable, bases, |slot, value| {
        let at = base.wrapping_add(slot) as *mut u64;
        // SAFETY: `apply` checked it against the writable segments; the object
        // is not relocated, so that RELRO is still writable.
        unsafe { at.write_unaligned(value) };
    });
    if applied.is_err() {
        // `check` accepted the same bytes; whatever was written, ld.so writes
        // again.
        return;
    }
    // SAFETY: in the writable dynamic section of an object that is not yet
    // relocated; ld.so reads these when it comes to it.
    unsafe {
        if left != 0 {
            set(tags.rela, entries.as_ptr() as u64);
        }
        set(tags.rela_size, (left * size_of::<Rela>()) as u64);
        set(tags.rela_count, 0);
        if raw.flags & OBJECT_KEEPS_JUMP == 0 {
            set(tags.jump_size, 0);
        }
    }
}

/// Smallest RELRO part for which one call is quicker than its page faults.
const POPULATE_FROM: u64 = 16 * 1024;

/// Makes the pages of the object's RELRO part writable in one go: nearly all
/// of them hold addresses, so that each would be copied at the first write.
/// Kernels before 5.14 refuse, and the pages are copied one by one.
fn populate(base: usize, phdrs: &[Phdr], page: Page) {
    if let Some(relro) = phdrs.iter().find(|p| p.kind == pt::GNU_RELRO)
        && relro.memsz >= POPULATE_FROM
    {
        let start = base.wrapping_add(relro.vaddr as usize);
        sys::populate_write(start, start.wrapping_add(relro.memsz as usize), page);
    }
}

/// `*slot = base + addend` for `count` entries, as elf_machine_rela_relative, up to
/// one of another type, at which ld.so will stop the program; whether there is none.
///
/// # Safety
/// They are entries of the mapped object at `base`.
unsafe fn apply_relative(entries: *const Rela, count: usize, base: u64) -> bool {
    // SAFETY: the caller's promise.
    let entries = unsafe { slice::from_raw_parts(entries, count) };
    for entry in entries {
        if entry.info.get() as u32 != R_RELATIVE {
            return false;
        }
        let at = base.wrapping_add(entry.offset.get()) as *mut u64;
        // SAFETY: as ld.so itself would write.
        unsafe { at.write_unaligned(base.wrapping_add(entry.addend.get())) };
    }
    true
}

/// Zeroed memory that the shim left over; what is taken stays.
struct Scratch {
    at: usize,
    end: usize,
}

/// Types of which zeroed memory of alignment 8 is a value.
trait Word {}
impl Word for usize {}
impl Word for u64 {}
impl Word for Rela {}

impl Scratch {
    fn take<'a, T: Word>(&mut self, count: usize) -> Option<&'a mut [T]> {
        let bytes = count.checked_mul(size_of::<T>())?;
        let start = self.at.checked_next_multiple_of(8)?;
        let end = start.checked_add(bytes)?;
        if end > self.end {
            return None;
        }
        self.at = end;
        // SAFETY: the shim's promise; handed out once.
        Some(unsafe { slice::from_raw_parts_mut(start as *mut T, count) })
    }
}
