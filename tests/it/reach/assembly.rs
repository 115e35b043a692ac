//! What compilers do not write, and people do.

use std::path::PathBuf;

use super::support::{program, reach, text};
use crate::support::{Scratch, cc};

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

/// Two functions that differ, and whatever is between them and `f`.
const TWO: &str = ".type one,@function\none: mov $1, %eax\n ret\n.size one, .-one\n\
    .type two,@function\ntwo: mov $2, %eax\n ret\n.size two, .-two\n";

#[test]
fn a_wide_read_takes_more_than_one_pointer() {
    let source = |second: &str| {
        format!(
            "{FUNCTION} movdqa pair(%rip), %xmm0\n movq %xmm0, %rax\n ret\n.size f, .-f\n{TWO}\
             .section .data.rel.ro,\"aw\"\n.balign 16\n.type pair,@object\n\
             pair: .quad one, {second}\n.size pair, .-pair\n"
        )
    };
    assert!(is_affected(&source("one"), &source("two")));
    assert!(!is_affected(&source("two"), &source("two")));
}

#[test]
fn thread_local_variables_that_a_library_keeps_for_itself_are_told_apart() {
    let source = |variable: &str| {
        format!(
            "{FUNCTION} sub $8, %rsp\n .byte 0x66\n leaq {variable}@tlsgd(%rip), %rdi\n\
              .value 0x6666\n rex64\n call __tls_get_addr@PLT\n mov (%rax), %eax\n\
              add $8, %rsp\n ret\n.size f, .-f\n{TWO}\
             .section .tbss,\"awT\",@nobits\n.balign 4\n.type a,@object\na: .zero 4\n.size a, 4\n\
             .type b,@object\nb: .zero 4\n.size b, 4\n"
        )
    };
    assert!(is_affected(&source("a"), &source("b")));
    assert!(!is_affected(&source("b"), &source("b")));
}

#[test]
fn code_without_a_frame_falls_into_what_is_behind() {
    let source = |value: u32| {
        format!(
            "{FUNCTION} lea table(%rip), %rcx\n movslq (%rcx,%rdi,4), %rax\n add %rcx, %rax\n\
              jmp *%rax\n.size f, .-f\n\
             w8: mov ${value}, %eax\nw8_loop: add helper(%rip), %eax\n ret\n{TWO}\
             .section .rodata\n.balign 4\n.type table,@object\n\
             table: .long w8-table, w8_loop-table\n.size table, .-table\n\
             .type helper,@object\nhelper: .long 5\n.size helper, .-helper\n"
        )
    };
    assert!(is_affected(&source(3), &source(4)));
    assert!(!is_affected(&source(3), &source(3)));
}

#[test]
fn constants_without_a_size_are_read_beyond_an_address_inside() {
    let source = |last: u32| {
        format!(
            "{FUNCTION} lea keys(%rip), %r10\n mov 68(%r10), %eax\n ret\n.size f, .-f\n\
             .globl other\n.type other,@function\nother: lea keys+64(%rip), %rax\n ret\n\
             .size other, .-other\n{TWO}\
             .section .rodata\n.balign 4\nkeys: .fill 17, 4, 7\n.long {last}\n"
        )
    };
    assert!(is_affected(&source(3), &source(4)));
    assert!(!is_affected(&source(3), &source(3)));
}

#[test]
fn tables_of_distances_to_texts_lead_there() {
    let source = |second: &str| {
        format!(
            "{FUNCTION} lea .Ltexts(%rip), %rcx\n movslq (%rcx,%rdi,4), %rax\n add %rcx, %rax\n\
              ret\n.size f, .-f\n\
             .globl other\n.type other,@function\nother: mov mid(%rip), %rax\n ret\n\
             .size other, .-other\n{TWO}\
             .section .rodata\n.balign 4\n.Ltexts: .long .L1-.Ltexts, .L2-.Ltexts\n\
             .type mid,@object\nmid: .quad 0\n.size mid, 8\n\
             .L1: .asciz \"zero\"\n.L2: .asciz \"{second}\"\n"
        )
    };
    assert!(is_affected(&source("more"), &source("mora")));
    assert!(!is_affected(&source("more"), &source("more")));
}

#[test]
fn what_runs_at_the_start_and_at_the_end_is_told_apart() {
    let source = |begins: &str, ends: &str| {
        format!(
            "{FUNCTION} ret\n.size f, .-f\n{TWO}\
             .section .init_array,\"aw\"\n.quad {begins}\n.section .fini_array,\"aw\"\n.quad {ends}\n"
        )
    };
    assert!(is_affected(
        &source("one, two", "one"),
        &source("one", "two, one")
    ));
    assert!(!is_affected(&source("one", "two"), &source("one", "two")));
}

#[test]
fn a_name_that_is_looked_up_may_have_several_versions() {
    let dir = Scratch::new();
    let library = |name: &str, value: u32| {
        let source = format!(
            "int f(void) {{ return 0; }}\nstatic int helper(void) {{ return 0; }}\n\
             int before(void) {{ return helper(); }}\nint after(void) {{ return {value}; }}\n\
             __asm__(\".symver before,g@V_1\\n.symver after,g@@V_2\");\n"
        );
        let file = dir.file(format!("{name}/f.c"), source);
        let script = dir.file(format!("{name}/map"), "V_1 { };\nV_2 { global: f; } V_1;\n");
        let out = dir.join(format!("{name}/libf.so.1"));
        let script = format!("-Wl,--version-script={}", text(&script));
        let soname = "-Wl,-soname,libf.so.1";
        cc([
            "-O1",
            "-shared",
            "-fPIC",
            &script,
            soname,
            "-o",
            text(&out),
            text(&file),
        ]);
        out
    };
    let (old, new) = (library("old", 1), library("new", 2));
    let source = "#define _GNU_SOURCE\n#include <dlfcn.h>\nint f(void);\n\
         int main(void) { return f() + (dlsym(RTLD_DEFAULT, \"g\") != 0); }\n";
    let file = dir.file("bin/user.c", source);
    let user = file.with_extension("");
    cc(["-O1", "-o", text(&user), text(&file), text(&old)]);
    reach(&old, &new, std::slice::from_ref(&user), &[]).out_has("affected  ");
    reach(&old, &old, &[user], &[]).out_has("same  ");
}
