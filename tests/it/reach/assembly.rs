//! What compilers do not write, and people do.

use std::path::{Path, PathBuf};

use super::support::{program, reach};
use crate::support::{Scratch, cc};

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn library(dir: &Scratch, name: &str, source: &str) -> PathBuf {
    let end = ".section .note.GNU-stack,\"\",@progbits\n";
    let file = dir.file(format!("{name}/f.s"), format!("{source}{end}"));
    let out = dir.join(format!("{name}/libf.so.1"));
    let soname = "-Wl,-soname,libf.so.1";
    cc(["-shared", soname, "-o", text(&out), text(&file)]);
    out
}

/// Whether a program that calls `f` is affected.
fn is_affected(before: &str, after: &str) -> bool {
    let dir = Scratch::new();
    let (old, new) = (library(&dir, "old", before), library(&dir, "new", after));
    let user = program(&dir, &old, "f");
    let ran = reach(&old, &new, &[user], &[]);
    let out = ran.stdout();
    assert!(!out.contains("unknown  /"), "{ran}");
    out.starts_with("affected")
}

const FUNCTION: &str = ".text\n.globl f\n.type f,@function\nf:\n";

#[test]
fn bits_that_a_register_counts_may_lie_anywhere() {
    let source = |last: u32| {
        format!(
            "{FUNCTION} bt %rdi, bits(%rip)\n setc %al\n ret\n.size f, .-f\n\
             .section .rodata\n.type bits,@object\nbits: .quad 1, 2, {last}\n.size bits, .-bits\n"
        )
    };
    assert!(is_affected(&source(3), &source(4)));
    assert!(!is_affected(&source(3), &source(3)));
}

#[test]
fn code_without_a_frame_runs_on_behind_a_call() {
    // `other` jumps into the middle of `f`, which is cut there.
    let source = |value: u32| {
        format!(
            "{FUNCTION} call g\n.Linside: mov ${value}, %eax\n ret\n.size f, .-f\n\
             .type g,@function\ng: ret\n.size g, .-g\n\
             .globl other\n.type other,@function\nother: jmp .Linside\n.size other, .-other\n"
        )
    };
    assert!(is_affected(&source(3), &source(4)));
    assert!(!is_affected(&source(3), &source(3)));
}

#[test]
fn data_between_functions_is_one_thing() {
    let source = |last: u32| {
        format!(
            "{FUNCTION} lea .Ltable(%rip), %rax\n mov 12(%rax), %eax\n ret\n.size f, .-f\n\
             .balign 16\n.Ltable: .long 0x60000001, 0x60000002\n\
             .Linner: .long 0x60000003, {last}\n\
             .globl other\n.type other,@function\nother: lea .Linner(%rip), %rax\n ret\n.size other, .-other\n"
        )
    };
    assert!(is_affected(&source(0x6000_0004), &source(0x6000_0005)));
    assert!(!is_affected(&source(0x6000_0004), &source(0x6000_0004)));
}
