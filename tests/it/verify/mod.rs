//! `indir verify`: every kind of finding, and the command that mends it.

mod folders;
mod kinds;
mod plugins;
mod running;
mod table;
mod tree;
