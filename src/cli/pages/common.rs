//! What stands in every page: exit status, environment, files.

use super::roff::Line::Item;
use super::roff::Section;

/// Every variable that some part of indir obeys.
pub(super) const ENVIRONMENT: &[(&str, &str)] = &[
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
        "If not empty, nothing is coloured. Neither is it where standard output is no terminal, or TERM is `dumb`. `--color` goes before both.",
    ),
    (
        "TMPDIR",
        "Where `bench` puts the copies that it runs, and a dry run of `adopt` a file without a name; else /tmp.",
    ),
];

/// The same for the pages.
pub(super) fn environment() -> Section {
    let items = ENVIRONMENT.iter().map(|&(name, what)| Item(name, what));
    ("ENVIRONMENT", items.collect())
}

/// What a command that nothing more is known of ends with.
pub(super) fn exit_status() -> Section {
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
pub(super) fn files() -> Section {
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
            "NAME.reach",
            "Beside a library that was linked with --indir-reach: its symbols, for `indir reach`.",
        ),
        Item(
            "PREFIX/lib/indir/ld-indir-x86-64.so.1, ld-indir-aarch64.so.1",
            "The shim of each machine: the interpreter of indirect programs.",
        ),
        Item(
            "PREFIX/lib/indir/libindir-bind.so, libindir-bind-aarch64.so",
            "The binder of bound programs.",
        ),
        Item(
            "PREFIX/libexec/indir/",
            "`ld` and its other names, for `cc -B`.",
        ),
    ];
    ("FILES", items)
}
