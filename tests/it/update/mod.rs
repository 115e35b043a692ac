//! `indir update`: tables, what they say, and what is refused.

mod concurrent;
mod copy;
mod files;
mod fit;
mod own_path;
pub(crate) mod plugins;
mod refuse;
mod table;
mod tree;
