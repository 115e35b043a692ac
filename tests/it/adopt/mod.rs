//! `indir adopt`: prebuilt executables become indirect, and stay what they were.

mod basic;
mod decisions;
mod edits;
mod folder;
mod killed;
mod layout;
mod libraries;
mod programs;
mod restore;
mod undo;
