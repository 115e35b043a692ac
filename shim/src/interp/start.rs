//! The start of an indirect executable, in order. docs/loader-contract.md says
//! what may be assumed, and what must be left as it was, at each step.
//!
//! System calls in an ordinary start: readlink; open and read of the table;
//! open and read of ld.so; one mmap for each of its segments that is not mapped
//! with the first (three in glibc's usual layout); one close_range. What is left of twelve goes into checking
//! libraries, see `check_libraries`, and if they need less than two, into
//! ld.so's length.
#![expect(unsafe_code, reason = "follows addresses that the kernel gave")]

use core::ffi::CStr;

use crate::arch::PAGE;
use crate::bytes::{put, string};
use crate::elf::dt;
use crate::format::layout::{IDENTITY_BUILD_ID, Identity, OBJECT_LDSO, PLAN_BOUND};
use crate::format::table::{Table, TableError};
use crate::handover::{Handover, SCRATCH};
use crate::interp::arena::{Arena, set_original};
use crate::interp::exe::Executable;
use crate::interp::ldso::{self, Mapped};
use crate::interp::locate::{self, folder};
use crate::interp::options::{LibraryPath, Options};
use crate::interp::stack::{Stack, at};
use crate::interp::vector::{Additions, build};
use crate::message::Line;
use crate::secure::{Trust, check_file};
use crate::sys::{self, Errno};

/// Exit code when a program cannot start; the shell's for "not found".
const CANNOT_START: u8 = 127;

/// Libraries that are looked at before ld.so asks for them: what two of the
/// twelve system calls can check.
const CHECKED: usize = 2;

#[derive(Clone, Copy, Default)]
struct Aux {
    phdr: usize,
    phnum: usize,
    page: usize,
    base: usize,
    entry: usize,
    secure: bool,
    execfn: usize,
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
            at::EXECFN => aux.execfn = *value,
            _ => {}
        });
        aux
    }
}

/// What a failure is about, for the one line that says so.
struct Context {
    exe: &'static CStr,
    table: &'static CStr,
    secure: bool,
}

impl Context {
    /// Ends the process with one line: the executable, the file, the reason and
    /// the command that mends it.
    #[cold]
    #[inline(never)]
    fn fail(&self, what: &str, file: &CStr, reason: &str) -> ! {
        let mut line = Line::begin();
        line.name(self.exe).text(": ").text(what).name(file);
        line.text(": ").text(reason);
        if !self.table.is_empty() {
            line.text(" (table ").name(self.table).text(")");
        }
        line.text(if self.secure {
            "; it runs with privileges: as root, run `indir verify "
        } else {
            "; run `indir update "
        });
        line.name(self.exe).text("`").write();
        sys::exit(CANNOT_START)
    }
}

/// Runs the start; returns the address of ld.so's entry point.
///
/// # Safety
/// `sp` is the stack pointer as the kernel set it, nothing else has run, and
/// `preinit` is the address of an `extern "C" fn(argc, argv, envp)`.
pub unsafe fn start(sp: *mut usize, preinit: usize) -> usize {
    // SAFETY: the caller's promise.
    let stack = unsafe { Stack::new(sp) };
    let aux = Aux::read(&stack);
    if aux.base == 0 {
        not_a_command();
    }
    let options = if aux.secure {
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
    let mut trust = aux.secure.then(Trust::nothing);
    let (table, table_fd) = open_table(&mut context, &exe, &options, &mut arena, &mut trust);

    let mut checked = 0;
    if let Some(trust) = &mut trust {
        check_trust(&context, &table, trust);
    } else if options.library_path.is_none() {
        checked = check_libraries(&context, &table);
    }
    let (ldso, known) = map_ldso(&context, &table, aux.page, checked < CHECKED);
    sys::close_both(table_fd, ldso.fd);

    let r_debug = table.header().ldso_r_debug.get() as usize;
    if known && r_debug != 0 {
        exe.set_debug(ldso.base.wrapping_add(r_debug));
    }
    let library_path = options.library_path.map(LibraryPath);
    let search = match library_path {
        Some(path) => path.before(table.search(), &mut arena),
        None => Some(table.search()),
    };
    let preinit = preinit_array(&mut arena, &exe, preinit);
    let (Some(search), Some(preinit)) = (search, preinit) else {
        context.fail("LD_LIBRARY_PATH", c"", "it is too long");
    };
    let binder = match table.binder() {
        Some(binder) if table.header().plan == PLAN_BOUND && !options.direct => {
            hand_over(&mut arena, &context, &table, &exe, options.debug)
                .map(|handover| (binder, handover))
        }
        _ => None,
    };
    let add = Additions {
        table: &table,
        binder,
        search,
        preinit,
    };
    let by_soname = |soname: &CStr| library_path.is_some_and(|path| path.may_hold(soname));
    let Some(phdrs) = build(&mut arena, &exe, &add, by_soname) else {
        context.fail("the executable", c"", "its dynamic section is too large");
    };
    stack.each_aux(|key, value| match key {
        at::PHDR => *value = phdrs.as_ptr() as usize,
        at::PHNUM => *value = phdrs.len(),
        at::BASE => *value = ldso.base,
        _ => {}
    });
    if options.debug {
        explain(&context, &table, known, library_path, binder.is_some());
    }
    ldso.entry
}

/// Reads the table into the arena. Returns it with its open descriptor.
fn open_table(
    context: &mut Context,
    exe: &Executable,
    options: &Options,
    arena: &mut Arena,
    trust: &mut Option<Trust>,
) -> (Table<'static>, usize) {
    let notes = &exe.notes;
    let Some(id) = notes.id() else {
        context.fail("the executable", c"", "it has no build-id");
    };
    let reference = match (options.table, notes.reference) {
        (Some(path), _) => path.to_bytes(),
        (None, Some(reference)) => reference,
        (None, None) if notes.malformed => {
            context.fail("the executable", c"", "its indir note is malformed")
        }
        (None, None) => context.fail("the executable", c"", "it has no indir note"),
    };
    match locate::table(arena, reference, context.exe, id) {
        Ok(path) => context.table = path,
        Err(error) => context.fail("the table", c"", error.message()),
    }
    if let Some(trust) = trust
        && let Err(reason) = trust.check(context.table)
    {
        context.fail("the table is not trusted", c"", reason);
    }
    let context = &*context;
    let failed =
        |error: Errno| -> ! { context.fail("the table cannot be read", c"", error.message()) };
    let fd = sys::open(context.table).unwrap_or_else(|e| failed(e));
    if trust.is_some() {
        let stat = sys::fstat(fd).unwrap_or_else(|e| failed(e));
        if let Err(reason) = check_file(&stat) {
            context.fail("the table is not trusted", c"", reason);
        }
    }
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
    if table.exe_id() != id {
        context.fail("the table is unusable", c"", "it is for another executable");
    }
    (table, fd)
}

/// Under AT_SECURE, everything that the table names must be root's alone.
#[cold]
#[inline(never)]
fn check_trust(context: &Context, table: &Table<'_>, trust: &mut Trust) {
    let mut check = |path: &CStr| {
        if let Err(reason) = trust.check(path) {
            context.fail("not trusted: ", path, reason);
        }
    };
    check(table.ldso());
    if let Some(binder) = table.binder() {
        check(binder);
    }
    let mut index = 0;
    while let Some(object) = table.object(index) {
        check(object.path);
        index += 1;
    }
    // dlopen will look there.
    for folder in table.search().to_bytes().split(|&b| b == b':') {
        if let Err(reason) = trust.check_folders(folder) {
            context.fail("not trusted: ", trust.last(), reason);
        }
    }
}

/// Small closures are checked here, because ld.so cannot name the table and the
/// command that mends it. For larger ones each check would be one more system
/// call on every start, so that ld.so's own message must do. Returns how many
/// were checked.
fn check_libraries(context: &Context, table: &Table<'_>) -> usize {
    // What lies beside ld.so goes with it, and ld.so itself is opened here.
    let home = folder(table.ldso());
    let mut check = false;
    loop {
        let mut count = 0;
        let mut index = 0;
        while let Some(object) = table.object(index) {
            index += 1;
            if object.raw.flags & OBJECT_LDSO != 0 || folder(object.path) == home {
                continue;
            }
            count += 1;
            if count > CHECKED {
                return 0;
            }
            if check && let Err(error) = sys::exists(object.path) {
                context.fail("library ", object.path, error.message());
            }
        }
        if check {
            return count;
        }
        check = true;
    }
}

/// Maps ld.so; the flag tells whether it is the build that the table was made
/// with.
fn map_ldso(context: &Context, table: &Table<'_>, page: usize, whole: bool) -> (Mapped, bool) {
    let mut known = false;
    let expected = &table.header().ldso_identity;
    let result = ldso::map(table.ldso(), page, whole, |id| {
        known = is_build_id(expected, id)
    });
    match result {
        Ok(mapped) => (mapped, known),
        Err(reason) => context.fail("ld.so ", table.ldso(), reason),
    }
}

fn is_build_id(identity: &Identity, id: &[u8]) -> bool {
    identity.kind == IDENTITY_BUILD_ID && identity.bytes.get(..identity.len as usize) == Some(id)
}

/// Writes down what the binder needs to know; the address of it.
fn hand_over(
    arena: &mut Arena,
    context: &Context,
    table: &Table<'static>,
    exe: &Executable,
    debug: bool,
) -> Option<usize> {
    let [handover] = arena.take::<Handover>(1)? else {
        return None;
    };
    let scratch = arena.take::<u8>(SCRATCH)?;
    *handover = Handover {
        table: table.bytes().as_ptr(),
        table_len: table.bytes().len(),
        table_path: context.table.as_ptr().cast(),
        phdrs: exe.phdrs.as_ptr(),
        phnum: exe.phdrs.len(),
        scratch: scratch.as_mut_ptr(),
        scratch_len: scratch.len(),
        debug,
        secure: context.secure,
    };
    Some(core::ptr::from_ref(handover) as usize)
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
fn explain(
    context: &Context,
    table: &Table<'_>,
    known: bool,
    path: Option<LibraryPath>,
    bound: bool,
) {
    let mut line = Line::begin();
    line.text(if bound { "plan bound" } else { "plan direct" });
    line.text(", table ").name(context.table);
    line.text(", ld.so ").name(table.ldso());
    if !known {
        line.text(" (replaced)");
    }
    if let Some(LibraryPath(path)) = path {
        line.text(", LD_LIBRARY_PATH ").name(path);
    }
    line.write();
}
