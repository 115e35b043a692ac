//! Integration tests: one binary, one module a behaviour.

mod demo;
mod support;
mod toolchain;
