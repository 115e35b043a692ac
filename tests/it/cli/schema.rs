//! What commands print with `--json`, against the schemas of docs/schema.
//!
//! The schemas use a few words of JSON Schema, and so the check here knows no others: a
//! word that it does not know fails.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

use crate::support::program::{indirect, ordinary, shared};
use crate::support::{Scratch, glibc_lib, indir, run, shim, system_lib};

const SOURCE: &str = "#include <stdio.h>\nint main(void) { puts(\"x\"); }";

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn schema(name: &str) -> Value {
    let path = format!("{}/docs/schema/{name}.json", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    serde_json::from_str(&text).unwrap()
}

/// What of `value` does not fit `schema`; `at` says where it is.
fn check(schema: &Value, value: &Value, at: &str) -> Result<(), String> {
    let fail = |why: String| Err(format!("{at}: {why}: {value}"));
    for (word, rule) in schema.as_object().unwrap() {
        match word.as_str() {
            "$schema" | "title" | "description" => {}
            "const" if rule == value => {}
            "enum" if rule.as_array().unwrap().contains(value) => {}
            "const" | "enum" => return fail(format!("is not {rule}")),
            "anyOf" => {
                let any = rule.as_array().unwrap().iter();
                let faults: Vec<_> = any.map(|rule| check(rule, value, at)).collect();
                if faults.iter().all(Result::is_err) {
                    return fail(format!("{faults:?}"));
                }
            }
            "type" => {
                let is = |name: &Value| match name.as_str().unwrap() {
                    "null" => value.is_null(),
                    "string" => value.is_string(),
                    "boolean" => value.is_boolean(),
                    "integer" => value.is_i64() || value.is_u64(),
                    "number" => value.is_number(),
                    "array" => value.is_array(),
                    "object" => value.is_object(),
                    other => panic!("unknown type {other}"),
                };
                let fits = match rule {
                    Value::Array(names) => names.iter().any(is),
                    name => is(name),
                };
                if !fits {
                    return fail(format!("is no {rule}"));
                }
            }
            "items" => {
                for (index, item) in value.as_array().into_iter().flatten().enumerate() {
                    check(rule, item, &format!("{at}[{index}]"))?;
                }
            }
            "properties" => {
                for (name, value) in value.as_object().into_iter().flatten() {
                    if let Some(rule) = rule.get(name) {
                        check(rule, value, &format!("{at}.{name}"))?;
                    }
                }
            }
            "required" => {
                for name in rule.as_array().unwrap() {
                    let has = value.get(name.as_str().unwrap()).is_some();
                    if value.is_object() && !has {
                        return fail(format!("has no {name}"));
                    }
                }
            }
            "additionalProperties" => {
                assert_eq!(rule, &Value::Bool(false));
                for name in value
                    .as_object()
                    .into_iter()
                    .flat_map(|object| object.keys())
                {
                    if schema["properties"].get(name).is_none() {
                        return fail(format!("the schema does not have `{name}`"));
                    }
                }
            }
            other => panic!("unknown word {other}"),
        }
    }
    Ok(())
}

#[test]
fn the_check_finds_what_does_not_fit() {
    let schema = schema("files");
    let good = serde_json::json!({
        "version": 1, "path": "/p", "files": [{ "kind": "shim", "path": "/s" }],
    });
    check(&schema, &good, "").unwrap();
    for (pointer, bad) in [
        ("/version", Value::from(2)),
        ("/path", Value::Null),
        ("/files/0/kind", Value::from("other")),
        ("/files", Value::from("x")),
        ("/files/0", serde_json::json!({ "kind": "shim" })),
        (
            "/files/0",
            serde_json::json!({ "kind": "shim", "path": "/", "more": 1 }),
        ),
    ] {
        let mut value = good.clone();
        *value.pointer_mut(pointer).unwrap() = bad;
        assert!(check(&schema, &value, "").is_err(), "{value}");
    }
}

/// Two builds of a library, an affected program, and one of which nothing is known.
fn changed_library(dir: &Scratch) -> (String, String, String, String) {
    let build = |name: &str, value: u32| {
        let source =
            format!("static int g(void) {{ return {value}; }}\nint f(void) {{ return g(); }}\n");
        let file = dir.join(format!("{name}/f.c"));
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        text(&shared(&file, &source, &["-Wl,-soname,libf.so.1"])).to_owned()
    };
    let (old, new) = (build("reach-1", 1), build("reach-2", 2));
    let f = "int f(void);\nint main(void) { return f(); }\n";
    let affected = ordinary(&dir.join("affected.c"), f, &[&old]);
    let opens = "int f(void);\nvoid *dlopen(const char *, int);\n\
        int main(int c, char **v) { return dlopen(v[1], 1) != 0; }\n";
    let unknown = ordinary(&dir.join("opens.c"), opens, &["-Wl,--no-as-needed", &old]);
    let (affected, unknown) = (text(&affected).to_owned(), text(&unknown).to_owned());
    (old, new, affected, unknown)
}

#[test]
fn every_document_is_as_its_schema_says() {
    let dir = Scratch::new();
    let (old, new) = (glibc_lib("old"), glibc_lib("trixie"));
    let exe = indirect(&dir.join("bin/p.c"), SOURCE, &[]);
    let bound = indirect(&dir.join("bin/b.c"), &SOURCE.replace('x', "y"), &[]);
    let bare = indirect(&dir.join("bare.c"), SOURCE, &[]);
    let plain = ordinary(&dir.join("plain.c"), SOURCE, &[]);
    let bin = dir.join("bin");
    let shim = shim();
    let libc = |lib: &Path| text(&lib.join("libc.so.6")).to_owned();
    let (old_libc, new_libc) = (libc(&old), libc(&new));
    let system = libc(&system_lib());
    let needs_new = "#include <stdio.h>\nint main(void) { return stdout == 0; }";
    let refused = indirect(&dir.join("r.c"), needs_new, &[]);
    run(indir().args([
        "update",
        "--plan",
        "bound",
        text(&bound),
        "--lib-dir",
        text(&old),
    ]))
    .success();
    let (exe, plain, bare, refused) = (text(&exe), text(&plain), text(&bare), text(&refused));
    let words = dir.join("words");
    dir.file(
        "source/a.c",
        "#include <lib.h>\nint f(void) { return lib_new(); }\n",
    );
    run(indir()
        .arg("words")
        .arg(dir.join("source"))
        .arg("-o")
        .arg(&words))
    .success();
    dir.file("tree-1/include/lib.h", "int lib(void);\n");
    dir.file(
        "tree-2/include/lib.h",
        "int lib(void);\nint lib_new(void);\n",
    );
    let (tree_1, tree_2) = (dir.join("tree-1"), dir.join("tree-2"));
    let many = changed_library(&dir);
    let cases: &[(&str, &[&str])] = &[
        ("update", &["update", "--dry-run", "--prune", exe]),
        ("update", &["update", exe, bare, "--lib-dir", text(&old)]),
        ("update", &["update", exe, "/nowhere", plain]),
        (
            "update",
            &["update", refused, "--scan-plugins", "--replace", "/a=/b"],
        ),
        (
            "update",
            &["update", exe, "--lib-dir", text(&new), "--plan", "bound"],
        ),
        (
            "update",
            &["update", exe, "--lib-dir", text(&old), "--reach"],
        ),
        ("show", &["show", exe]),
        ("diff", &["diff", exe, text(&bound)]),
        ("diff", &["diff", exe, exe]),
        (
            "update-undo",
            &["update", "--undo", "--dry-run", text(&bin), plain],
        ),
        ("update-undo", &["update", "--undo", text(&bin)]),
        ("show", &["show", text(&bound)]),
        ("status", &["status", text(dir.path())]),
        ("verify", &["verify", text(dir.path()), plain]),
        ("why", &["why", exe, "puts"]),
        ("why", &["why", exe, "puts", "--lib-dir", text(&new)]),
        ("reach", &["reach", &old_libc, &old_libc, exe, "/nowhere"]),
        (
            "reach",
            &["reach", &many.0, &many.1, &many.2, &many.3, "--cosmetic"],
        ),
        ("files", &["files", text(&bound)]),
        (
            "adopt",
            &[
                "adopt",
                "--in-place",
                "--dry-run",
                "--indir-shim",
                text(&shim),
                text(dir.path()),
                "/nowhere",
            ],
        ),
        (
            "adopt",
            &["adopt", "--in-place", "--indir-shim", text(&shim), plain],
        ),
        ("bench", &["bench", "--runs", "2", plain]),
        ("abi-diff", &["abi", "diff", &old_libc, &new_libc]),
        ("abi-diff", &["abi", "diff", &system, &system]),
        (
            "stand-in",
            &[
                "stand-in",
                text(&tree_1),
                text(&tree_2),
                "--words",
                text(&words),
            ],
        ),
        (
            "stand-in",
            &[
                "stand-in",
                text(&tree_2),
                text(&tree_2),
                "--words",
                text(&words),
            ],
        ),
    ];
    let mut seen = BTreeSet::new();
    for (name, args) in cases {
        seen.insert(format!("{name}.json"));
        let args = args.iter().copied();
        // What follows the program of bench belongs to that.
        let args: Vec<&str> = match *name {
            "abi-diff" => args
                .clone()
                .take(2)
                .chain(["--json"])
                .chain(args.skip(2))
                .collect(),
            _ => args
                .clone()
                .take(1)
                .chain(["--json"])
                .chain(args.skip(1))
                .collect(),
        };
        let ran = run(indir().args(&args));
        let document: Value =
            serde_json::from_str(&ran.stdout()).unwrap_or_else(|e| panic!("{e}: {ran}"));
        check(&schema(name), &document, "").unwrap_or_else(|why| panic!("{name}: {why}\n{ran}"));
        if args.contains(&"--reach") {
            check(&schema("reach"), &document["reach"], "").unwrap_or_else(|why| panic!("{why}"));
        }
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/schema");
    let files = std::fs::read_dir(folder).unwrap();
    let files: BTreeSet<String> = files
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(
        seen, files,
        "a schema without a document, or the other way round"
    );
}
