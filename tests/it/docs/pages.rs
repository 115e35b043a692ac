//! Every command that README.md and docs/guide.md show is run, in a sandbox that is as the
//! pages say: indir at /opt/indir, a clone, no network.

use std::path::Path;
use std::process::Command;

use super::{TOP, read};
use crate::support::{Ran, Scratch, cache, glibc, indir, need, run};

/// The machine's own system, with other /opt, /srv and /home.
struct Reader {
    tree: Scratch,
}

impl Reader {
    fn new() -> Self {
        let tree = Scratch::new();
        run(indir()
            .args(["setup", "--prefix"])
            .arg(tree.join("opt/indir")))
        .success();
        // The tests are built for two machines, `make install` is for one.
        for entry in std::fs::read_dir(tree.join("opt/indir/lib/indir")).unwrap() {
            let entry = entry.unwrap();
            if entry.file_name().to_string_lossy().contains("aarch64") {
                std::fs::remove_file(entry.path()).unwrap();
            }
        }
        tree.dir("srv");
        tree.dir("home/me/indir/target");
        tree.dir("home/me/work");
        let clone = tree.join("home/me/indir");
        for name in ["tests", "docs", "nix"] {
            std::os::unix::fs::symlink(Path::new(TOP).join(name), clone.join(name)).unwrap();
        }
        let cache = std::fs::canonicalize(cache()).expect("`make test` makes it");
        std::os::unix::fs::symlink(cache, clone.join("target/cache")).unwrap();
        Self { tree }
    }

    /// As after the tour of the README.
    fn after_the_tour() -> Self {
        let reader = Self::new();
        reader.tree.dir("opt/glibc");
        for (name, release) in [("old", "2.36"), ("trixie", "2.41")] {
            run(Command::new("cp")
                .arg("-a")
                .arg(glibc(name).join("lib/x86_64-linux-gnu"))
                .arg(reader.tree.join("opt/glibc").join(release)))
            .success();
        }
        reader
    }

    /// What page.sh makes of `page`, run in `folder` of /home/me.
    fn follows(&self, page: &[&str], folder: &str, path: &str) -> Ran {
        let script = run(Command::new(Path::new(TOP).join("tests/scripts/page.sh"))
            .args(page)
            .current_dir(TOP));
        let script = self
            .tree
            .file("home/me/.page.sh", script.success().stdout());
        let mut command = Command::new(need("bwrap", "bubblewrap"));
        command.args(["--dev-bind", "/", "/"]);
        for name in ["opt", "srv", "home"] {
            command
                .arg("--bind")
                .arg(self.tree.join(name))
                .arg(format!("/{name}"));
        }
        command.args([
            "--unshare-net",
            "--unshare-pid",
            "--proc",
            "/proc",
            "--die-with-parent",
        ]);
        command.args(["--chdir", &format!("/home/me/{folder}"), "sh"]);
        command.arg(Path::new("/home/me").join(script.file_name().unwrap()));
        command.env_clear();
        let path = format!("{path}/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
        command
            .env("PATH", path)
            .env("HOME", "/home/me")
            .env("LANG", "C.UTF-8");
        let ran = run(&mut command);
        transcribe(page, &ran);
        ran
    }
}

/// Keeps what was seen, which `.ci/run` prints.
fn transcribe(page: &[&str], ran: &Ran) {
    if Path::new(page[0]).is_absolute() {
        return;
    }
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("pages");
    std::fs::create_dir_all(&folder).unwrap();
    let name: String = page
        .join(" ")
        .chars()
        .map(|c| if c.is_alphanumeric() { c } else { '-' })
        .collect();
    let text = format!("=== {}\n{}{}\n", page.join(" "), ran.stdout(), ran.stderr());
    std::fs::write(folder.join(name + ".log"), text).unwrap();
}

#[test]
fn the_tour_of_the_readme() {
    Reader::new().follows(&["README.md"], "indir", "").success();
}

/// A test for each section of the guide, and one that none is left out.
macro_rules! sections {
    ($($name:ident: $heading:literal,)*) => {
        mod guide {
            $(
                #[test]
                fn $name() {
                    super::Reader::after_the_tour()
                        .follows(&["docs/guide.md", $heading], "work", "/opt/indir/bin:")
                        .success();
                }
            )*
        }

        #[test]
        fn every_section_of_the_guide_is_run() {
            let guide = read("docs/guide.md");
            let headings: Vec<&str> = guide.lines().filter_map(|l| l.strip_prefix("## ")).collect();
            assert_eq!(headings, [$($heading),*]);
        }
    };
}

sections! {
    install: "Install",
    package: "A package",
    prebuilt: "A folder of prebuilt programs",
    container: "A container",
    debian: "A Debian package",
    caches: "ccache, sccache, distcc",
    cmake: "CMake",
    bazel: "Bazel",
    libraries: "Upgrading libraries",
    upgrade: "Upgrading indir",
    moved: "Moving the prefix",
    uninstalled: "Uninstalling",
    troubles: "Troubleshooting",
    costs: "What a start costs",
    licence: "The licence of stubs",
}

/// Every block of commands is run here or by walk.sh.
#[test]
fn what_is_not_run_here_the_walk_runs() {
    let mut seen = 0;
    for page in ["README.md", "docs/guide.md"] {
        for line in read(page).lines() {
            let Some(why) = line.strip_prefix("<!-- not run: ") else {
                continue;
            };
            seen += 1;
            // `make demo` and `make test` themselves, which the tests belong to.
            let is_run = why.starts_with("walk: ") || why.starts_with("the tests are one of them");
            assert!(is_run, "{page}: {line}");
        }
    }
    assert!(seen > 5, "only {seen} comments were seen");
}

#[test]
fn a_page_that_says_something_else_is_found() {
    let reader = Reader::new();
    let page = |name: &str, text: &str| {
        let path = reader.tree.file(name, text);
        let path = path.to_str().unwrap().to_owned();
        reader.follows(&[&path], "work", "")
    };
    let same = "```console\n$ echo 0123456789abcdef; seq 9\nfedcba9876543210\n1\n...\n9\n```\n";
    page("same.md", same).success();
    for (name, block, why) in [
        ("output.md", "$ echo is\nwas\n", "-was\n+is\n"),
        ("silent.md", "$ echo is\n", "+is\n"),
        ("more.md", "$ seq 2\n1\n", "+2\n"),
        ("code.md", "$ false\n", "code.md:4"),
        ("nothing.md", "$ true\nis\n", "-is\n"),
    ] {
        let text = format!("\n```console\n{block}```\n");
        page(name, &text).exits(1).err_has(why);
    }
    for text in [
        "```sh\nfalse\n```\n",
        "<!-- file: no/where -->\n```c\n```\n",
    ] {
        page("sh.md", text).err_has("failed at");
    }
    // A block that is not run has to say why.
    let unmarked = reader.tree.file("unmarked.md", "\n```\nmake\n```\n");
    run(Command::new(Path::new(TOP).join("tests/scripts/page.sh")).arg(&unmarked))
        .exits(1)
        .err_has("unmarked.md:2: a block that is not run");
}
