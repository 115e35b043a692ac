//! indir(7): the words and the moments.

use super::common::{environment, files};
use super::roff::Line::{Code, Item, Text};
use super::roff::Page;

pub(super) fn page() -> Page {
    Page {
        file: "indir.7",
        title: "indir",
        number: "7",
        name: "indir - programs that find their libraries by a table",
        sections: vec![
            (
                "DESCRIPTION",
                vec![Text(
                    "In a store where every package has a path of its own, programs carry the paths of their libraries, and a new glibc changes every program. With indir those paths are in one small file beside the program, the table. An upgrade rewrites tables; programs stay as they are, byte for byte. What runs is stock glibc.",
                )],
            ),
            (
                "WORDS",
                vec![
                    Item(
                        "closure",
                        "A program and every library that it loads at start, in ld.so's order.",
                    ),
                    Item(
                        "table",
                        "The small file of one program: which file provides each library, and where ld.so is.",
                    ),
                    Item(
                        "shim",
                        "The interpreter of indirect programs. It finds the table and hands over to the ld.so that the table names.",
                    ),
                    Item(
                        "id",
                        "What a table is found by: the build-id of the program, or an id of its own in its note.",
                    ),
                    Item(
                        "note",
                        "The part of a program that says where its table is, and which interpreter the link asked for.",
                    ),
                    Item(
                        "bindings",
                        "Where every symbol of a closure is, looked up when the table was written; a file beside the table.",
                    ),
                    Item(
                        "binder",
                        "The library that applies bindings when a program starts.",
                    ),
                    Item(
                        "plan",
                        "What a table holds: direct (paths only) or bound (paths and bindings).",
                    ),
                    Item(
                        "adopt",
                        "To make a program indirect that was built without indir.",
                    ),
                    Item(
                        "seal",
                        "To take out of a finished program what names builds of libraries.",
                    ),
                    Item(
                        "stub",
                        "A library to link against that holds an interface and no code.",
                    ),
                    Item("reach", "What of its libraries a program can run or read."),
                    Item(
                        "words",
                        "What a source names, written down once for all libraries.",
                    ),
                    Item(
                        "stand-in",
                        "An earlier tree of a library, which a package cannot tell from the new one by its words, and so is compiled against.",
                    ),
                    Item(
                        "floor",
                        "An interface that several builds of a library satisfy.",
                    ),
                ],
            ),
            (
                "MOMENTS",
                vec![
                    Item(
                        "link",
                        "indir-ld(1) adds the note and the shim. Until it has a table, the program is an ordinary one.",
                    ),
                    Item(
                        "seal",
                        "indir-seal(1), when a package is finished. From then on the program needs its table.",
                    ),
                    Item(
                        "update",
                        "indir-update(1) finds the libraries as ld.so would, checks that every needed symbol version is there, and writes the table. `--undo` goes back.",
                    ),
                    Item(
                        "start",
                        "The shim looks for a table in the folders of INDIR_TABLES, beside the program, at further places of its note, in /etc/indir/tables; else it starts the program through the interpreter that the note records. If none is recorded, it says why and exits with 127.",
                    ),
                ],
            ),
            (
                "WHICH COMMAND",
                vec![
                    Item(
                        "How to begin",
                        "indir-setup(1), indir-ld(1), indir-adopt(1)",
                    ),
                    Item("Does a program start faster", "indir-bench(1)"),
                    Item("A program does not start", "indir-verify(1), indir-why(1)"),
                    Item("What does it run with", "indir-show(1), indir-files(1)"),
                    Item("How is the whole system", "indir-status(1)"),
                    Item("What did the last update change", "indir-diff(1)"),
                    Item("Which programs can an upgrade change", "indir-reach(1)"),
                    Item("Back to before the last update", "indir-update(1) --undo"),
                    Item("Without indir again", "indir-restore(1)"),
                    Item(
                        "Which packages must be compiled again",
                        "indir-words(1), indir-stand-in(1)",
                    ),
                    Item("A library to link against", "indir-stub(1), indir-abi(1)"),
                    Item("Manual pages and completions", "indir-generate(1)"),
                ],
            ),
            environment(),
            files(),
            (
                "EXAMPLES",
                vec![
                    Code("indir setup --prefix /opt/indir"),
                    Code("cc -B/opt/indir/libexec/indir -o hello hello.c"),
                    Code("indir update hello --lib-dir /opt/glibc/2.36"),
                    Code("indir update hello --replace /opt/glibc/2.36=/opt/glibc/2.41"),
                    Code("indir update --undo hello"),
                ],
            ),
            (
                "SEE ALSO",
                vec![Text("indir(1), indir-ld(1), ld.so(8), ld(1), elf(5)")],
            ),
        ],
    }
}
