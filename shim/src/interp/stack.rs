//! The stack as the kernel laid it out at exec: argc, argv, envp, auxv
//! (x86-64 psABI 3.4.1; Linux fs/binfmt_elf.c, create_elf_tables).
//!
//! Unsafe because it is raw memory. The only words that are ever written are
//! AT_PHDR, AT_PHNUM and AT_BASE, but for what [`Stack::remove_env`] moves.
#![expect(unsafe_code, reason = "walks the initial stack")]

use crate::bytes::string;

/// Keys of the auxiliary vector (Linux uapi linux/auxvec.h).
pub mod at {
    /// End of the vector.
    pub const NULL: usize = 0;
    /// Address of the program headers.
    pub const PHDR: usize = 3;
    /// Size of a program header.
    pub const PHENT: usize = 4;
    /// Number of program headers.
    pub const PHNUM: usize = 5;
    /// Page size in bytes.
    pub const PAGESZ: usize = 6;
    /// Load address of the interpreter.
    pub const BASE: usize = 7;
    /// Entry point of the executable.
    pub const ENTRY: usize = 9;
    /// Not zero when privileges were gained.
    pub const SECURE: usize = 23;
    /// Effective user.
    pub const EUID: usize = 12;
    /// Name that was given to execve.
    pub const EXECFN: usize = 31;
}

/// The initial stack.
#[derive(Clone, Copy)]
pub struct Stack {
    envp: *const *const u8,
    auxv: *mut [usize; 2],
}

impl Stack {
    /// # Safety
    /// `sp` is the stack pointer as the kernel set it, and the vectors below
    /// were not changed.
    pub unsafe fn new(sp: *mut usize) -> Self {
        // SAFETY: argc, then argc pointers and NULL, then envp and NULL, then
        // auxv; each ends as the kernel wrote it.
        unsafe {
            let argc = *sp;
            let envp = sp.add(argc + 2).cast::<*const u8>().cast_const();
            let mut end = envp;
            while !(*end).is_null() {
                end = end.add(1);
            }
            Self {
                envp,
                auxv: end.add(1).cast_mut().cast(),
            }
        }
    }

    /// Calls `f` with each `NAME=value` of the environment.
    pub fn each_env(&self, mut f: impl FnMut(*const u8)) {
        let mut at = self.envp;
        // SAFETY: ends with NULL, see `new`.
        unsafe {
            while !(*at).is_null() {
                f(*at);
                at = at.add(1);
            }
        }
    }

    /// Takes the variables whose name begins with `prefix` out of the environment.
    /// The auxiliary vector moves with its end, because ld.so looks for it
    /// behind the environment.
    #[cold]
    #[inline(never)]
    pub fn remove_env(&mut self, prefix: &[u8]) {
        let mut from = self.envp;
        let mut to = self.envp.cast_mut();
        // SAFETY: `to` never passes `from`; both vectors end as `new` says, and
        // nobody else holds them.
        unsafe {
            while !(*from).is_null() {
                if !string(*from).to_bytes().starts_with(prefix) {
                    *to = *from;
                    to = to.add(1);
                }
                from = from.add(1);
            }
            *to = core::ptr::null();
            let mut pair = self.auxv;
            self.auxv = to.add(1).cast();
            let mut place = self.auxv;
            loop {
                *place = *pair;
                if (*place)[0] == at::NULL {
                    return;
                }
                pair = pair.add(1);
                place = place.add(1);
            }
        }
    }

    /// Calls `f` with each key of the auxiliary vector and its value.
    pub fn each_aux(&self, mut f: impl FnMut(usize, &mut usize)) {
        let mut at = self.auxv;
        // SAFETY: ends with AT_NULL, see `new`; nobody else holds it.
        unsafe {
            while (*at)[0] != at::NULL {
                let [key, value] = &mut *at;
                f(*key, value);
                at = at.add(1);
            }
        }
    }
}
