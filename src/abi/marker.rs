//! Symbols by which link editors and start files mark each object that they make.
//!
//! A library that exports its own says how it was linked, not what it offers: a program
//! that names one gets the mark of itself, which its own link defines, whatever its
//! libraries have (`_end` is where the program ends). So no client can be bound to a
//! library's. Not among them are `__start_NAME` and `__stop_NAME`: a program without
//! a section NAME does get the library's. This module must not know files.

use super::model::{Kind, Symbol};

/// Marks of addresses. GNU ld's default scripts for the ELF machines, gold, lld and mold
/// define them in every program, on their own or when it refers to them.
const ADDRESSES: &[&str] = &[
    // All machines.
    "__bss_start",
    "__ehdr_start",
    "__etext",
    "__executable_start",
    "_edata",
    "_end",
    "_etext",
    "edata",
    "end",
    "etext",
    // Tables, whose bounds static programs ask for.
    "__fini_array_end",
    "__fini_array_start",
    "__init_array_end",
    "__init_array_start",
    "__preinit_array_end",
    "__preinit_array_start",
    "__rela_iplt_end",
    "__rela_iplt_start",
    "_DYNAMIC",
    "_GLOBAL_OFFSET_TABLE_",
    "_PROCEDURE_LINKAGE_TABLE_",
    "_TLS_MODULE_BASE_",
    // ARM and AArch64.
    "__bss_end__",
    "__bss_start__",
    "__end__",
    "__exidx_end",
    "__exidx_start",
    "_bss_end__",
    // RISC-V, MIPS, and others with small data.
    "__BSS_END__",
    "__DATA_BEGIN__",
    "__SDATA_BEGIN__",
    "__global_pointer$",
    "_fbss",
    "_fdata",
    "_ftext",
    "_gp",
    "_SDA_BASE_",
    "_SDA2_BASE_",
];

/// Functions of the start files crti.o and crtn.o, which are in every object.
const FUNCTIONS: &[&str] = &["_fini", "_init"];

/// Whether `symbol`, called `name`, is such a mark: an address or a number without size,
/// or the code that start files bring.
pub(super) fn is_marker(name: &[u8], symbol: &Symbol) -> bool {
    let list = match symbol.kind {
        Kind::Function => FUNCTIONS,
        Kind::NoType | Kind::Object if symbol.size == 0 => ADDRESSES,
        _ => return false,
    };
    list.iter().any(|mark| mark.as_bytes() == name)
}
