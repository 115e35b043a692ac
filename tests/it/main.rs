//! Integration tests: one binary, one module a behaviour.

mod support;
mod toolchain;
