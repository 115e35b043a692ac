//! The files that are built with this executable and that `indir setup` writes.
//!
//! build.rs makes them from shim/ and linker-plugin/; the same sources give the
//! same bytes.

#[path = "../linker-plugin/src/object.rs"]
mod object;

pub use object::{Content, ROOM, note_object};

/// The interpreter of the x86-64 psABI, where distributions have glibc's ld.so.
pub const ORDINARY_INTERPRETER: &str = "/lib64/ld-linux-x86-64.so.2";

/// The object whose note has the default reference and that interpreter.
pub fn default_note_object() -> Vec<u8> {
    note_object(Content {
        reference: indir_shim::format::note::DEFAULT_REFERENCE.as_bytes(),
        interpreter: ORDINARY_INTERPRETER.as_bytes(),
        stack: true,
    })
}

/// The plugin for GNU ld and gold.
pub const LINKER_PLUGIN: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/libindir-ld-plugin.so"));

/// The freestanding artefacts of one machine.
#[derive(Debug)]
pub struct Built {
    /// `e_machine`.
    pub machine: u16,
    /// File name of the shim.
    pub shim_name: &'static str,
    /// File name of the binder, which lies beside it.
    pub binder_name: &'static str,
    /// The shim: the interpreter of indirect executables.
    pub shim: &'static [u8],
    /// The binder: the library that applies bindings.
    pub binder: &'static [u8],
}

/// Those of the machines that this executable was built for (`INDIR_TARGETS` of build.rs).
pub const BUILT: &[Built] = include!(concat!(env!("OUT_DIR"), "/built.rs"));

/// The shim of the machine that this runs on.
pub const SHIM: &[u8] = own().shim;

/// Its binder.
pub const BINDER: &[u8] = own().binder;

const fn own() -> &'static Built {
    let mut rest = BUILT;
    while let [first, more @ ..] = rest {
        if first.machine == indir_shim::arch::MACHINE {
            return first;
        }
        rest = more;
    }
    panic!("build.rs builds them always")
}

/// Those for the machine `e_machine`, if they were built.
pub fn built(machine: u16) -> Option<&'static Built> {
    BUILT.iter().find(|built| built.machine == machine)
}

/// What makes gdb see libraries that are loaded with dlopen.
pub const GDB_SCRIPT: &[u8] = include_bytes!("../shim/gdb.py");

/// What completes an initramfs of initramfs-tools.
pub const INITRAMFS_HOOK: &[u8] = include_bytes!("../share/initramfs-tools/indir");

/// What completes an initramfs of dracut.
pub const DRACUT_MODULE: &[u8] = include_bytes!("../share/dracut/99indir/module-setup.sh");

#[cfg(test)]
mod tests {
    use indir_shim::format::note::{Notes, SECTION};

    #[test]
    fn the_object_holds_the_note_as_the_shim_reads_it() {
        for reference in ["$ORIGIN/.indir/$ID", "/a", "/ab", "/abc", "/abcd"] {
            let bytes = super::note_object(super::Content {
                reference: reference.as_bytes(),
                interpreter: b"/x/ld.so",
                stack: true,
            });
            let elf = goblin::elf::Elf::parse(&bytes).unwrap();
            assert_eq!(elf.header.e_type, goblin::elf::header::ET_REL);
            let section = |name: &str| {
                let named = |s: &&goblin::elf::SectionHeader| {
                    elf.shdr_strtab.get_at(s.sh_name) == Some(name)
                };
                elf.section_headers.iter().find(named).unwrap()
            };
            let note = section(SECTION);
            assert_eq!((note.sh_addralign, note.sh_offset % 4), (4, 0));
            let property = section(".note.gnu.property");
            assert_eq!((property.sh_addralign, property.sh_offset % 8), (8, 0));
            assert!(!section(".note.GNU-stack").is_executable());

            let mut notes = Notes::default();
            notes.scan(&bytes[note.file_range().unwrap()], 4);
            assert_eq!(notes.reference, Some(reference.as_bytes()));
            assert_eq!(notes.interpreter, Some(c"/x/ld.so"));
            assert_eq!(notes.places().count(), 0);
            assert_eq!((notes.own_id, notes.malformed), (None, false));
        }
    }
}
