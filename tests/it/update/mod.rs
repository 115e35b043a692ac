//! `indir update`: tables, what they say, and what is refused.

mod asked;
mod by_id;
mod changed;
mod concurrent;
mod copy;
mod faults;
mod files;
mod fit;
mod foreign;
mod own_path;
pub(crate) mod plugins;
mod refuse;
mod table;
mod tree;
mod undo;
