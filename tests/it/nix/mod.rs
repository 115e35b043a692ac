//! `indir` in Nix: what is compiled again, environments and their tables, remote builders,
//! a daemon.

mod daemon;
mod environments;
mod packages;
mod parts;
mod reach;
mod remote;
mod stand_ins;
mod upgrade;

use std::path::Path;

fn fixtures() -> &'static Path {
    Path::new(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/it/fixtures/nix"
    ))
}

/// Arguments of nix/debian with the packages of fixtures/nix too.
fn more(arguments: &str) -> String {
    format!(
        "more = import {}/more.nix; {arguments}",
        fixtures().display()
    )
}
