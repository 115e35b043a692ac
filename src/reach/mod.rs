//! Which programs can run or read what an upgrade changed.
//!
//! A library becomes a graph of functions and data (`build`, from `image`, `symbols`,
//! `frames`, `pieces` and `decode`), in which what only addresses differ in is gone. A
//! program is its libraries' graphs, joined by the symbols that ld.so would bind (`world`,
//! over `resolve`). Two such worlds, with the old and with the new libraries, are walked
//! in step from what the program starts with (`pair`); what cannot be reached has not
//! changed for it. A canonical sum of each walk (`slice`) must say the same.
//!
//! Nothing here prints or writes. What is not certain is never `same`.

mod atoms;
mod build;
mod change;
mod closures;
mod code;
mod cursor;
mod data;
mod decode;
mod error;
mod flaw;
mod frames;
mod graph;
mod image;
mod judge;
mod lines;
pub mod nss;
mod package;
mod pair;
mod pieces;
mod reached;
mod same;
mod shared;
mod sides;
mod slice;
mod stored;
mod symbols;
mod unwind;
mod verdict;
mod world;

pub use change::{Build, Change, Tables};
pub use error::ReachError;
pub use flaw::Flaw;
pub use graph::{Atom, Graph, Kind};
pub use judge::{Judge, Judgement, Options};
pub use package::other_change;
pub use pair::{Difference, Doubt, How, Step};
pub use shared::Shared;
pub use stored::{Stored, exercise_stored};
pub use verdict::{Explained, Extents, Verdict};

/// Reads `data` as a library and makes a graph of it, for fuzzing and for tests: nothing
/// may panic. The number of its references, if it can be read.
pub fn exercise(data: &[u8]) -> Option<usize> {
    let mut file = tempfile::tempfile().ok()?;
    std::io::Write::write_all(&mut file, data).ok()?;
    let map = crate::elf::MappedElf::of_file("library".into(), &file).ok()?;
    let object = crate::resolve::addresses::object::LoadedObject::new(map).ok()?;
    let graph = Graph::build(&object, &[]).ok()?;
    let edges = (0..graph.len()).map(|atom| graph.edges(atom as u32).len());
    Some(edges.sum())
}
