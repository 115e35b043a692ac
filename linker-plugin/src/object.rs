//! The object file that carries the `indir` note into a link.
//!
//! The linker wrapper and the linker plugin compile this same file, and the
//! plugin is built without dependencies, so nothing but `std` may be used here.
//! Layout: gABI chapter 4 (sections, "Note Section"); what is of one machine is in
//! `arch`.
//!
//! Besides the note the object has
//! - `.note.GNU-stack`, empty and without SHF_EXECINSTR: linkers take an object
//!   without it as one that wants an executable stack. Where no object of a link
//!   has one, GNU ld and gold leave PT_GNU_STACK out, and ours must not have one either;
//! - `.note.gnu.property` with every feature bit of the machine: a linker keeps those
//!   of protection only if *all* inputs have them, and an object without code stands
//!   in nobody's way.

const SHT_PROGBITS: u32 = 1;
const SHT_STRTAB: u32 = 3;
const SHT_NOTE: u32 = 7;
const SHF_ALLOC: u64 = 2;
const EHDR_LEN: usize = 64;
const SHDR_LEN: usize = 64;

/// Zero bytes that the note begins with: "the id is the build-id".
const ID_LEN: usize = 20;
/// Zero bytes that it ends with: room for further places of tables.
pub const ROOM: usize = 192;
const NAMES: &[u8] = b"\0.note.indir\0.note.gnu.property\0.note.GNU-stack\0.shstrtab\0";

/// Name, type, flags, content, alignment.
type Section<'a> = (&'static [u8], u32, u64, &'a [u8], u64);

/// What the note says, and what else an object with it is.
#[derive(Clone, Copy, Debug)]
pub struct Content<'a> {
    /// `e_machine`.
    pub machine: u16,
    /// Entries of `.note.gnu.property`, as type and 32 bits, in ascending order.
    pub properties: &'a [(u32, u32)],
    /// Where the table is.
    pub reference: &'a [u8],
    /// The interpreter that the link asked for.
    pub interpreter: &'a [u8],
    /// Whether there is a `.note.GNU-stack`.
    pub stack: bool,
}

/// The relocatable object with the note that says `content`.
pub fn note_object(content: Content<'_>) -> Vec<u8> {
    let note = note(b"indir\0", 1, &own_note(&content));
    let property = note_property(content.properties);
    let sections: [Section<'_>; 4] = [
        (b".note.indir\0", SHT_NOTE, SHF_ALLOC, &note, 4),
        (b".note.gnu.property\0", SHT_NOTE, SHF_ALLOC, &property, 8),
        (b".note.GNU-stack\0", SHT_PROGBITS, 0, &[], 1),
        (b".shstrtab\0", SHT_STRTAB, 0, NAMES, 1),
    ];
    let wanted = |section: &&Section<'_>| content.stack || section.0 != b".note.GNU-stack\0";
    let sections: Vec<Section<'_>> = sections.iter().filter(wanted).copied().collect();

    let mut data = vec![0; EHDR_LEN];
    let mut headers = vec![0; SHDR_LEN];
    for &(name, kind, flags, bytes, align) in &sections {
        pad(&mut data, align as usize);
        headers.extend_from_slice(&name_offset(name).to_le_bytes());
        headers.extend_from_slice(&kind.to_le_bytes());
        headers.extend_from_slice(&flags.to_le_bytes());
        // sh_addr, sh_offset, sh_size
        headers.extend_from_slice(&0u64.to_le_bytes());
        headers.extend_from_slice(&(data.len() as u64).to_le_bytes());
        headers.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
        // sh_link and sh_info, sh_addralign, sh_entsize
        headers.extend_from_slice(&0u64.to_le_bytes());
        headers.extend_from_slice(&align.to_le_bytes());
        headers.extend_from_slice(&0u64.to_le_bytes());
        data.extend_from_slice(bytes);
    }
    pad(&mut data, 8);
    let header = file_header(
        content.machine,
        data.len() as u64,
        sections.len() as u16 + 1,
    );
    data.splice(..EHDR_LEN, header);
    data.extend_from_slice(&headers);
    data
}

fn own_note(content: &Content<'_>) -> Vec<u8> {
    let mut desc = vec![0; ID_LEN];
    for text in [content.reference, content.interpreter] {
        desc.extend_from_slice(text);
        desc.push(0);
    }
    desc.resize(desc.len() + ROOM, 0);
    desc
}

fn note_property(properties: &[(u32, u32)]) -> Vec<u8> {
    const NT_GNU_PROPERTY_TYPE_0: u32 = 5;

    let mut desc = Vec::new();
    for &(kind, value) in properties {
        for word in [kind, 4, value, 0] {
            desc.extend_from_slice(&word.to_le_bytes());
        }
    }
    note(b"GNU\0", NT_GNU_PROPERTY_TYPE_0, &desc)
}

fn note(owner: &[u8], kind: u32, desc: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for word in [owner.len() as u32, desc.len() as u32, kind] {
        out.extend_from_slice(&word.to_le_bytes());
    }
    out.extend_from_slice(owner);
    pad(&mut out, 4);
    out.extend_from_slice(desc);
    pad(&mut out, 4);
    out
}

fn file_header(machine: u16, sections_at: u64, section_count: u16) -> Vec<u8> {
    // ELFCLASS64, ELFDATA2LSB, EV_CURRENT, no OS ABI.
    let mut out = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    // e_type ET_REL, e_machine, e_version
    out.extend_from_slice(&1u16.to_le_bytes());
    out.extend_from_slice(&machine.to_le_bytes());
    out.extend_from_slice(&1u32.to_le_bytes());
    // e_entry, e_phoff, e_shoff, e_flags
    out.extend_from_slice(&[0; 16]);
    out.extend_from_slice(&sections_at.to_le_bytes());
    out.extend_from_slice(&0u32.to_le_bytes());
    // e_ehsize, e_phentsize, e_phnum, e_shentsize, e_shnum, e_shstrndx
    for half in [
        EHDR_LEN as u16,
        0,
        0,
        SHDR_LEN as u16,
        section_count,
        section_count - 1,
    ] {
        out.extend_from_slice(&half.to_le_bytes());
    }
    out
}

fn name_offset(name: &[u8]) -> u32 {
    NAMES
        .windows(name.len())
        .position(|window| window == name)
        .map_or(0, |at| at as u32)
}

fn pad(bytes: &mut Vec<u8>, align: usize) {
    bytes.resize(bytes.len().next_multiple_of(align), 0);
}
