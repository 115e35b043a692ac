//! Integration tests: one binary, one module a behaviour.

mod closure;
mod demo;
mod generate;
mod oracle;
mod support;
mod toolchain;
