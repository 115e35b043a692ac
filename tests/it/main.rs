//! Integration tests: one binary, one module a behaviour.

mod demo;
mod generate;
mod oracle;
mod support;
mod toolchain;
