//! What must be equal in an executable that was linked against stubs and one
//! that was linked against the real libraries, by an independent reader of ELF.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use goblin::elf::{Elf, sym};

/// One dynamic symbol as the loader sees it: name@version, type, binding,
/// defined or not, size of what is defined.
type Fact = (String, u8, u8, bool, u64);

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Facts {
    symbols: BTreeSet<Fact>,
    needs: BTreeSet<(String, String)>,
    needed: Vec<String>,
}

impl Facts {
    /// Forgets undefined symbols by name, and the versions that only they need.
    pub(crate) fn leave_out(&mut self, names: &BTreeSet<String>) {
        let bare = |name: &str| name.split('@').next().unwrap().to_owned();
        self.symbols
            .retain(|fact| fact.3 || !names.contains(&bare(&fact.0)));
        let versions: BTreeSet<&str> = self
            .symbols
            .iter()
            .filter_map(|fact| Some(fact.0.split_once('@')?.1))
            .collect();
        self.needs.retain(|need| versions.contains(need.1.as_str()));
    }

    /// What is different in the link against the stub.
    pub(crate) fn against(&self, stub: &Self) -> Option<String> {
        let few = |one: &Self, other: &Self| {
            let symbols: Vec<_> = one.symbols.difference(&other.symbols).take(5).collect();
            let needs: Vec<_> = one.needs.difference(&other.needs).take(5).collect();
            format!("{symbols:?} {needs:?} {:?}", one.needed)
        };
        (self != stub).then(|| format!("real {}; stub {}", few(self, stub), few(stub, self)))
    }
}

/// Reads the facts of the executable at `path`.
pub(crate) fn facts(path: &Path) -> Facts {
    let data = std::fs::read(path).unwrap();
    let elf = Elf::parse(&data).unwrap();
    let mut names: BTreeMap<u16, String> = BTreeMap::new();
    let mut needs = BTreeSet::new();
    for need in elf.verneed.iter().flat_map(|v| v.iter()) {
        let file = elf.dynstrtab.get_at(need.vn_file).unwrap_or("").to_owned();
        for aux in need.iter() {
            let name = elf.dynstrtab.get_at(aux.vna_name).unwrap_or("").to_owned();
            names.insert(aux.vna_other, name.clone());
            needs.insert((file.clone(), name));
        }
    }
    // goblin counts by the hash table, which in a program without exports says
    // nothing; the section header knows.
    let header = elf
        .section_headers
        .iter()
        .find(|s| s.sh_type == goblin::elf::section_header::SHT_DYNSYM)
        .unwrap();
    let (at, count) = (header.sh_offset as usize, header.sh_size as usize / 24);
    let context = goblin::container::Ctx::new(
        goblin::container::Container::Big,
        goblin::container::Endian::Little,
    );
    let dynsyms = goblin::elf::Symtab::parse(&data, at, count, context).unwrap();
    let symbols = dynsyms.iter().enumerate().skip(1).map(|(at, symbol)| {
        let name = elf.dynstrtab.get_at(symbol.st_name).unwrap_or("");
        let version = elf
            .versym
            .as_ref()
            .and_then(|v| v.get_at(at))
            .map_or(0, |v| v.vs_val & 0x7fff);
        let version = names
            .get(&version)
            .map_or(String::new(), |v| format!("@{v}"));
        let defined = symbol.st_shndx != 0;
        // mold copies type and size of a function from the library, where the
        // other linkers write STT_FUNC and 0; ld.so looks at neither.
        let kind = match symbol.st_type() {
            sym::STT_GNU_IFUNC => sym::STT_FUNC,
            other => other,
        };
        let size = if defined { symbol.st_size } else { 0 };
        (
            format!("{name}{version}"),
            kind,
            symbol.st_bind(),
            defined,
            size,
        )
    });
    Facts {
        symbols: symbols.collect(),
        needs,
        needed: elf.libraries.iter().map(|l| (*l).to_owned()).collect(),
    }
}
