//! Integration tests: one binary, one module a behaviour.

mod closure;
mod demo;
mod generate;
mod oracle;
mod stub_basics;
mod support;
mod toolchain;
