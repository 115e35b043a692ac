//! The files that are built with this executable and that `indir setup` writes.
//!
//! build.rs makes them from shim/ and linker-plugin/; the same sources give the
//! same bytes.

#[path = "../linker-plugin/src/arch/mod.rs"]
pub mod arch;
#[path = "../linker-plugin/src/object.rs"]
mod object;

use arch::Machine;

pub use object::{Content, ROOM, note_object};

/// What the note's object for the machine `e_machine` says of it; nothing of a machine
/// that is not served.
pub fn note_properties(machine: u16) -> &'static [(u32, u32)] {
    Machine::of(machine).map_or(&[], |machine| machine.properties)
}

/// The object for the machine `e_machine` whose note has the default reference and the
/// interpreter of the psABI.
pub fn default_note_object(machine: u16) -> Vec<u8> {
    let machine = Machine::of(machine).unwrap_or(arch::OWN);
    note_object(Content {
        machine: machine.number,
        properties: machine.properties,
        reference: indir_shim::format::note::DEFAULT_REFERENCE.as_bytes(),
        interpreter: machine.interpreter,
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

/// What to tell where there is no shim for a machine that build.rs calls `target`, and
/// none was built.
pub fn not_built(target: &str) -> String {
    format!(
        "this indir was built without the shim for {target}: build it with \
         INDIR_TARGETS={target} in the environment, or pass --indir-shim PATH"
    )
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

    use super::arch::{ALL, Machine};
    use crate::arch;

    /// The plugin, which has no dependencies, has these for itself.
    #[test]
    fn what_is_linked_has_the_same_names() {
        assert_eq!(ALL.len(), arch::ALL.len());
        for known in arch::ALL {
            let linked = Machine::of(known.machine.0).unwrap();
            assert_eq!(linked.ldso, known.ldso.as_bytes());
            assert_eq!(linked.interpreter, known.interpreter.as_bytes());
            assert!(known.interpreter.ends_with(&format!("/{}", known.ldso)));
            assert!(indir_shim::arch::Served::includes(known.machine.0));
        }
    }

    #[test]
    fn the_object_holds_the_note_as_the_shim_reads_it() {
        for reference in ["$ORIGIN/.indir/$ID", "/a", "/ab", "/abc", "/abcd"] {
            let bytes = super::note_object(super::Content {
                machine: 62,
                properties: super::note_properties(62),
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
