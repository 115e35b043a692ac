//! The ABI of shared libraries: model, text, digest, comparison, floors.
//!
//! An [`Abi`] is what a correct client can observe at link time, and nothing
//! else; docs/stubs.md has the table of what is normalised away and why. This
//! module must not write ELF (`stub` does) and must not print.

pub mod closure;
pub mod diff;
mod digest;
pub mod floor;
pub mod load;
mod marker;
pub mod model;
mod other;
pub mod parse;
pub mod private;
pub mod read;
pub mod rules;
pub mod text;
pub mod used;

pub use closure::Finder;
pub use digest::Digest;
pub use load::{LoadError, Loaded, load, load_for, load_with};
pub use model::{Abi, Key, Symbol};
pub use other::Other;
pub use private::{Pattern, Private};
