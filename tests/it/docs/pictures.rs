//! The pictures of terminals show what the commands print.

use std::path::Path;
use std::process::Command;

use super::TOP;
use crate::support::{cache, need, prefix, run};

#[test]
fn pictures_show_what_is_printed() {
    need("bwrap", "bubblewrap");
    run(Command::new(need("python3", "python3"))
        .arg(Path::new(TOP).join("tests/scripts/pictures.py"))
        .arg("--check")
        .arg(prefix())
        .env("INDIR_CACHE", cache()))
    .success();
}
