//! The start of an indirect executable, in order. docs/loader-contract.md says
//! what may be assumed, and what must be left as it was, at each step.
//!
//! System calls in an ordinary start: readlink; open, fstat and read of the table;
//! open and read of ld.so; one mmap for each of its segments that is not mapped
//! with the first (three in glibc's usual layout); one close_range. What is left of
//! thirteen goes into checking libraries, see `check_libraries`, and if they need less
//! than two, into ld.so's length.
//!
//! Without a table anywhere the executable is an ordinary program, if it says
//! which interpreter it was linked for: ld.so is given everything as it is in
//! the file.
#![expect(unsafe_code, reason = "follows addresses that the kernel gave")]

use core::ffi::CStr;

use crate::arch::{Features, PAGE, Page};
use crate::bytes::{put, string};
use crate::elf::dt;
use crate::format::layout::{IDENTITY_BUILD_ID, Identity, PLAN_BOUND, SEARCH_OWN};
use crate::format::table::{Table, TableError};
use crate::handover::{Handover, SCRATCH};
use crate::interp::arena::{Arena, set_original};
use crate::interp::check::{CHECKED, check_interpreter, check_libraries, check_trust};
use crate::interp::context::{CANNOT_START, Context};
use crate::interp::exe::Executable;
use crate::interp::find::{Found, Start};
use crate::interp::ldso::{self, Mapped};
use crate::interp::library_path::LibraryPath;
use crate::interp::locate::{self, absolute, folder};
use crate::interp::needs::Needs;
use crate::interp::options::{OWN, Options};
use crate::interp::stack::{Stack, at};
use crate::interp::vector::{Changes, build};
use crate::message::Line;
use crate::sys::{self, Errno};

/// GNU hash of `_r_debug`.
const R_DEBUG: u32 = gnu_hash(b"_r_debug");

const fn gnu_hash(name: &[u8]) -> u32 {
    let mut hash = 5381_u32;
    let mut rest = name;
    while let Some((&byte, tail)) = rest.split_first() {
        hash = hash.wrapping_mul(33).wrapping_add(byte as u32);
        rest = tail;
    }
    hash
}

#[derive(Clone, Copy, Default)]
struct Aux {
    phdr: usize,
    phnum: usize,
    page: usize,
    base: usize,
    entry: usize,
    secure: bool,
    euid: u32,
    execfn: usize,
    features: Features,
}

impl Aux {
    fn read(stack: &Stack) -> Self {
        let mut aux = Self {
            page: PAGE,
            ..Self::default()
        };
        stack.each_aux(|key, value| match key {
            at::PHDR => aux.phdr = *value,
            at::PHNUM => aux.phnum = *value,
            at::PAGESZ if value.is_power_of_two() => aux.page = *value,
            at::BASE => aux.base = *value,
            at::ENTRY => aux.entry = *value,
            at::SECURE => aux.secure = *value != 0,
            at::EUID => aux.euid = *value as u32,
            at::EXECFN => aux.execfn = *value,
            key => aux.features.tell(key, *value),
        });
        aux
    }
}

/// Runs the start; returns the address of ld.so's entry point.
///
/// # Safety
/// `sp` is the stack pointer as the kernel set it, nothing else has run, and
/// `preinit` is the address of an `extern "C" fn(argc, argv, envp)`.
pub unsafe fn start(sp: *mut usize, preinit: usize) -> usize {
    // SAFETY: the caller's promise.
    let mut stack = unsafe { Stack::new(sp) };
    let aux = Aux::read(&stack);
    if aux.base == 0 {
        not_a_command();
    }
    let options = if aux.secure {
        stack.remove_env(OWN);
        Options::default()
    } else {
        Options::read(&stack)
    };
    // SAFETY: AT_EXECFN is a string on the initial stack.
    let execfn = unsafe { string(aux.execfn as *const u8) };
    let mut context = Context {
        exe: execfn,
        table: c"",
        secure: aux.secure,
    };
    // SAFETY: called once.
    let mut arena = unsafe { Arena::new() };
    match locate::executable(&mut arena, execfn, aux.secure) {
        Ok(path) => context.exe = path,
        Err(error) => context.fail("/proc/self/exe", c"", error.message()),
    }
    // SAFETY: the kernel's own values.
    let exe = match unsafe { Executable::new(aux.phdr, aux.phnum, aux.entry) } {
        Ok(exe) => exe,
        Err(reason) => context.fail("the executable", c"", reason),
    };
    let found = find_table(&mut context, &exe, &aux, &options, &mut arena);
    let Some(preinit) = preinit_array(&mut arena, &exe, preinit) else {
        context.fail("the executable", c"", NO_ROOM);
    };
    let mut process = Process {
        context,
        exe,
        aux,
        options,
        arena,
        preinit,
    };
    let (ldso, phdrs) = match found {
        Some(found) => process.with_table(&found),
        None => process.without_table(),
    };
    stack.each_aux(|key, value| match key {
        at::PHDR => *value = phdrs.0,
        at::PHNUM => *value = phdrs.1,
        at::BASE => *value = ldso.base,
        _ => {}
    });
    ldso.entry
}

const NO_ROOM: &str = "its dynamic section is too large";

/// Address and number of program headers.
type Vector = (usize, usize);

/// The process that starts, as far as it is known.
struct Process {
    context: Context,
    exe: Executable,
    aux: Aux,
    options: Options,
    arena: Arena,
    preinit: (usize, usize),
}

impl Process {
    /// Libraries are where the table says.
    #[inline]
    fn with_table(&mut self, found: &Found) -> (Mapped, Vector) {
        let (context, options) = (&self.context, &self.options);
        let table = read_table(context, &self.exe, &mut self.arena, found.fd);
        let origin = folder(context.exe);
        let Ok(ldso_path) = absolute(&mut self.arena, table.ldso(), origin) else {
            context.fail("ld.so ", table.ldso(), "its name is too long");
        };
        let mut checked = 0;
        if context.secure {
            check_trust(context, &table);
        } else if options.library_path.is_none() {
            checked = check_libraries(context, &table);
        }
        let mut known = false;
        let expected = &table.header().ldso_identity;
        let mut table_fd = Some(found.fd);
        let whole = checked < CHECKED;
        let (page, features) = (self.aux.page, self.aux.features);
        let mapped = ldso::map(ldso_path, page, features, whole, &mut table_fd, |id| {
            known = is_build_id(expected, id);
        });
        let ldso = match mapped {
            Ok(mapped) => mapped,
            Err(reason) => context.fail("ld.so ", ldso_path, reason),
        };
        match table_fd {
            Some(fd) => sys::close_both(fd, ldso.fd),
            None => sys::close(ldso.fd),
        }
        let r_debug = table.header().ldso_r_debug.get() as usize;
        if known && r_debug != 0 {
            self.exe.set_debug(ldso.base.wrapping_add(r_debug));
        }

        let library_path = options.library_path.map(|value| LibraryPath {
            value,
            ldso: ldso_path,
            origin,
        });
        let own = table.header().flags & SEARCH_OWN != 0;
        let search = match library_path {
            // ld.so itself puts the variable before DT_RUNPATH.
            Some(path) if !own => {
                let fixed = table.header().search_fixed.get() as usize;
                path.within(table.search(), fixed, &mut self.arena)
            }
            _ => Some(table.search()),
        };
        let Some(search) = search else {
            context.fail("LD_LIBRARY_PATH", c"", "it is too long");
        };
        let binder = match table.binder() {
            Some(binder) if table.header().plan == PLAN_BOUND && !options.direct => Some(binder),
            _ => None,
        };
        let handover = binder.and_then(|_| self.hand_over(&table, found.owner));
        let binder = binder.filter(|_| handover.is_some());
        let changes = Changes {
            ldso: ldso_path,
            needs: Some(Needs {
                table: &table,
                ldso: ldso_path,
                origin,
                library_path,
                binder,
            }),
            handover,
            search: Some((if own { dt::RUNPATH } else { dt::RPATH }, search)),
            preinit: self.preinit,
        };
        let Some(phdrs) = build(&mut self.arena, &self.exe, &changes) else {
            self.context.fail("the executable", c"", NO_ROOM);
        };
        if self.options.debug {
            let context = &self.context;
            explain(context, ldso_path, known, library_path, binder.is_some());
        }
        (ldso, (phdrs.as_ptr() as usize, phdrs.len()))
    }

    /// An ordinary program, with the interpreter that its link asked for.
    #[cold]
    #[inline(never)]
    fn without_table(&mut self) -> (Mapped, Vector) {
        let context = &self.context;
        let Some(path) = self.exe.notes.interpreter else {
            context.fail("the executable", c"", "it has no interpreter");
        };
        if context.secure {
            check_interpreter(context, path);
        }
        let (page, features) = (self.aux.page, self.aux.features);
        let ldso = match ldso::map(path, page, features, true, &mut None, |_| {}) {
            Ok(mapped) => mapped,
            Err(reason) => context.fail("no table, and ld.so ", path, reason),
        };
        sys::close(ldso.fd);
        if let Some(r_debug) = ldso.variable(b"_r_debug", R_DEBUG) {
            self.exe.set_debug(r_debug);
        }
        let changes = Changes {
            ldso: path,
            needs: None,
            handover: None,
            search: None,
            preinit: self.preinit,
        };
        let Some(phdrs) = build(&mut self.arena, &self.exe, &changes) else {
            self.context.fail("the executable", c"", NO_ROOM);
        };
        if self.options.debug {
            explain_ordinary(path);
        }
        (ldso, (phdrs.as_ptr() as usize, phdrs.len()))
    }

    /// Writes down what the binder needs to know; the address of it.
    fn hand_over(&mut self, table: &Table<'static>, owner: u32) -> Option<usize> {
        let [handover] = self.arena.take::<Handover>(1)? else {
            return None;
        };
        let scratch = self.arena.take::<u8>(SCRATCH)?;
        *handover = Handover {
            table: table.bytes().as_ptr(),
            table_len: table.bytes().len(),
            table_path: self.context.table.as_ptr().cast(),
            phdrs: self.exe.phdrs.as_ptr(),
            phnum: self.exe.phdrs.len(),
            scratch: scratch.as_mut_ptr(),
            scratch_len: scratch.len(),
            debug: self.options.debug,
            secure: self.context.secure,
            euid: self.aux.euid,
            owner,
            page: Page::told(self.aux.page),
        };
        Some(core::ptr::from_ref(handover) as usize)
    }
}

/// Opens the table, if there is one.
fn find_table(
    context: &mut Context,
    exe: &Executable,
    aux: &Aux,
    options: &Options,
    arena: &mut Arena,
) -> Option<Found> {
    let Some(id) = exe.notes.id() else {
        context.fail("the executable", c"", "it has no build-id");
    };
    if exe.notes.reference.is_none() {
        let why = if exe.notes.malformed {
            "its indir note is malformed"
        } else {
            "it has no indir note"
        };
        context.fail("the executable", c"", why);
    }
    let start = Start {
        exe: context.exe,
        id,
        notes: &exe.notes,
        euid: aux.euid,
        secure: aux.secure,
        folders: options.tables,
    };
    match start.table(arena) {
        Ok(Some(found)) => {
            context.table = found.path;
            Some(found)
        }
        Ok(None) if exe.notes.interpreter.is_none() => {
            context.table = start.beside(arena).unwrap_or(c"");
            let why = sys::ENOENT.message();
            context.fail("the table cannot be read", c"", why)
        }
        Ok(None) => None,
        Err(problem) => {
            context.table = problem.path;
            context.end(problem.what, c"", problem.reason, problem.owner)
        }
    }
}

/// Reads the table into the arena and checks it.
fn read_table(context: &Context, exe: &Executable, arena: &mut Arena, fd: usize) -> Table<'static> {
    let failed =
        |error: Errno| -> ! { context.fail("the table cannot be read", c"", error.message()) };
    let room = arena.rest();
    let len = sys::read(fd, room).unwrap_or_else(|e| failed(e));
    arena.keep(len);
    let table = match room
        .get(..len)
        .ok_or(TableError::TooLarge)
        .and_then(Table::parse)
    {
        Ok(table) => table,
        Err(error) => context.fail("the table is unusable", c"", error.message()),
    };
    if exe.notes.id() != Some(table.exe_id()) {
        context.fail("the table is unusable", c"", "it is for another executable");
    }
    table
}

fn is_build_id(identity: &Identity, id: &[u8]) -> bool {
    identity.kind == IDENTITY_BUILD_ID && identity.bytes.get(..identity.len as usize) == Some(id)
}

/// An array of one function for DT_PREINIT_ARRAY: it tells debuggers that all
/// objects are mapped, then runs the executable's own array, which is not
/// relocated yet and so cannot be copied.
fn preinit_array(arena: &mut Arena, exe: &Executable, function: usize) -> Option<(usize, usize)> {
    let value = |tag| {
        exe.dynamic
            .iter()
            .find(|d| d.tag == tag)
            .map(|d| d.value as usize)
    };
    if let (Some(array), Some(size)) = (value(dt::PREINIT_ARRAY), value(dt::PREINIT_ARRAYSZ)) {
        // SAFETY: the shim has no second thread.
        unsafe { set_original([exe.bias.wrapping_add(array), size / size_of::<usize>()]) };
    }
    let bytes = arena.take::<u8>(size_of::<usize>())?;
    put(bytes, 0, &function.to_ne_bytes())?;
    Some((bytes.as_ptr() as usize, bytes.len()))
}

/// The kernel gives a program that is started by itself no AT_BASE.
#[cold]
#[inline(never)]
fn not_a_command() -> ! {
    let mut line = Line::begin();
    line.text("this is the interpreter of indirect executables, not a command");
    line.text("; see `indir --help`").write();
    sys::exit(CANNOT_START)
}

/// What INDIR_DEBUG=1 shows.
#[cold]
#[inline(never)]
fn explain(context: &Context, ldso: &CStr, known: bool, path: Option<LibraryPath>, bound: bool) {
    let mut line = Line::begin();
    line.text(if bound { "plan bound" } else { "plan direct" });
    line.text(", table ").name(context.table);
    line.text(", ld.so ").name(ldso);
    if !known {
        line.text(" (replaced)");
    }
    if let Some(path) = path {
        line.text(", LD_LIBRARY_PATH ").name(path.value);
    }
    line.write();
}

/// The same without a table.
#[cold]
#[inline(never)]
fn explain_ordinary(ldso: &CStr) {
    Line::begin().text("no table, ld.so ").name(ldso).write();
}
