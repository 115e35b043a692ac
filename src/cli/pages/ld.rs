//! indir-ld(1), and what `indir-ld --indir-help` prints.

use super::common::{ENVIRONMENT, environment, files};
use super::roff::Line::{Code, Item, Text};
use super::roff::Page;

pub(super) fn page() -> Page {
    let mut sections = vec![
        ("SYNOPSIS", vec![
            Code("cc -BPREFIX/libexec/indir ..."),
            Code("indir-ld [--indir-shim=PATH] [--indir-table=REF] [--indir-reach] [--indir-off] [OPTIONS OF THE LINKER]"),
        ]),
        ("DESCRIPTION", vec![
            Text("Runs the real linker and, where that makes an executable for glibc's ld.so, adds two things: a note that says where the table of the program is and which interpreter the link asked for, and the shim as its interpreter. Every other link comes out byte for byte as the real linker makes it. A compiler reaches it with -B; it is called as ld, ld.bfd, ld.gold, ld.lld or ld.mold then, and runs the linker of that name."),
        ]),
        ("OPTIONS", OWN.iter().map(|&(name, what)| Item(name, what)).chain([
            Text("Everything else is the real linker's. In a compiler's command line each of them follows -Wl, as in -Wl,--indir-off."),
        ]).collect()),
        ("EXIT STATUS", vec![
            Text("That of the real linker, or the signal that ended it; 1 if a linker script threw the note away, or there is no real linker."),
        ]),
        environment(),
        files(),
        ("EXAMPLES", vec![
            Code("cc -B/opt/indir/libexec/indir -o hello hello.c"),
            Code("./configure CC='cc -B/opt/indir/libexec/indir'"),
            Code("RUSTFLAGS='-C link-arg=-B/opt/indir/libexec/indir' cargo build"),
        ]),
        ("SEE ALSO", vec![Text("indir(1), indir(7), indir-seal(1), indir-update(1), ld(1), gcc(1)")]),
    ];
    sections.retain(|(_, lines)| !lines.is_empty());
    Page {
        file: "indir-ld.1",
        title: "indir-ld",
        number: "1",
        name: "indir-ld - link programs that find their libraries by a table",
        sections,
    }
}

/// The options of `indir-ld` itself.
const OWN: &[(&str, &str)] = &[
    (
        "--indir-shim=PATH",
        "The shim that the program names as its interpreter; without it that of the prefix that indir-ld belongs to.",
    ),
    (
        "--indir-table=REF",
        "Where the program looks for its table: a path in which $ORIGIN stands for its folder and $ID for its id. Without it $ORIGIN/.indir/$ID.",
    ),
    (
        "--indir-reach",
        "Writes the symbols of a library that is linked to OUTPUT.reach, for `indir reach` once the library is stripped.",
    ),
    (
        "--indir-off",
        "Only the real linker, as if indir were not there.",
    ),
    ("--indir-help", "These options, and nothing is linked."),
];

/// What `indir-ld --indir-help` prints.
pub(in crate::cli) fn help() -> String {
    let mut text = String::from(
        "Runs the real linker; programs for glibc's ld.so come out indirect.\n\n\
         Usage: indir-ld [OPTIONS] [OPTIONS OF THE LINKER]\n\nOptions:\n",
    );
    for (name, what) in OWN {
        text.push_str(&format!("  {name}\n          {what}\n"));
    }
    text.push_str("\nEnvironment:\n");
    for (name, what) in ENVIRONMENT
        .iter()
        .filter(|(name, _)| ["INDIR_LD", "INDIR_SAVE_LINK"].contains(name))
    {
        text.push_str(&format!("  {name}\n          {what}\n"));
    }
    text.push_str("\nExample:\n  cc -B/opt/indir/libexec/indir -Wl,--indir-off -o hello hello.c\n");
    text
}
