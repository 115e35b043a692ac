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

/// The names in a folder, sorted.
fn names(folder: &std::path::Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let name = |entry: std::fs::DirEntry| entry.file_name().into_string().unwrap();
    let mut names: Vec<String> = entries.map(|entry| name(entry.unwrap())).collect();
    names.sort();
    names
}
