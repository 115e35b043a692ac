//! `indir abi` and `indir stub`: texts of interfaces, stubs, and links against them.

mod bad_input;
mod basics;
mod bindings;
mod copies;
mod economy;
pub(crate) mod facts;
mod floor;
mod headers;
mod link;
mod no_library;
mod oracle;
mod programs;
mod replaced;
mod rules;
mod text;
mod tree;
mod used;
