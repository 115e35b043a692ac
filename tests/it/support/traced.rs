//! Programs stopped by ptrace where the dynamic linker has relocated everything, and
//! what is in their memory then.

#![expect(unsafe_code, reason = "ptrace has no safe interface in std")]

use std::collections::HashMap;
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use indir::arch::Class;
use indir::resolve::addresses::lookup::Scope;
use indir::resolve::addresses::object::LoadedObject;

/// Parsed files, by path.
pub(crate) type Libraries = Mutex<HashMap<PathBuf, Arc<LoadedObject>>>;

/// A stopped child that dies with its handle.
pub(crate) struct Traced {
    child: Child,
    memory: File,
}

impl Drop for Traced {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Traced {
    /// Starts `program` with these variables and stops it at exec.
    pub(crate) fn start(program: &Path, variables: &[(&str, &str)]) -> Self {
        Self::start_with(program, &[], variables)
    }

    /// The same with arguments.
    pub(crate) fn start_with(program: &Path, args: &[&str], variables: &[(&str, &str)]) -> Self {
        let mut command = Command::new(program);
        command.args(args);
        command
            .env_remove("LD_PRELOAD")
            .env_remove("LD_LIBRARY_PATH")
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        // SAFETY: ptrace(TRACEME) is a plain system call; nothing is allocated
        // or locked between fork and exec.
        unsafe {
            command.pre_exec(|| match libc::ptrace(libc::PTRACE_TRACEME, 0, 0, 0) {
                0 => Ok(()),
                _ => Err(std::io::Error::last_os_error()),
            });
        }
        let child = loop {
            match command.spawn() {
                Ok(child) => break child,
                // Somebody else's child that has not reached its exec yet.
                Err(e) if e.kind() == std::io::ErrorKind::ExecutableFileBusy => {
                    std::thread::yield_now();
                }
                Err(e) => panic!("{}: {e}", program.display()),
            }
        };
        let memory = File::options()
            .read(true)
            .write(true)
            .open(format!("/proc/{}/mem", child.id()))
            .unwrap();
        let traced = Self { child, memory };
        assert!(traced.wait(), "{}: no stop at exec", program.display());
        traced
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> libc::pid_t {
        self.child.id() as libc::pid_t
    }

    /// Runs until the program itself raises SIGTRAP.
    pub(crate) fn run_to_trap(&self) {
        assert!(self.request(libc::PTRACE_CONT, std::ptr::null_mut()));
        let mut status = 0;
        // SAFETY: `status` is a valid place for the result.
        let pid = unsafe { libc::waitpid(self.pid(), &mut status, libc::__WALL) };
        let trapped = libc::WIFSTOPPED(status) && libc::WSTOPSIG(status) == libc::SIGTRAP;
        assert!(pid == self.pid() && trapped, "no trap: status {status:#x}");
    }

    /// Waits for a stop; false if the process ended.
    fn wait(&self) -> bool {
        let mut status = 0;
        // SAFETY: `status` is a valid place for the result.
        let pid = unsafe { libc::waitpid(self.pid(), &mut status, libc::__WALL) };
        pid == self.pid() && libc::WIFSTOPPED(status)
    }

    fn request(&self, request: libc::c_uint, data: *mut libc::c_void) -> bool {
        // SAFETY: `data` is null or fits the request; the child is stopped and
        // was started by this thread.
        unsafe { libc::ptrace(request, self.pid(), 0, data) == 0 }
    }

    /// Runs one instruction; false if the process has ended.
    pub(crate) fn step(&self) -> bool {
        self.request(libc::PTRACE_SINGLESTEP, std::ptr::null_mut()) && self.wait()
    }

    /// Its registers.
    pub(crate) fn registers(&self) -> libc::user_regs_struct {
        // SAFETY: plain integers, for which zero is a value.
        let mut registers: libc::user_regs_struct = unsafe { std::mem::zeroed() };
        assert!(self.request(libc::PTRACE_GETREGS, (&raw mut registers).cast()));
        registers
    }

    /// Bytes of its memory.
    pub(crate) fn bytes(&self, address: u64, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        self.memory.read_exact_at(&mut bytes, address).unwrap();
        bytes
    }

    /// The word at `address`.
    pub(crate) fn word(&self, address: u64) -> u64 {
        u64::from_le_bytes(self.bytes(address, 8).try_into().unwrap())
    }

    fn string(&self, mut address: u64) -> Vec<u8> {
        let mut string = Vec::new();
        loop {
            match self.bytes(address, 1)[0] {
                0 => return string,
                byte => string.push(byte),
            }
            address += 1;
        }
    }

    fn auxv(&self, wanted: u64) -> u64 {
        let raw = std::fs::read(format!("/proc/{}/auxv", self.pid())).unwrap();
        let words: Vec<u64> = raw
            .chunks_exact(8)
            .map(|w| u64::from_le_bytes(w.try_into().unwrap()))
            .collect();
        let pair = words.chunks_exact(2).find(|p| p[0] == wanted);
        pair.expect("an auxiliary vector entry")[1]
    }

    /// Runs until ld.so says that relocation is complete; false if it never does.
    pub(crate) fn run_to_consistent(&self, base: u64, ldso: &LoadedObject) -> bool {
        let address = |name: &[u8]| {
            let scope = Scope::new(vec![Arc::new(
                LoadedObject::new(ldso.file().clone()).unwrap(),
            )]);
            let found = scope.find(name, None, Class::Data);
            base + found.expect("a symbol that debuggers need").raw.value
        };
        let stop = address(b"_dl_debug_state");
        let state = address(b"_r_debug") + 24;
        let original = self.bytes(stop, 1);
        loop {
            self.memory.write_all_at(&[0xcc], stop).unwrap();
            assert!(self.request(libc::PTRACE_CONT, std::ptr::null_mut()));
            if !self.wait() {
                return false;
            }
            let mut registers = self.registers();
            if registers.rip != stop + 1 {
                // Some other signal, e.g. a fault: it will not get there.
                return false;
            }
            self.memory.write_all_at(&original, stop).unwrap();
            registers.rip = stop;
            assert!(self.request(libc::PTRACE_SETREGS, (&raw mut registers).cast()));
            if self.word(state) as u32 == 0 {
                return true;
            }
            assert!(self.request(libc::PTRACE_SINGLESTEP, std::ptr::null_mut()));
            assert!(self.wait());
        }
    }
}

/// The dynamic linker's load address and file.
pub(crate) fn interpreter(traced: &Traced) -> (u64, PathBuf) {
    const AT_BASE: u64 = 7;
    let base = traced.auxv(AT_BASE);
    let maps = std::fs::read_to_string(format!("/proc/{}/maps", traced.pid())).unwrap();
    let start = format!("{base:x}-");
    let line = maps.lines().find(|l| l.starts_with(&start));
    let path = line
        .and_then(|l| l.split_whitespace().nth(5))
        .expect("ld.so's mapping");
    (base, PathBuf::from(path))
}

pub(crate) fn library(libraries: &Libraries, path: &Path) -> Arc<LoadedObject> {
    let path = std::fs::canonicalize(path).unwrap();
    let mut known = libraries.lock().unwrap();
    let open = || Arc::new(LoadedObject::open(&path).unwrap());
    Arc::clone(known.entry(path.clone()).or_insert_with(open))
}

/// The process's objects in ld.so's order, with their load addresses.
pub(crate) fn link_map(
    traced: &Traced,
    program: &Path,
    r_debug: u64,
    libraries: &Libraries,
) -> (Vec<u64>, Vec<Arc<LoadedObject>>) {
    let mut bases = Vec::new();
    let mut objects = Vec::new();
    let mut at = traced.word(r_debug + 8);
    while at != 0 {
        let name = traced.string(traced.word(at + 8));
        let path = match name.as_slice() {
            b"" => Some(program.to_owned()),
            name if name.ends_with(b"/libindir-bind.so") => None,
            name if name.starts_with(b"/") => {
                Some(PathBuf::from(String::from_utf8(name.to_vec()).unwrap()))
            }
            // The vDSO is no part of the scope, nor is the binder.
            name => {
                assert!(name.starts_with(b"linux-vdso"), "{name:?}");
                None
            }
        };
        if let Some(path) = path {
            bases.push(traced.word(at));
            objects.push(library(libraries, &path));
        }
        at = traced.word(at + 24);
    }
    (bases, objects)
}

/// The bytes of an object's writable segments, by address in the process.
pub(crate) fn data(traced: &Traced, base: u64, object: &LoadedObject) -> Vec<(u64, Vec<u8>)> {
    use object::elf::{PF_W, PT_LOAD};
    object
        .segments()
        .iter()
        .filter(|s| s.kind == PT_LOAD && s.flags.0 & PF_W.0 != 0)
        .map(|s| {
            let at = base.wrapping_add(s.vaddr);
            (at, traced.bytes(at, s.memsz as usize))
        })
        .collect()
}
