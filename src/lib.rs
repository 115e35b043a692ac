//! indir: link against ABI stubs, reach libraries through a small table.
//!
//! `docs/DESIGN.md` describes the architecture; the modules below are its
//! parts. `cli` is the only module that prints, through `say`.

pub mod adopt;
pub mod arch;
pub mod artefacts;
pub mod bench;
pub mod cli;
pub mod elf;
pub mod exit;
pub mod interrupt;
pub mod link;
pub mod place;
pub mod reach;
pub mod resolve;
pub mod say;
pub mod seal;
pub mod shell;
pub mod table;
pub mod update;
pub mod verify;

pub mod abi;
pub mod standin;
pub mod status;
pub mod stub;
