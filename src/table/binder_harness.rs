//! The binder's own code over arbitrary bindings, in a process that is not there:
//! three small objects in memory, as ld.so would have mapped them.
//!
//! Unsafe because the binder takes addresses, and these objects are made to have
//! some. It must write to nothing but their writable segments and its scratch
//! memory, whatever the file says.
#![expect(unsafe_code, reason = "makes the objects that the binder works on")]

use std::ffi::CStr;
use std::path::PathBuf;
use std::sync::OnceLock;

use indir_shim::arch::Page;
use indir_shim::binder::bind::apply;
use indir_shim::binder::linkmap::LinkMap;
use indir_shim::elf::{Dyn, Phdr, dt, pf, pt};
use indir_shim::format::bindings_layout::{
    Header, MAGIC, OBJECT_PROBE, ObjectBindings, Part, Range, Rela, TAIL, TARGET_ABSOLUTE, VERSION,
};
use indir_shim::format::bindings_sum::{sum, sum_entry};
use indir_shim::format::record::{Le16, Le32, Le64};
use indir_shim::handover::Handover;
use zerocopy::IntoBytes as _;

use super::bindings_file::seal;
use super::runs::{self, Slot};
use super::{ObjectSpec, TableSpec};

const PAGE: usize = 4096;
/// Pages of an object: one of headers, two of data, between two that are nobody's.
const PAGES: usize = 5;
/// Where an object's pages begin in its [`Image`].
const START: usize = PAGE;
const DATA: u64 = PAGE as u64;
const END: u64 = 3 * PAGE as u64;
/// Bytes that stand for symbols and names.
const CONTENT: u64 = 0x800;
/// Two RELATIVE entries.
const RELATIVE: u64 = 0xa00;
const NAMES: [&CStr; 3] = [
    c"",
    c"/nonexistent/indir/liba.so",
    c"/nonexistent/indir/libb.so",
];

#[repr(C, align(4096))]
#[derive(Clone, PartialEq, Eq)]
struct Image([u8; PAGES * PAGE]);

impl Image {
    fn put(&mut self, at: u64, bytes: &[u8]) {
        let at = START + at as usize;
        self.0[at..at + bytes.len()].copy_from_slice(bytes);
    }

    fn new(index: usize) -> Box<Self> {
        let mut image = Box::new(Self([0xa5; PAGES * PAGE]));
        let base = image.base();
        image.put(0, &[0; 3 * PAGE]);
        image.put(0, b"\x7fELF\x02\x01\x01");
        image.put(32, &64_u64.to_le_bytes());
        image.put(56, &(phdrs().len() as u16).to_le_bytes());
        for (n, phdr) in phdrs().iter().enumerate() {
            let words = [
                phdr.offset,
                phdr.vaddr,
                0,
                phdr.filesz,
                phdr.memsz,
                phdr.align,
            ];
            let at = 64 + n as u64 * 56;
            image.put(at, &phdr.kind.to_le_bytes());
            image.put(at + 4, &phdr.flags.to_le_bytes());
            image.put(at + 8, words.map(u64::to_le_bytes).as_flattened());
        }
        image.put(CONTENT, format!("symbols of object {index}").as_bytes());
        for n in 0..2 {
            let words = [END - 16 + n * 8, 8, 0x900];
            image.put(
                RELATIVE + n * 24,
                words.map(u64::to_le_bytes).as_flattened(),
            );
        }
        for (n, (tag, value)) in dynamic(base).into_iter().enumerate() {
            let words = [tag, value].map(u64::to_le_bytes);
            image.put(DATA + n as u64 * 16, words.as_flattened());
        }
        image
    }

    /// What bindings hold of it.
    fn content(&self, index: u16) -> u64 {
        let at = START + CONTENT as usize;
        let tables = sum(0, &self.0[at..at + 64]);
        if index == 0 {
            return tables;
        }
        let entries = dynamic(0)
            .into_iter()
            .take_while(|entry| entry.0 != dt::NULL);
        entries.fold(tables, |sum, (tag, value)| sum_entry(sum, tag, value, 0))
    }

    fn base(&self) -> u64 {
        self.0.as_ptr() as u64 + START as u64
    }

    /// What nobody may change.
    fn constant(&self) -> (&[u8], &[u8]) {
        (&self.0[..2 * PAGE], &self.0[4 * PAGE..])
    }
}

/// The dynamic section of an object at `base`.
fn dynamic(base: u64) -> [(u64, u64); 5] {
    [
        (dt::RELA, base + RELATIVE),
        (dt::RELASZ, 72),
        (dt::RELACOUNT, 2),
        (dt::PLTRELSZ, 24),
        (dt::NULL, 0),
    ]
}

fn phdrs() -> [Phdr; 3] {
    let phdr = |kind, flags, vaddr, len| Phdr {
        kind,
        flags,
        offset: vaddr,
        vaddr,
        paddr: 0,
        filesz: len,
        memsz: len,
        align: 4096,
    };
    [
        phdr(pt::LOAD, pf::R, 0, DATA),
        phdr(pt::LOAD, pf::R | pf::W, DATA, END - DATA),
        phdr(pt::DYNAMIC, pf::R | pf::W, DATA, 80),
    ]
}

/// The table of these objects.
fn table() -> &'static [u8] {
    static TABLE: OnceLock<Vec<u8>> = OnceLock::new();
    TABLE.get_or_init(|| {
        let object = |name: &CStr| ObjectSpec {
            soname: name.to_bytes().to_vec(),
            path: PathBuf::from(name.to_string_lossy().into_owned()),
            ..ObjectSpec::default()
        };
        let spec = TableSpec {
            exe_id: b"harness".to_vec(),
            ldso: PathBuf::from("/nonexistent/indir/ld.so"),
            objects: NAMES[1..].iter().map(|name| object(name)).collect(),
            binder: Some(PathBuf::from("/nonexistent/indir/bind.so")),
            ..TableSpec::default()
        };
        spec.to_bytes().unwrap_or_default()
    })
}

fn digest() -> [u8; 16] {
    let table = indir_shim::format::table::Table::parse(table());
    table.map_or([0; 16], |table| table.header().digest)
}

/// Good bindings for the objects of [`exercise_binder`]: what a fuzzer begins with.
pub fn bindings_for_the_binder() -> Vec<u8> {
    let streams_at = size_of::<Header>() + 3 * size_of::<ObjectBindings>();
    let mut streams = Vec::new();
    let part = |streams: &mut Vec<u8>, bytes: &[u8]| {
        let offset = Le32::new((streams_at + streams.len()) as u32);
        streams.extend_from_slice(bytes);
        let len = Le32::new(bytes.len() as u32);
        Part { offset, len }
    };
    let segments = [(DATA, END)];
    let slots = |targets: &[u16], first: u32| -> Vec<u8> {
        let slot = |(n, &target): (usize, &u16)| Slot {
            target,
            slot: first + n as u32 * 8,
            value: 0x100 + n as u32,
        };
        let mut out = Vec::new();
        let all = targets.iter().enumerate().map(slot).collect();
        runs::encode(all, &segments, &mut out);
        out
    };
    let mut entries = Vec::new();
    for index in 0..3_u16 {
        let image = Image::new(usize::from(index));
        let range = Range {
            start: Le64::new(CONTENT),
            len: Le64::new(64),
        };
        let rela = Rela {
            offset: Le64::new(DATA + 0x300),
            info: Le64::new(17),
            addend: Le64::new(0),
        };
        entries.push(ObjectBindings {
            flags: OBJECT_PROBE,
            reach: Le16::new(3),
            content: Le64::new(image.content(index)),
            ranges: part(&mut streams, range.as_bytes()),
            dynamic: Le64::new(DATA),
            relative_count: Le32::new(2),
            bound: part(
                &mut streams,
                &slots(&[0, 1, 2, TARGET_ABSOLUTE, index], 0x1100),
            ),
            indirect: part(&mut streams, &slots(&[1, 2], 0x1200)),
            indirect_count: Le32::new(2),
            residual: part(&mut streams, rela.as_bytes()).offset,
            residual_count: Le32::new(1),
            probe: Le32::new(0x1100),
            ..ObjectBindings::default()
        });
    }
    let header = Header {
        magic: MAGIC,
        version: Le16::new(VERSION),
        header_len: Le16::new(size_of::<Header>() as u16),
        object_len: Le16::new(size_of::<ObjectBindings>() as u16),
        machine: Le16::new(indir_shim::arch::MACHINE),
        total_len: Le32::new((streams_at + streams.len() + TAIL) as u32),
        object_count: Le16::new(3),
        digest: digest(),
        bound_count: Le32::new(15),
        left_count: Le32::new(9),
        ..Header::default()
    };
    let mut bytes = header.as_bytes().to_vec();
    bytes.extend_from_slice(entries.as_bytes());
    bytes.extend_from_slice(&streams);
    bytes.extend_from_slice(&[0; TAIL]);
    seal(&mut bytes);
    bytes
}

/// What a run of the binder came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// The file was refused, and nothing was written.
    Refused,
    /// It was applied; this many objects have another content now.
    Applied(usize),
}

/// Runs the binder with `data` as its bindings.
///
/// # Panics
/// When it writes where it must not.
pub fn exercise_binder(data: &[u8]) -> Bound {
    let mut images: Vec<Box<Image>> = (0..3).map(Image::new).collect();
    let before: Vec<Box<Image>> = images.clone();
    // The binder knows addresses of memory that it writes to.
    let bases: Vec<usize> = images
        .iter_mut()
        .map(|image| image.0.as_mut_ptr() as usize + START)
        .collect();
    let mut maps: Vec<LinkMap> = Vec::new();
    for (base, name) in bases.iter().zip(NAMES) {
        maps.push(LinkMap {
            addr: *base,
            name: name.as_ptr(),
            dynamic: (*base + DATA as usize) as *mut Dyn,
            next: std::ptr::null(),
            prev: std::ptr::null(),
        });
    }
    let addresses: Vec<*const LinkMap> = maps.iter().map(std::ptr::from_ref).collect();
    for (map, next) in maps.iter_mut().zip(addresses.iter().skip(1)) {
        map.next = *next;
    }
    let mut scratch = vec![0_u64; 1 << 10];
    let phdrs = phdrs();
    let handover = Handover {
        table: table().as_ptr(),
        table_len: table().len(),
        table_path: c"".as_ptr().cast(),
        phdrs: phdrs.as_ptr(),
        phnum: phdrs.len(),
        scratch: scratch.as_mut_ptr().cast(),
        scratch_len: scratch.len() * 8,
        debug: false,
        secure: false,
        euid: 0,
        owner: 0,
        page: Page::told(PAGE),
    };
    let Some(main) = maps.first() else {
        return Bound::Refused;
    };
    // SAFETY: everything that `handover` and the link maps name is there.
    let outcome = unsafe { apply(&handover, main, data) };
    let mut changed = 0;
    for (image, before) in images.iter().zip(&before) {
        // SAFETY: the binder wrote through addresses, not through this box.
        let now = unsafe { std::ptr::read_volatile(std::ptr::from_ref(&**image)) };
        assert!(
            now.constant() == before.constant(),
            "a write outside of the writable segments"
        );
        changed += usize::from(now != **before);
    }
    match outcome {
        Ok(()) => Bound::Applied(changed),
        Err(_) => {
            assert!(changed == 0, "a write by bindings that were refused");
            Bound::Refused
        }
    }
}

/// `data` with the length, the digest and the sum that it needs to be looked at.
pub fn as_written(data: &[u8]) -> Vec<u8> {
    let mut bytes = data.to_vec();
    let len = (bytes.len() as u32).to_le_bytes();
    let mut put = |at: usize, part: &[u8]| {
        if let Some(to) = bytes.get_mut(at..at + part.len()) {
            to.copy_from_slice(part);
        }
    };
    put(std::mem::offset_of!(Header, total_len), &len);
    put(std::mem::offset_of!(Header, digest), &digest());
    seal(&mut bytes);
    bytes
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn good_bindings_are_applied_to_every_object() {
        let good = bindings_for_the_binder();
        assert_eq!(as_written(&good), good);
        assert_eq!(exercise_binder(&good), Bound::Applied(3));
    }

    #[test]
    fn any_changed_byte_is_refused_and_harmless_with_a_new_sum() {
        let good = bindings_for_the_binder();
        let mut applied = 0;
        for at in 0..good.len() {
            for bits in [0x01, 0x10, 0x80, 0xff] {
                let mut bad = good.clone();
                bad[at] ^= bits;
                assert_eq!(exercise_binder(&bad), Bound::Refused, "{at} {bits}");
                applied += usize::from(exercise_binder(&as_written(&bad)) != Bound::Refused);
            }
        }
        // Most reach the code behind the header.
        assert!(applied > good.len() * 2, "{applied} of {}", good.len() * 4);
        for len in 0..good.len() {
            assert_eq!(exercise_binder(&good[..len]), Bound::Refused, "{len}");
            exercise_binder(&as_written(&good[..len]));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2000) })]

        #[test]
        fn damage_with_a_new_sum_is_harmless(
            damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12),
        ) {
            let mut bytes = bindings_for_the_binder();
            for (at, byte) in damage {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            exercise_binder(&as_written(&bytes));
        }
    }
}
