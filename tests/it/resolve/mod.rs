//! What `indir` computes of ld.so: closures and bindings, with ld.so as the oracle.

pub(crate) mod cases;
mod closure;
pub(crate) mod oracle;
mod search;
