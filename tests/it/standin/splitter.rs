//! What of real headers makes cutting them hard, each with a change beside what is used.

use super::support::decides;

/// The header with and without `int lib_fresh(void);` at the end; the consumer uses what
/// is `used`, and then what is fresh.
fn beside(header: &str, used: &str) {
    let new = format!("{header}\nint lib_fresh(void);\n");
    let consumer = |body: &str| format!("#include <lib.h>\n{body}\n");
    decides(header, &new, &consumer(used), &[]);
    decides(
        header,
        &new,
        &consumer("int (*f)(void) = lib_fresh;"),
        &["declaration"],
    );
}

/// A change inside of `header` that the consumer must see.
fn seen(header: &str, from: &str, to: &str, consumer: &str, kind: &str) {
    assert!(header.contains(from));
    let consumer = format!("#include <lib.h>\n{consumer}\n");
    decides(header, &header.replacen(from, to, 1), &consumer, &[kind]);
}

/// A change inside of `header` that the consumer does not see.
fn unseen(header: &str, from: &str, to: &str, consumer: &str) {
    assert!(header.contains(from));
    let consumer = format!("#include <lib.h>\n{consumer}\n");
    decides(header, &header.replacen(from, to, 1), &consumer, &[]);
}

#[test]
fn a_type_that_depends_on_a_group() {
    let header = "extern\n#ifdef LIB_LONG\nlong\n#else\nint\n#endif\nlib_count(void);\nint lib_next(void);\n";
    beside(header, "int a(void) { return lib_next(); }");
    seen(
        header,
        "long",
        "short",
        "int a(void) { return lib_count(); }",
        "declaration",
    );
    unseen(
        header,
        "long",
        "short",
        "int a(void) { return lib_next(); }",
    );
}

#[test]
fn a_body_that_ends_in_a_group() {
    let header = "static inline int lib_a(int v) {\n#ifdef X\n  return v; }\n#else\n  return 2; }\n#endif\nint lib_b(void);\n";
    beside(header, "int a(void) { return lib_b(); }");
    seen(
        header,
        "return 2",
        "return 3",
        "int a(void) { return lib_a(1); }",
        "declaration",
    );
    unseen(
        header,
        "return 2",
        "return 3",
        "int a(void) { return lib_b(); }",
    );
}

#[test]
fn attributes_after_a_declaration_in_a_group() {
    let header = "int lib_a(void)\n#if defined __GNUC__\n  __attribute__((pure))\n#endif\n;\nint lib_b(void);\n";
    seen(
        header,
        "pure",
        "const",
        "int a(void) { return lib_a(); }",
        "declaration",
    );
    unseen(header, "pure", "const", "int a(void) { return lib_b(); }");
}

#[test]
fn macros_around_declarations() {
    let header = "#ifdef __cplusplus\n#define LIB_BEGIN extern \"C\" {\n#define LIB_END }\n#else\n#define LIB_BEGIN\n#define LIB_END\n#endif\n#define LIB_API __attribute__((visibility(\"default\")))\nLIB_BEGIN\nLIB_API int lib_a(void);\nLIB_API int lib_b(void);\nLIB_END\n";
    seen(
        header,
        "int lib_a",
        "long lib_a",
        "int a(void) { return lib_a(); }",
        "declaration",
    );
    unseen(
        header,
        "int lib_a",
        "long lib_a",
        "int a(void) { return lib_b(); }",
    );
    seen(
        header,
        "default",
        "protected",
        "int a(void) { return lib_b(); }",
        "macro",
    );
    // What stands around them counts for everybody.
    seen(
        header,
        "#define LIB_END\n",
        "#define LIB_END extern int lib_more;\n",
        "int a(void) { return lib_b(); }",
        "macro",
    );
}

#[test]
fn declarations_made_by_macros() {
    let header = "#define LIB_EXPORT(n, type, name, args) extern type name args\nLIB_EXPORT(1, int, lib_a, (int v));\nLIB_EXPORT(2, int, lib_b, (int v));\n#define LIB_TYPE(T) typedef struct T##_ T; T *T##_new(void);\nLIB_TYPE(lib_x)\nLIB_TYPE(lib_y)\n";
    unseen(
        header,
        "lib_a, (int v)",
        "lib_a, (long v)",
        "int a(void) { return lib_b(1); }",
    );
    seen(
        header,
        "lib_a, (int v)",
        "lib_a, (long v)",
        "int a(void) { return lib_a(1); }",
        "declaration",
    );
    unseen(
        header,
        "LIB_TYPE(lib_y)",
        "LIB_TYPE(lib_z)",
        "lib_x *a(void) { return lib_x_new(); }",
    );
    seen(
        header,
        "LIB_TYPE(lib_y)",
        "LIB_TYPE(lib_z)",
        "void *a(void) { return lib_y_new(); }",
        "declaration",
    );
}

#[test]
fn a_name_pasted_from_what_is_reached() {
    let header = "#define lib_auto(T) __attribute__((cleanup(lib_auto_cleanup_##T))) T *\ntypedef struct f lib_file;\nstatic inline void lib_auto_cleanup_lib_file(lib_file **f) { (void) f; }\ntypedef struct g lib_other;\nstatic inline void lib_auto_cleanup_lib_other(lib_other **f) { (void) f; }\n";
    let consumer = "void a(void) { lib_auto(lib_file) f = 0; }";
    seen(
        header,
        "lib_file **f) { (void) f;",
        "lib_file **f) { *f = 0;",
        consumer,
        "declaration",
    );
    unseen(
        header,
        "lib_other **f) { (void) f;",
        "lib_other **f) { *f = 0;",
        consumer,
    );
}

#[test]
fn renaming_macros() {
    let header = "int lib_open64(const char *);\n#define lib_open lib_open64\nint lib_stat(void);\n#define lib_stat(x) lib_stat_impl(x)\nint lib_stat_impl(int);\n";
    seen(
        header,
        "int lib_open64(const",
        "long lib_open64(const",
        "int a(void) { return lib_open(\"\"); }",
        "declaration",
    );
    seen(
        header,
        "lib_stat_impl(int)",
        "lib_stat_impl(long)",
        "int a(void) { return lib_stat(1); }",
        "declaration",
    );
}

#[test]
fn a_parameter_that_is_a_macro() {
    let header = "#define flexible 1\nstruct lib_a { int count; int data[flexible]; };\nint lib_f(int flexible_or_not);\nint lib_g(int shared);\n";
    seen(
        header,
        "flexible 1",
        "flexible 0",
        "struct lib_a *a;",
        "macro",
    );
    // A new macro of the name of a parameter.
    let new = format!("#define shared volatile_int\n{header}");
    decides(
        header,
        &new,
        "#include <lib.h>\nint a(void) { return lib_g(1); }\n",
        &["macro"],
    );
    decides(header, &new, "#include <lib.h>\nstruct lib_a *a;\n", &[]);
}

#[test]
fn enumerators_made_by_a_macro() {
    let header = "#define LIB_BASE 1000\n#define OPT(name, type, number) name = type + number\ntypedef enum {\n  OPT(LIB_A, LIB_BASE, 1),\n  OPT(LIB_B, LIB_BASE, 2),\n  LIB_OPT_LAST\n} lib_option;\nint lib_set(lib_option option, ...);\n";
    unseen(
        header,
        "2),",
        "2),\n  OPT(LIB_C, LIB_BASE, 3),",
        "int a(void) { return lib_set(LIB_A); }",
    );
    seen(
        header,
        "2),",
        "2),\n  OPT(LIB_C, LIB_BASE, 3),",
        "int a(void) { return lib_set(LIB_C); }",
        "enumerator",
    );
    seen(
        header,
        "2),",
        "2),\n  OPT(LIB_C, LIB_BASE, 3),",
        "int a = LIB_OPT_LAST;",
        "enumerator",
    );
    seen(
        header,
        "LIB_BASE 1000",
        "LIB_BASE 2000",
        "int a = LIB_A;",
        "macro",
    );
}

#[test]
fn an_enum_without_a_name_and_names_of_its_own() {
    let header = "enum {\n  LIB_X,\n#define LIB_X LIB_X\n  LIB_Y\n#define LIB_Y LIB_Y\n};\n";
    unseen(
        header,
        "  LIB_Y\n#define LIB_Y LIB_Y",
        "  LIB_Y,\n#define LIB_Y LIB_Y\n  LIB_Z\n#define LIB_Z LIB_Z",
        "int a = LIB_X;",
    );
}

#[test]
fn another_order_is_another_header() {
    let header = "#define LIB_A 1\n#undef LIB_A\n#define LIB_A 2\nint lib_b(void);\n";
    seen(
        header,
        "#define LIB_A 1\n#undef LIB_A\n#define LIB_A 2",
        "#define LIB_A 2\n#undef LIB_A\n#define LIB_A 1",
        "int a = LIB_A;",
        "macro",
    );
    unseen(
        header,
        "#define LIB_A 1\n#undef LIB_A\n#define LIB_A 2",
        "#define LIB_A 2\n#undef LIB_A\n#define LIB_A 1",
        "int a(void) { return lib_b(); }",
    );
}

#[test]
fn a_chain_that_got_another_branch() {
    let header = "#if defined LIB_ONE\nint lib_a(int);\n#elif defined LIB_TWO\nint lib_a(long);\n#else\nint lib_a(void);\nint lib_b(void);\n#endif\nint lib_c(void);\n";
    unseen(
        header,
        "#elif defined LIB_TWO",
        "#elif defined LIB_ANY\nint lib_z;\n#elif defined LIB_TWO",
        "int a(void) { return lib_c(); }",
    );
    seen(
        header,
        "#elif defined LIB_TWO",
        "#elif defined LIB_ANY\nint lib_z;\n#elif defined LIB_TWO",
        "int a(void) { return lib_b(); }",
        "declaration",
    );
}

#[test]
fn versions_by_functions_and_parts() {
    let header = "#define LIB_MAJOR 2\n#define LIB_MINOR 74\n#define LIB_CHECK(major, minor) (LIB_MAJOR > (major) || (LIB_MAJOR == (major) && LIB_MINOR >= (minor)))\nint lib_a(void);\n";
    let at = |minor: u32| {
        format!("#if LIB_CHECK(2, {minor})\nint a(void) {{ return lib_a(); }}\n#endif")
    };
    unseen(header, "MINOR 74", "MINOR 76", &at(70));
    unseen(header, "MINOR 74", "MINOR 76", &at(78));
    seen(header, "MINOR 74", "MINOR 76", &at(75), "macro");
    seen(header, "MINOR 74", "MINOR 76", &at(76), "macro");
    seen(
        header,
        "MINOR 74",
        "MINOR 76",
        "int a(void) { return LIB_CHECK(2, 70); }",
        "macro",
    );
    // Not only where it is compared.
    seen(
        header,
        "MINOR 74",
        "MINOR 75",
        "#if LIB_MINOR % 2\nint a;\n#endif",
        "macro",
    );
    unseen(
        header,
        "MINOR 74",
        "MINOR 76",
        "#if LIB_MINOR % 2\nint a;\n#endif",
    );
}

#[test]
fn a_version_that_the_header_asks_for() {
    let header = "#define LIB_VERSION 5\n#if LIB_VERSION >= 6\n#define LIB_SIX 1\nint lib_six(void);\n#endif\nint lib_a(void);\n";
    seen(
        header,
        "VERSION 5",
        "VERSION 6",
        "#ifdef LIB_SIX\nint a(void) { return lib_six(); }\n#endif",
        "macro",
    );
    unseen(
        header,
        "VERSION 5",
        "VERSION 6",
        "int a(void) { return lib_a(); }",
    );
}

#[test]
fn what_a_consumer_may_define_itself() {
    let header = "#define LIB_CURRENT 10\n#ifndef LIB_MAX\n#define LIB_MAX LIB_CURRENT\n#endif\n#if LIB_MAX >= 8\nint lib_eight(void);\n#endif\n";
    unseen(
        header,
        "CURRENT 10",
        "CURRENT 12",
        "int a(void) { return lib_eight(); }",
    );
    // A definition looks like a use.
    seen(
        header,
        "CURRENT 10",
        "CURRENT 12",
        "#define LIB_MAX 8\n#include <lib.h>\nint a(void) { return lib_eight(); }",
        "macro",
    );
    seen(
        header,
        "CURRENT 10",
        "CURRENT 12",
        "#define LIB_MAX (LIB_CURRENT - 2)\n#include <lib.h>\nint a(void) { return lib_eight(); }",
        "macro",
    );
}

#[test]
fn a_version_behind_a_macro_of_several_definitions() {
    let header = "#define LIB_CURRENT 10\n#ifdef LIB_OLD\n#define LIB_V 3\n#else\n#define LIB_V LIB_CURRENT\n#endif\nint lib_a(void);\n";
    let consumer = "#if LIB_V >= 11\nint a;\n#endif";
    seen(header, "CURRENT 10", "CURRENT 12", consumer, "macro");
    // More of them than are told apart.
    let mut header = "#define LIB_CURRENT 10\n#if LIB_0\n#define LIB_V 0\n".to_owned();
    for at in 1..10 {
        header.push_str(&format!("#elif LIB_{at}\n#define LIB_V {at}\n"));
    }
    header.push_str("#else\n#define LIB_V LIB_CURRENT\n#endif\n");
    seen(&header, "CURRENT 10", "CURRENT 12", consumer, "macro");
}

#[test]
fn a_macro_that_is_deep_in_others_and_alone() {
    let header = "#define D0 D1\n#define D1 D2\n#define D2 D3\n#define D3 D4\n#define D4 D5\n#define D5 D6\n#define D6 int lib_deep;\nint lib_a(void) D0;\nD4\nint lib_b(void);\n";
    unseen(
        header,
        "int lib_b",
        "long lib_b",
        "int *a(void) { return &lib_deep; }",
    );
    seen(
        header,
        "int lib_deep",
        "long lib_deep",
        "void *a(void) { return &lib_deep; }",
        "macro",
    );
}

#[test]
fn pragmas_by_operator_stand_alone() {
    let header = "int lib_a(void);\n_Pragma(\"GCC visibility push(default)\")\nint lib_b(void);\n";
    seen(
        header,
        "default",
        "hidden",
        "int a(void) { return lib_a(); }",
        "directive",
    );
    unseen(
        header,
        "int lib_b",
        "long lib_b",
        "int a(void) { return lib_a(); }",
    );
}

#[test]
fn lines_that_inline_functions_tell() {
    let header = "#define lib_check(x) lib_fail(#x, __LINE__)\nint lib_fail(const char *, int);\nint lib_a(void);\nstatic inline int lib_i(int v) { return lib_check(v); }\n";
    seen(
        header,
        "int lib_a",
        "int lib_fresh(void);\nint lib_a",
        "int a(void) { return lib_i(1); }",
        "declaration",
    );
    unseen(
        header,
        "int lib_a",
        "int lib_fresh(void);\nint lib_a",
        "int a(void) { return lib_check(1); }",
    );
}

#[test]
fn overloads_and_specialisations_of_cxx() {
    let header = "namespace lib {\nstruct thing { int a; };\nint size(const thing &);\ntemplate <class T> struct traits { };\n}\nnamespace lib {\nint other(int);\n}\n";
    seen(
        header,
        "int size(const thing &);",
        "int size(const thing &);\nint size(int);",
        "int a(lib::thing t) { return size(t); }",
        "declaration",
    );
    seen(
        header,
        "struct traits { };",
        "struct traits { };\ntemplate <> struct traits<thing> { int b; };",
        "lib::traits<lib::thing> a;",
        "declaration",
    );
    seen(
        header,
        "int size(const thing &);",
        "int size(const thing &);\nbool operator==(const thing &, const thing &);",
        "lib::thing a;",
        "declaration",
    );
    unseen(
        header,
        "int size(const thing &);",
        "int size(const thing &);\nint fresh(int);",
        "lib::thing a;",
    );
}
