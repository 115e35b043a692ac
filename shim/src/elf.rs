//! The few ELF structures that the shim and the binder read in memory
//! (gABI chapters 4 and 5). Plain data only.

/// A 64-bit ELF header.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Ehdr {
    /// Magic number, class, data encoding and so on.
    pub ident: [u8; 16],
    /// Object file type.
    pub kind: u16,
    /// Machine.
    pub machine: u16,
    /// Version.
    pub version: u32,
    /// Entry point.
    pub entry: u64,
    /// Offset of the program headers.
    pub phoff: u64,
    /// Offset of the section headers.
    pub shoff: u64,
    /// Processor flags.
    pub flags: u32,
    /// Size of this header.
    pub ehsize: u16,
    /// Size of a program header.
    pub phentsize: u16,
    /// Number of program headers.
    pub phnum: u16,
    /// Size, number and string index of section headers.
    pub sections: [u16; 3],
}

/// A 64-bit program header.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Phdr {
    /// Segment type.
    pub kind: u32,
    /// Segment flags.
    pub flags: u32,
    /// Offset in the file.
    pub offset: u64,
    /// Virtual address before relocation.
    pub vaddr: u64,
    /// Physical address, unused.
    pub paddr: u64,
    /// Bytes in the file.
    pub filesz: u64,
    /// Bytes in memory.
    pub memsz: u64,
    /// Alignment.
    pub align: u64,
}

/// A 64-bit dynamic entry.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Dyn {
    /// Tag.
    pub tag: u64,
    /// Value or address.
    pub value: u64,
}

const _: () = assert!(size_of::<Ehdr>() == 64 && size_of::<Phdr>() == 56);

/// Segment types.
pub mod pt {
    /// Loadable segment.
    pub const LOAD: u32 = 1;
    /// The dynamic section.
    pub const DYNAMIC: u32 = 2;
    /// The interpreter's path.
    pub const INTERP: u32 = 3;
    /// Notes.
    pub const NOTE: u32 = 4;
    /// The program headers themselves.
    pub const PHDR: u32 = 6;
    /// The note of properties.
    pub const GNU_PROPERTY: u32 = 0x6474_e553;
    /// What is read-only after relocation.
    pub const GNU_RELRO: u32 = 0x6474_e552;
}

/// Segment flags.
pub mod pf {
    /// Executable.
    pub const X: u32 = 1;
    /// Writable.
    pub const W: u32 = 2;
    /// Readable.
    pub const R: u32 = 4;
}

/// Dynamic tags.
pub mod dt {
    /// End of the section.
    pub const NULL: u64 = 0;
    /// A needed object.
    pub const NEEDED: u64 = 1;
    /// Size of the relocations of DT_JMPREL.
    pub const PLTRELSZ: u64 = 2;
    /// The string table.
    pub const STRTAB: u64 = 5;
    /// The symbol table.
    pub const SYMTAB: u64 = 6;
    /// The GNU hash table.
    pub const GNU_HASH: u64 = 0x6fff_fef5;
    /// Relocations with addend.
    pub const RELA: u64 = 7;
    /// Size of these relocations in bytes.
    pub const RELASZ: u64 = 8;
    /// Number of RELATIVE relocations at the front of DT_RELA.
    pub const RELACOUNT: u64 = 0x6fff_fff9;
    /// Folders to search, also for the needs of needs.
    pub const RPATH: u64 = 15;
    /// Place of the debugger's `r_debug` address.
    pub const DEBUG: u64 = 21;
    /// Folders to search, for own needs only.
    pub const RUNPATH: u64 = 29;
    /// Functions to run before any constructor.
    pub const PREINIT_ARRAY: u64 = 32;
    /// Size of that array in bytes.
    pub const PREINIT_ARRAYSZ: u64 = 33;
}

/// An entry of the symbol table.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Sym {
    /// Offset of its name in the string table.
    pub name: u32,
    /// Binding and type.
    pub info: u8,
    /// Visibility.
    pub other: u8,
    /// Section.
    pub section: u16,
    /// Address, relative to the load address.
    pub value: u64,
    /// Size in bytes.
    pub size: u64,
}

/// `Ehdr::kind` of a shared object.
pub const ET_DYN: u16 = 3;
