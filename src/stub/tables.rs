//! The small tables of a stub: strings, hash, versions, notes.

use std::collections::HashMap;

use crate::abi::model::{Abi, Properties};
use crate::resolve::addresses::hash;

use super::layout::Layout;

/// A string table; equal strings are kept once, in the order they came.
pub(super) struct Strings {
    bytes: Vec<u8>,
    known: HashMap<Vec<u8>, u32>,
}

impl Strings {
    pub(super) fn new() -> Self {
        Self {
            bytes: vec![0],
            known: HashMap::new(),
        }
    }

    /// Offset of `text`. Offsets beyond 32 bits are caught by [`Self::finish`].
    pub(super) fn add(&mut self, text: &[u8]) -> u32 {
        if let Some(&at) = self.known.get(text) {
            return at;
        }
        let at = self.bytes.len() as u32;
        self.bytes.extend_from_slice(text);
        self.bytes.push(0);
        self.known.insert(text.to_vec(), at);
        at
    }

    /// The table, unless it is too long for 32-bit offsets.
    pub(super) fn finish(self) -> Option<Vec<u8>> {
        u32::try_from(self.bytes.len()).ok().map(|_| self.bytes)
    }
}

/// DT_HASH over the null symbol and `names`. Stubs are not looked up in at run
/// time, so chains may be long; the table is there because gABI demands it and
/// because it tells how many symbols there are.
pub(super) fn hash_table(names: &[&[u8]]) -> Vec<u8> {
    let buckets = names.len() / 8 + 1;
    let mut heads = vec![0u32; buckets];
    let mut chains = vec![0u32; names.len() + 1];
    for (at, name) in names.iter().enumerate() {
        let head = &mut heads[hash::sysv(name) as usize % buckets];
        chains[at + 1] = std::mem::replace(head, at as u32 + 1);
    }
    let mut out = Vec::with_capacity(8 + 4 * (heads.len() + chains.len()));
    for value in [heads.len() as u32, chains.len() as u32]
        .into_iter()
        .chain(heads)
        .chain(chains)
    {
        out.extend_from_slice(&value.to_le_bytes());
    }
    out
}

/// Version index of the first version that is not the base.
const FIRST: u16 = 2;

/// DT_VERSYM: the null symbol, undefined symbols, defined ones.
pub(super) fn version_symbols(abi: &Abi, layout: &Layout<'_>) -> Vec<u8> {
    let index: HashMap<&[u8], u16> = abi
        .versions
        .keys()
        .map(Vec::as_slice)
        .zip(FIRST..)
        .collect();
    let mut out = vec![0, 0];
    for _ in &abi.undefined {
        out.extend_from_slice(&1u16.to_le_bytes());
    }
    for (key, _) in &layout.order {
        let version = key.version.as_ref().and_then(|v| index.get(v.as_slice()));
        let hidden = if key.default { 0 } else { 0x8000 };
        out.extend_from_slice(&(version.copied().unwrap_or(1) | hidden).to_le_bytes());
    }
    out
}

/// DT_VERDEF: the base, named by the soname as linkers do, then all versions.
pub(super) fn version_definitions(abi: &Abi, strings: &mut Strings) -> Vec<u8> {
    const BASE: u16 = 1;
    const WEAK: u16 = 2;
    let base = abi.soname.as_deref().unwrap_or(b"stub");
    let mut nodes: Vec<(u16, Vec<&[u8]>)> = vec![(BASE, vec![base])];
    for (name, node) in &abi.versions {
        let parents = node.parents.iter().map(Vec::as_slice);
        let names = [name.as_slice()].into_iter().chain(parents).collect();
        nodes.push((if node.weak { WEAK } else { 0 }, names));
    }
    let mut out = Vec::new();
    let count = nodes.len();
    for (at, (flags, names)) in nodes.into_iter().enumerate() {
        let size = 20 + 8 * names.len() as u32;
        let next = if at + 1 < count { size } else { 0 };
        let name = names.first().copied().unwrap_or_default();
        for value in [1, flags, at as u16 + 1, names.len() as u16] {
            out.extend_from_slice(&value.to_le_bytes());
        }
        for value in [hash::sysv(name), 20, next] {
            out.extend_from_slice(&value.to_le_bytes());
        }
        let last = names.len() - 1;
        for (at, name) in names.into_iter().enumerate() {
            out.extend_from_slice(&strings.add(name).to_le_bytes());
            let next: u32 = if at < last { 8 } else { 0 };
            out.extend_from_slice(&next.to_le_bytes());
        }
    }
    out
}

/// DT_VERNEED with one need: `version` of `file`.
pub(super) fn version_need(
    file: &[u8],
    version: &[u8],
    versions: usize,
    strings: &mut Strings,
) -> Vec<u8> {
    let mut out = Vec::with_capacity(32);
    out.extend_from_slice(&1u16.to_le_bytes());
    out.extend_from_slice(&1u16.to_le_bytes());
    for value in [strings.add(file), 16, 0, hash::sysv(version)] {
        out.extend_from_slice(&value.to_le_bytes());
    }
    out.extend_from_slice(&0u16.to_le_bytes());
    out.extend_from_slice(&(FIRST + versions as u16).to_le_bytes());
    for value in [strings.add(version), 0] {
        out.extend_from_slice(&value.to_le_bytes());
    }
    out
}

/// A note, padded to `align`.
pub(super) fn note(owner: &[u8], kind: u32, desc: &[u8], align: usize) -> Vec<u8> {
    let mut out = Vec::new();
    for value in [owner.len() as u32, desc.len() as u32, kind] {
        out.extend_from_slice(&value.to_le_bytes());
    }
    for part in [owner, desc] {
        out.extend_from_slice(part);
        out.resize(out.len().next_multiple_of(align), 0);
    }
    out
}

/// `.note.gnu.property`, entries in ascending order as binutils demands.
pub(super) fn property_note(properties: Properties) -> Vec<u8> {
    const NO_COPY_ON_PROTECTED: u32 = 2;
    const NEEDED_1: u32 = 0xb000_8000;
    let mut desc = Vec::new();
    if properties.no_copy_on_protected {
        for value in [NO_COPY_ON_PROTECTED, 0] {
            desc.extend_from_slice(&value.to_le_bytes());
        }
    }
    if properties.needed_1 != 0 {
        for value in [NEEDED_1, 4, properties.needed_1, 0] {
            desc.extend_from_slice(&value.to_le_bytes());
        }
    }
    note(b"GNU\0", 5, &desc, 8)
}
