//! From the bindings of a closure to the bytes of its bindings file.
//!
//! The same bindings give the same bytes. What the bytes mean is described in
//! `indir_shim::format::bindings_layout` and docs/bindings-format.md; nothing is
//! resolved here. Slots are grouped by target object and sorted by address,
//! each group is cut into runs so that the whole is shortest.

use indir_shim::format::bindings_layout::{
    FileState, Header, MAGIC, MAX_BINDINGS, OBJECT_KEEPS_JUMP, OBJECT_LEFT, OBJECT_PROBE,
    OBJECT_STORED, ObjectBindings, Part, Range, Rela, TAIL, TARGET_ABSOLUTE, VERSION,
};
use indir_shim::format::layout::MAX_OBJECTS;
use indir_shim::format::record::{Le16, Le32, Le64};
use object::elf::{PF_W, PT_DYNAMIC, PT_LOAD};
use zerocopy::IntoBytes as _;

use super::bindings_file::seal;
use super::runs;
use crate::arch::Arch;
use crate::elf::Identity;
use crate::resolve::addresses::bindings::{Binding, Bindings, ObjectBindings as Computed, Target};
use crate::resolve::addresses::lookup::Scope;
use crate::resolve::addresses::object::LoadedObject;

/// Why bindings cannot become a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// More objects than a table can name.
    #[error("{0} objects are more than bindings can hold")]
    TooManyObjects(usize),
    /// The files are not one for each object.
    #[error("{0} files do not fit {1} objects")]
    Files(usize, usize),
    /// More than [`MAX_BINDINGS`] bytes.
    #[error("the bindings would be larger than {MAX_BINDINGS} bytes")]
    TooLarge,
}

/// How the file of an object is recognised at start.
#[derive(Clone, Debug, Default)]
pub struct ObjectFile {
    /// As in the table.
    pub identity: Identity,
    /// Its state; `None` for the executable.
    pub state: Option<FileState>,
    /// It lies in a store where a path never has another content.
    pub stored: bool,
}

/// Everything that a bindings file is made of.
#[derive(Clone, Copy, Debug)]
pub struct BindingsSpec<'a> {
    /// The closure, the executable first.
    pub scope: &'a Scope,
    /// Its bindings.
    pub bindings: &'a Bindings,
    /// How each object's file is recognised, in the order of the scope.
    pub files: &'a [ObjectFile],
    /// Index of ld.so in the scope; it relocates itself.
    pub ldso: Option<usize>,
    /// The digest of the table that they belong to.
    pub digest: [u8; 16],
}

impl BindingsSpec<'_> {
    /// The file's bytes.
    ///
    /// # Errors
    /// When something does not fit the format.
    pub fn to_bytes(&self) -> Result<Vec<u8>, EncodeError> {
        let objects = self.scope.objects();
        let count = u16::try_from(objects.len())
            .ok()
            .filter(|_| objects.len() <= MAX_OBJECTS + 1)
            .ok_or(EncodeError::TooManyObjects(objects.len()))?;
        if self.files.len() != objects.len() {
            return Err(EncodeError::Files(self.files.len(), objects.len()));
        }
        let streams_at = size_of::<Header>() + objects.len() * size_of::<ObjectBindings>();
        let mut streams = Streams {
            start: streams_at,
            bytes: Vec::new(),
        };
        let mut entries = Vec::with_capacity(objects.len());
        let arch = objects.first().map_or_else(Arch::own, |exe| exe.arch());
        let mut header = Header {
            magic: MAGIC,
            version: Le16::new(VERSION),
            header_len: Le16::new(size_of::<Header>() as u16),
            object_len: Le16::new(size_of::<ObjectBindings>() as u16),
            machine: Le16::new(arch.machine.0),
            object_count: Le16::new(count),
            digest: self.digest,
            ..Header::default()
        };
        let mut bound_count = 0;
        let mut left_count = 0;
        let all = objects.iter().zip(&self.bindings.objects);
        for (index, ((object, computed), file)) in all.zip(self.files).enumerate() {
            let content = object.content();
            let mut entry = ObjectBindings {
                identity: file.identity.to_raw(),
                content: Le64::new(content.at(index)),
                ranges: streams.ranges(&content.ranges)?,
                dynamic: Le64::new(dynamic_address(object)),
                ..ObjectBindings::default()
            };
            // The binder looks for a library's header at its load address.
            let has_header = index == 0 || lowest_page(object) == 0;
            if file.stored && has_header {
                entry.flags |= OBJECT_STORED;
            } else {
                entry.file = file.state.unwrap_or_default();
            }
            if computed.refusal.is_some() || self.ldso == Some(index) || !has_header {
                entry.flags |= OBJECT_LEFT;
            } else {
                self.fill(&mut entry, object, computed, &mut streams)?;
                bound_count += computed.bound.len();
                left_count += computed.indirect.len() + computed.residual.len();
            }
            entries.push(entry);
        }
        let total = streams_at + streams.bytes.len() + TAIL;
        if total > MAX_BINDINGS {
            return Err(EncodeError::TooLarge);
        }
        header.total_len = word(total)?;
        header.bound_count = word(bound_count)?;
        header.left_count = word(left_count)?;
        let mut bytes = Vec::with_capacity(total);
        bytes.extend_from_slice(header.as_bytes());
        bytes.extend_from_slice(entries.as_bytes());
        bytes.extend_from_slice(&streams.bytes);
        bytes.extend_from_slice(&[0; TAIL]);
        seal(&mut bytes);
        Ok(bytes)
    }

    fn fill(
        &self,
        entry: &mut ObjectBindings,
        object: &LoadedObject,
        computed: &Computed,
        streams: &mut Streams,
    ) -> Result<(), EncodeError> {
        let segments = writable(object);
        entry.reach = Le16::new(self.reach(computed));
        entry.relative_count = word(object.relocation_plan().counted as usize)?;
        entry.bound = streams.runs(&computed.bound, &segments)?;
        entry.indirect = streams.runs(&computed.indirect, &segments)?;
        entry.indirect_count = word(computed.indirect.len())?;
        entry.residual = word(streams.position())?;
        entry.residual_count = word(computed.residual.len())?;
        for rela in &computed.residual {
            let info = u64::from(rela.symbol) << 32 | u64::from(rela.kind.0);
            let raw = Rela {
                offset: Le64::new(rela.offset),
                info: Le64::new(info),
                addend: Le64::new(rela.addend as u64),
            };
            streams.bytes.extend_from_slice(raw.as_bytes());
        }
        if computed.keeps_jump {
            entry.flags |= OBJECT_KEEPS_JUMP;
        }
        if let Some((slot, value)) = probe(object, computed) {
            entry.flags |= OBJECT_PROBE;
            entry.probe = Le32::new(slot);
            entry.probe_value = Le64::new(value);
        }
        Ok(())
    }

    /// How many objects at the front of the scope decide these bindings: up to
    /// the last one that anything was found in, and all if something was not
    /// found at all.
    fn reach(&self, computed: &Computed) -> u16 {
        let all = self.scope.objects().len();
        let slots = computed.bound.iter().chain(&computed.indirect);
        let reach = slots.map(|binding| match binding.target {
            Target::Object { object, .. } => object as usize + 1,
            Target::Absolute(_) => all,
        });
        u16::try_from(reach.max().unwrap_or(0)).unwrap_or(u16::MAX)
    }
}

fn word(value: usize) -> Result<Le32, EncodeError> {
    u32::try_from(value)
        .map(Le32::new)
        .map_err(|_| EncodeError::TooLarge)
}

/// What follows the object entries.
struct Streams {
    start: usize,
    bytes: Vec<u8>,
}

impl Streams {
    fn position(&self) -> usize {
        self.start + self.bytes.len()
    }

    fn ranges(&mut self, ranges: &[(u64, u64)]) -> Result<Part, EncodeError> {
        let offset = self.position();
        for &(start, len) in ranges {
            let (start, len) = (Le64::new(start), Le64::new(len));
            self.bytes
                .extend_from_slice(Range { start, len }.as_bytes());
        }
        Ok(Part {
            offset: word(offset)?,
            len: word(self.position() - offset)?,
        })
    }

    fn runs(&mut self, bindings: &[Binding], segments: &[(u64, u64)]) -> Result<Part, EncodeError> {
        let offset = self.position();
        let slots = bindings.iter().map(|binding| {
            let (target, value) = match binding.target {
                Target::Object { object, offset } => (object as u16, offset),
                Target::Absolute(value) => (TARGET_ABSOLUTE, value),
            };
            runs::Slot {
                target,
                slot: binding.slot,
                value,
            }
        });
        runs::encode(slots.collect(), segments, &mut self.bytes);
        Ok(Part {
            offset: word(offset)?,
            len: word(self.position() - offset)?,
        })
    }
}

/// Address of the first page of its PT_LOAD segments (4 KiB pages).
fn lowest_page(object: &LoadedObject) -> u64 {
    let loads = object.segments().iter().filter(|s| s.kind == PT_LOAD);
    loads.map(|s| s.vaddr).min().unwrap_or(0) & !0xfff
}

fn dynamic_address(object: &LoadedObject) -> u64 {
    let segment = object.segments().iter().find(|s| s.kind == PT_DYNAMIC);
    segment.map_or(0, |s| s.vaddr)
}

fn writable(object: &LoadedObject) -> Vec<(u64, u64)> {
    let segments = object.segments().iter();
    segments
        .filter(|s| s.kind == PT_LOAD && s.flags.0 & PF_W.0 != 0)
        .map(|s| (s.vaddr, s.vaddr.saturating_add(s.memsz)))
        .collect()
}

/// A slot that tells whether ld.so has relocated the object: what the file has
/// there is not what it will hold. A zero is best: late binding changes another
/// value of a JUMP_SLOT by the load address only, which is 0 for fixed-address
/// executables (but these are relocated last).
fn probe(object: &LoadedObject, computed: &Computed) -> Option<(u32, u64)> {
    let relocated = computed
        .bound
        .iter()
        .filter(|b| matches!(b.target, Target::Object { .. }));
    let mut slots =
        relocated.filter_map(|b| Some((b.slot, object.initial_word(u64::from(b.slot))?)));
    let first = slots.next()?;
    let zero = |probe: &(u32, u64)| probe.1 == 0;
    Some(if zero(&first) {
        first
    } else {
        slots.find(zero).unwrap_or(first)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The header's bytes in format version 2. A change here is a new version.
    #[test]
    fn golden_header() {
        let scope = Scope::new(Vec::new());
        let spec = BindingsSpec {
            scope: &scope,
            bindings: &Bindings::default(),
            files: &[],
            ldso: None,
            digest: *b"0123456789abcdef",
        };
        let mut golden = b"INDIRBND".to_vec();
        golden.extend([3, 0, 48, 0, 126, 0, 62, 0, 56, 0, 0, 0, 0, 0, 0, 0]);
        golden.extend(b"0123456789abcdef");
        golden.extend([0; 8 + TAIL]);
        seal(&mut golden);
        assert_eq!(spec.to_bytes().unwrap(), golden);
        let read = indir_shim::format::bindings::Bindings::parse(&golden, &spec.digest);
        assert!(read.unwrap().is_empty());
        let other = indir_shim::format::bindings::Bindings::parse(&golden, &[0; 16]);
        assert_eq!(
            other.err(),
            Some(indir_shim::format::bindings::BindingsError::OtherTable)
        );
    }
}
