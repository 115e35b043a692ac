//! Stand-ins: which of a library's trees a consumer sees.
//!
//! The earliest whole tree that the new library satisfies as a floor does, and that
//! differs from the new tree in nothing that the consumer names, directly or through what
//! it names. docs/stand-in.md has the rules. Nothing is cut out of headers. In doubt the
//! new tree is taken. This room must not print.

mod alone;
mod asks;
pub mod choose;
mod chunk;
mod compare;
mod compose;
mod conditions;
mod context;
mod declared;
mod difference;
mod enumeration;
mod expand;
mod expression;
mod extent;
mod groups;
mod harness;
mod holes;
mod includes;
mod lex;
mod link;
mod macros;
mod metadata;
mod names;
mod packages;
mod reach;
mod scan;
mod scoped;
mod sequence;
mod sources;
mod split;
mod style;
mod symbols;
mod target;
pub mod tree;
mod whole;
mod word;
pub mod words;
mod words_text;

pub use difference::Kind;
pub use harness::exercise;
pub use link::{check, replace};
