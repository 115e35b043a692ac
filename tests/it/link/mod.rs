//! `indir-ld`: links of every compiler over every linker, and `indir setup`.

mod args;
mod killed;
mod linkers;
mod output;
mod plugin;
mod save;
mod setup;
