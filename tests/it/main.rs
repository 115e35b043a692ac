//! Integration tests: one binary, one folder an area, one module a behaviour.

mod aarch64;
mod adopt;
mod bound;
mod cli;
mod docs;
mod link;
mod nix;
mod reach;
mod resolve;
mod seal;
mod standin;
mod start;
mod stub;
mod support;
mod system;
mod tools;
mod update;
mod verify;
