//! What manual pages say besides the options: exit status, environment, files, other
//! pages; and the pages that no command of `indir` has.

use clap_mangen::roff::{Roff, bold, roman};

/// A heading and what stands under it.
pub(super) type Section = (&'static str, Vec<Line>);

/// A line of a section.
#[derive(Clone, Debug)]
pub(super) enum Line {
    /// A paragraph.
    Text(&'static str),
    /// A word, and what it means.
    Item(&'static str, &'static str),
    /// What is to be typed, as it is.
    Code(&'static str),
}
use Line::{Code, Item, Text};

/// Every variable that some part of indir obeys.
const ENVIRONMENT: &[(&str, &str)] = &[
    (
        "INDIR_TABLES",
        "Folders of tables, joined by `:`, in which a program that starts, and `show`, `diff`, `verify`, `status`, `why`, `files` and `bench`, look before all other places. Not obeyed by privileged programs, which remove it.",
    ),
    (
        "INDIR_DEBUG",
        "If 1, the shim writes a line to standard error that says which way a start goes: which table, or why none.",
    ),
    (
        "INDIR_DISABLE_BINDINGS",
        "If 1, a bound program starts by the paths of its table alone: ld.so looks symbols up.",
    ),
    (
        "INDIR_LD",
        "The real linker that `indir-ld` runs. Without it that is the next file on PATH with the name that `indir-ld` was called by (`ld` if that is `indir-ld`).",
    ),
    (
        "INDIR_SAVE_LINK",
        "A folder into which `indir-ld` copies every link: its inputs, and a script that runs it again.",
    ),
    (
        "LD_LIBRARY_PATH",
        "Obeyed at a start as by ld.so, but that no part of a glibc is taken from where its ld.so is not.",
    ),
    (
        "NO_COLOR",
        "If not empty, nothing is coloured. Neither is it where standard output is no terminal, or TERM is `dumb`.",
    ),
    (
        "TMPDIR",
        "Where `bench` puts the copies that it runs, and a dry run of `adopt` a file without a name; else /tmp.",
    ),
];

/// The same for the pages.
fn environment() -> Section {
    let items = ENVIRONMENT.iter().map(|&(name, what)| Item(name, what));
    ("ENVIRONMENT", items.collect())
}

/// What a command that nothing more is known of ends with.
fn exit_status() -> Section {
    let items = vec![
        Item("0", "All is done."),
        Item("1", "Something failed; standard error says what."),
        Item("2", "The command line was wrong."),
        Item(
            "3",
            "Refused: the libraries do not satisfy the binaries, or what is there is somebody else's.",
        ),
        Item(
            "127",
            "(a program that starts) It cannot start; standard error says why, and names the command that mends it.",
        ),
        Item(
            "130, 143, 129",
            "As a shell tells it: ended by SIGINT, SIGTERM or SIGHUP. What was begun is taken back, and a line says what was done.",
        ),
    ];
    ("EXIT STATUS", items)
}

/// The files that matter to users.
fn files() -> Section {
    let items = vec![
        Item(
            "PROGRAM_FOLDER/.indir/ID",
            "The table of the program with that id.",
        ),
        Item(
            "PROGRAM_FOLDER/.indir/ID.bind",
            "Its bindings, if its plan is bound. They may be deleted at any time: it starts slower.",
        ),
        Item(
            "PROGRAM_FOLDER/.indir/ID.last, ID.last.bind",
            "The table that the last update replaced, and its bindings, for `indir update --undo`.",
        ),
        Item(
            "PROGRAM_FOLDER/.indir/ID.*.undo",
            "What gives an adopted program its bytes back.",
        ),
        Item(
            "PROGRAM_FOLDER/.indir.UID/",
            "The same in folders where everybody may make files, such as /tmp, of one owner's programs.",
        ),
        Item(
            "/etc/indir/tables/ID",
            "The system's tables, where a program looks last.",
        ),
        Item(
            "PREFIX/lib/indir/ld-indir-x86-64.so.1",
            "The shim: the interpreter of indirect programs.",
        ),
        Item(
            "PREFIX/lib/indir/libindir-bind.so",
            "The binder of bound programs.",
        ),
        Item(
            "PREFIX/libexec/indir/",
            "`ld` and its other names, for `cc -B`.",
        ),
    ];
    ("FILES", items)
}

/// The sections behind the options of the page `name`, such as `indir-update`; those in
/// `known` are there already.
pub(super) fn sections(name: &str, known: &[&str]) -> Vec<Section> {
    let mut all = vec![exit_status()];
    all.push(environment());
    all.push(files());
    all.push(("SEE ALSO", vec![Text(see_also(name))]));
    all.retain(|(heading, _)| !known.contains(heading));
    all
}

fn see_also(name: &str) -> &'static str {
    match name {
        "indir" => "indir(7), indir-ld(1), indir-setup(1), indir-update(1), ld.so(8), elf(5)",
        "indir-setup" => "indir(1), indir(7), indir-ld(1)",
        "indir-update" => {
            "indir(1), indir(7), indir-status(1), indir-diff(1), indir-verify(1), ldconfig(8)"
        }
        "indir-adopt" => "indir(1), indir(7), indir-update(1), indir-restore(1), patchelf(1)",
        "indir-bench" => "indir(1), indir(7), indir-update(1), ld.so(8), perf(1)",
        "indir-show" => "indir(1), indir(7), indir-diff(1), indir-files(1), indir-why(1), ldd(1)",
        "indir-diff" => "indir(1), indir(7), indir-show(1), indir-update(1), diff(1)",
        "indir-status" | "indir-verify" => {
            "indir(1), indir(7), indir-update(1), indir-why(1), ldd(1)"
        }
        "indir-reach" => "indir(1), indir(7), indir-why(1), indir-update(1), needrestart(1)",
        "indir-seal" => "indir(1), indir(7), indir-ld(1), strip(1), chrpath(1)",
        _ => "indir(1), indir(7), indir-ld(1), indir-update(1)",
    }
}

/// A page that is written here as a whole.
pub(super) struct Page {
    /// Its file name.
    pub(super) file: &'static str,
    title: &'static str,
    number: &'static str,
    name: &'static str,
    sections: Vec<Section>,
}

/// The pages of what is no command of `indir`.
pub(super) fn others() -> Vec<Page> {
    vec![indir_ld(), indir_7()]
}

fn indir_ld() -> Page {
    let mut sections = vec![
        ("SYNOPSIS", vec![
            Code("cc -BPREFIX/libexec/indir …"),
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
pub(super) fn linker_help() -> String {
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

fn indir_7() -> Page {
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
                    Item("A program does not start", "indir-verify(1), indir-why(1)"),
                    Item("What does it run with", "indir-show(1), indir-files(1)"),
                    Item("How is the whole system", "indir-status(1)"),
                    Item("What did the last update change", "indir-diff(1)"),
                    Item("Which programs can an upgrade change", "indir-reach(1)"),
                    Item("Back to before the last update", "indir-update(1) --undo"),
                    Item("Without indir again", "indir-restore(1)"),
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

impl Page {
    /// In roff.
    pub(super) fn render(&self) -> Vec<u8> {
        let mut page = Roff::new();
        let version = concat!("indir ", env!("CARGO_PKG_VERSION"));
        page.control("TH", [self.title, self.number, "", version, "indir"]);
        page.control("SH", ["NAME"]).text([roman(self.name)]);
        add(&mut page, &self.sections);
        page.render().into_bytes()
    }
}

/// Adds `sections` to a page.
pub(super) fn add(page: &mut Roff, sections: &[Section]) {
    for (heading, lines) in sections {
        page.control("SH", [*heading]);
        for line in lines {
            match line {
                Text(text) => page.control("PP", []).text([roman(*text)]),
                Item(word, text) => page
                    .control("TP", [])
                    .text([bold(*word)])
                    .text([roman(*text)]),
                Code(text) => page
                    .control("nf", [])
                    .text([roman(*text)])
                    .control("fi", []),
            };
        }
    }
}
