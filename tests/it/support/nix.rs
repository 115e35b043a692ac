//! Real Nix in stores of the tests' own: the package set of nix/debian, built once
//! and handed to each test as a machine that has it already.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use super::nix_daemon::Daemon;
use super::{Ran, Scratch, need, run};

/// No daemon, no server, nothing of this machine's own Nix. The sandbox shows builds
/// Debian's tools, on which the package set is made. Stores that are thrown away need not
/// survive a power failure.
const CONF: &str = "\
build-users-group =
substituters =
experimental-features = nix-command ca-derivations flakes
require-sigs = false
fsync-metadata = false
sandbox = true
sandbox-paths = /bin /lib /lib64 /usr /etc/alternatives
max-jobs = 2
";

/// The project's folder.
fn top() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Downloads, shared between runs.
fn cache() -> PathBuf {
    match std::env::var_os("INDIR_CACHE") {
        Some(path) => path.into(),
        None => top().join("target/cache"),
    }
}

/// A machine: a Nix store below a folder.
pub(crate) struct Machine {
    root: PathBuf,
    daemon: Option<Daemon>,
    scratch: Option<Scratch>,
}

/// A derivation that was built.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Step {
    /// `compile`, `stubs`, `tables`, `runnable`, `check`; empty for anything else.
    pub(crate) kind: String,
    /// The package.
    pub(crate) name: String,
}

/// What `nix build` did.
pub(crate) struct Built {
    /// Exit status and all it printed.
    pub(crate) ran: Ran,
    /// What was built, sorted: one entry for each `building '…'` line.
    pub(crate) steps: Vec<Step>,
    /// Those of them that another machine built.
    pub(crate) sent: Vec<Step>,
}

impl Built {
    /// The packages of the steps of a kind.
    pub(crate) fn names(&self, kind: &str) -> Vec<&str> {
        names(&self.steps, kind)
    }

    /// The packages of the steps of a kind that another machine built.
    pub(crate) fn sent(&self, kind: &str) -> Vec<&str> {
        names(&self.sent, kind)
    }

    /// Panics unless the build failed.
    #[track_caller]
    pub(crate) fn fails(&self) -> &Ran {
        assert_ne!(self.ran.code(), Some(0), "{}", self.ran);
        &self.ran
    }

    /// Panics unless the build succeeded.
    #[track_caller]
    pub(crate) fn success(&self) -> &Self {
        self.ran.success();
        self
    }
}

/// `attr` of nix/debian, with more arguments.
fn expression(attr: &str, arguments: &str) -> String {
    format!(
        "let set = import {}/nix/debian {{ exe = {exe:?}; cache = {cache:?}; {arguments} }}; \
         in with set; {attr}",
        top().display(),
        exe = env!("CARGO_BIN_EXE_indir"),
        cache = cache().canonicalize().unwrap(),
    )
}

fn names<'s>(steps: &'s [Step], kind: &str) -> Vec<&'s str> {
    let steps = steps.iter().filter(|step| step.kind == kind);
    steps.map(|step| step.name.as_str()).collect()
}

impl Machine {
    /// A machine on which the package set has been built.
    pub(crate) fn new() -> Self {
        static SEED: OnceLock<PathBuf> = OnceLock::new();
        let seed = SEED.get_or_init(|| {
            need("nix", "nix-bin");
            let fetch = top().join("tests/scripts/nix-fetch.sh");
            run(Command::new(fetch).arg("slice")).success();
            // It stays from run to run: Nix itself knows what is out of date.
            let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join("nix-seed");
            let machine = Machine {
                root: root.clone(),
                daemon: None,
                scratch: None,
            };
            machine.configure();
            // All outputs of a package at once: Nix 2.8 forgets one that is wanted only
            // after the build of its siblings began (NixOS/nix#6383).
            machine.build("compiled", "").success();
            machine.build("system", "").success();
            let more = format!(
                "more = import {}/tests/it/fixtures/nix/more.nix;",
                top().display()
            );
            let outputs = "with current.packages; [ answer.out answer.dev asks.bin asks.out ]";
            machine.build(outputs, &more).success();
            root
        });
        let machine = Self::empty();
        std::fs::create_dir_all(machine.root.join("nix")).unwrap();
        // Files of a store never change, so links do; its database does change.
        for (how, name) in [("-al", "store"), ("-a", "var")] {
            let from = seed.join("nix").join(name);
            run(Command::new("cp")
                .arg(how)
                .arg(from)
                .arg(machine.root.join("nix")))
            .success();
        }
        machine
    }

    /// A machine with an empty store.
    pub(crate) fn empty() -> Self {
        let scratch = Scratch::new();
        let machine = Self {
            root: scratch.join("root"),
            daemon: None,
            scratch: Some(scratch),
        };
        machine.configure();
        machine
    }

    fn configure(&self) {
        std::fs::create_dir_all(self.root.join("conf")).unwrap();
        std::fs::write(self.root.join("conf/nix.conf"), CONF).unwrap();
    }

    /// Lets this machine send builds to another one, by way of a real ssh server that
    /// serves one connection at a time.
    pub(crate) fn send_builds_to(&self, other: &Machine) {
        run(&mut Command::new(top().join("tests/scripts/fetch-sshd.sh"))).success();
        let conf = self.root.join("conf");
        let at = |name: &str| conf.join(name).display().to_string();
        for key in ["key", "host"] {
            let mut generate = Command::new(need("ssh-keygen", "openssh-client"));
            generate.args(["-q", "-t", "ed25519", "-N", "", "-f", &at(key)]);
            run(&mut generate).success();
        }
        let write = |name: &str, text: String| std::fs::write(conf.join(name), text).unwrap();
        write(
            "sshd",
            format!(
                "HostKey {}\nAuthorizedKeysFile {}\nStrictModes no\nUsePAM no\n\
                 PermitRootLogin prohibit-password\nPidFile none\nLogLevel ERROR\n",
                at("host"),
                at("key.pub"),
            ),
        );
        write(
            "ssh",
            format!(
                "ProxyCommand {top}/tests/scripts/sshd-for-one.sh {cache}/sshd {}\n\
                 IdentityFile {}\nIdentitiesOnly yes\nUserKnownHostsFile {}\n\
                 StrictHostKeyChecking no\nLogLevel ERROR\n",
                at("sshd"),
                at("key"),
                at("known"),
                top = top().display(),
                cache = cache().canonicalize().unwrap().display(),
            ),
        );
        // The other machine's settings and store, as its own daemon would have them.
        let daemon = at("daemon");
        write(
            "daemon",
            format!(
                "#!/bin/sh\nexport NIX_CONF_DIR={root}/conf NIX_USER_CONF_FILES=/dev/null \
                 HOME={root}/home\nexec {top}/tests/scripts/read-only.sh {nix} \"$@\"\n",
                root = other.root.display(),
                top = top().display(),
                nix = need("nix-daemon", "nix-bin").display(),
            ),
        );
        std::fs::set_permissions(&daemon, std::fs::Permissions::from_mode(0o755)).unwrap();
        let store = other.root.display();
        write(
            "nix.conf",
            format!(
                // More places than there are builds at a time: else some stay here.
                "{CONF}builders = ssh-ng://localhost?remote-store={store}&remote-program={daemon} \
                 x86_64-linux - 8 1 ca-derivations\n"
            ),
        );
    }

    /// Gives the machine a daemon with build users. From now on a user whom it does not
    /// trust asks it to build.
    pub(crate) fn start_daemon(&mut self) {
        let settled = |command, conf: &Path| self.settled(command, conf);
        self.daemon = Some(Daemon::start(&self.root, CONF, settled));
    }

    /// A Nix command for this machine, which may not write to the real one's folders.
    pub(crate) fn nix(&self, program: &str) -> Command {
        let mut command = Command::new(top().join("tests/scripts/read-only.sh"));
        command.arg(program);
        self.settled(command, &self.root.join("conf"))
    }

    /// Takes what this machine's own Nix was told from a command, and gives it `conf`.
    fn settled(&self, mut command: Command, conf: &Path) -> Command {
        for (name, _) in
            std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("NIX_"))
        {
            command.env_remove(name);
        }
        command
            .env("NIX_CONF_DIR", conf)
            .env("NIX_USER_CONF_FILES", "/dev/null")
            .env("HOME", self.root.join("home"));
        let ssh = self.root.join("conf/ssh");
        if ssh.exists() {
            command.env("NIX_SSHOPTS", format!("-F {}", ssh.display()));
        }
        command
    }

    /// What all derivations below `attr` are, by path, as `nix show-derivation` prints it.
    pub(crate) fn derivations(&self, attr: &str, arguments: &str) -> String {
        let mut command = self.nix("nix");
        command.args(["show-derivation", "-r", "--impure", "--store"]);
        command
            .arg(&self.root)
            .args(["--expr", &expression(attr, arguments)]);
        run(&mut command).success().stdout()
    }

    /// Builds `attr`, an expression over nix/debian; `arguments` is more of its argument
    /// set, in Nix.
    pub(crate) fn build(&self, attr: &str, arguments: &str) -> Built {
        let expression = expression(attr, arguments);
        let (mut command, store) = match &self.daemon {
            None => (self.nix("nix"), self.root.display().to_string()),
            Some(daemon) => (
                self.settled(daemon.ask("nix"), &self.root.join("conf")),
                daemon.store(&self.root),
            ),
        };
        command.args([
            "build",
            "--json",
            "--no-link",
            "--impure",
            "-L",
            "--keep-going",
            "--store",
        ]);
        command.arg(store).args(["--expr", &expression]);
        self.built(run(&mut command))
    }

    /// The same with no experimental feature of Nix.
    pub(crate) fn build_plainly(&self, attr: &str, arguments: &str) -> Built {
        let mut command = self.nix("nix-build");
        command.args(["--no-out-link", "--option", "experimental-features", ""]);
        command.arg("--store").arg(&self.root);
        self.built(run(command.args(["-E", &expression(attr, arguments)])))
    }

    /// What was built, as Nix says it.
    fn built(&self, ran: Ran) -> Built {
        let (mut built, mut sent) = (BTreeSet::new(), BTreeSet::new());
        for line in ran.stderr().lines() {
            // `building '…' on 'ssh-ng://…'...` for those that another machine builds.
            let Some(line) = line.strip_prefix("building '") else {
                continue;
            };
            if let Some((name, rest)) = line.split_once('\'') {
                built.insert(name.to_owned());
                if rest.starts_with(" on '") {
                    sent.insert(name.to_owned());
                }
            }
        }
        let (steps, sent) = (self.steps(&built), self.steps(&sent));
        Built { ran, steps, sent }
    }

    fn steps(&self, derivations: &BTreeSet<String>) -> Vec<Step> {
        if derivations.is_empty() {
            return Vec::new();
        }
        let mut command = self.nix("nix");
        command.args(["show-derivation", "--store"]).arg(&self.root);
        let shown = run(command.args(derivations));
        let shown: BTreeMap<String, serde_json::Value> =
            serde_json::from_str(&shown.success().stdout()).unwrap();
        assert_eq!(
            shown.len(),
            derivations.len(),
            "a derivation was built twice"
        );
        let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
        let step = |derivation: &serde_json::Value| Step {
            kind: text(&derivation["env"]["indirStep"]),
            name: text(&derivation["env"]["name"]),
        };
        let mut steps: Vec<Step> = shown.values().map(step).collect();
        steps.sort();
        steps
    }

    /// Builds `attr`, which must succeed, and returns the path of its `out`, or of the one
    /// that is asked for.
    #[track_caller]
    pub(crate) fn path(&self, attr: &str, arguments: &str) -> String {
        let built = self.build(attr, arguments);
        let outputs: serde_json::Value =
            serde_json::from_str(&built.success().ran.stdout()).unwrap();
        let outputs = outputs[0]["outputs"].as_object().expect("outputs");
        let first = || outputs.values().next().expect("an output");
        let path = outputs.get("out").unwrap_or_else(first);
        path.as_str().expect("a path").to_owned()
    }

    /// Lets `nix/hashes.sh` write the hashes that `attr` needs, with no experimental
    /// feature of Nix; `arguments` names that file.
    pub(crate) fn write_hashes(&self, file: &Path, attr: &str, arguments: &str) {
        let mut command = self.nix(&top().join("nix/hashes.sh").display().to_string());
        command.arg(file).arg(expression(attr, arguments));
        command.env("NIX_REMOTE", &self.root);
        run(command.env("NIX_CONFIG", "experimental-features =")).success();
    }

    /// Where a path of the store really is.
    pub(crate) fn real(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }

    /// Keeps a path, and deletes from the store what it does not need. Derivations
    /// name what they were built from, so that these are not to be kept for it.
    pub(crate) fn collect_garbage(&self, keep: &str) {
        let root = self.root.join("nix/var/nix/gcroots/kept");
        std::os::unix::fs::symlink(keep, root).unwrap();
        // Nix also keeps what any process of the machine names: let it see its own.
        let mut command = self.nix("unshare");
        command.args(["--pid", "--fork", "--mount-proc", "nix-store"]);
        run(command
            .args(["--gc", "--option", "keep-derivations", "false"])
            .arg("--store")
            .arg(&self.root))
        .success();
    }

    /// The names of the paths in the store, without hashes, sorted.
    pub(crate) fn store(&self) -> Vec<String> {
        let folder = std::fs::read_dir(self.root.join("nix/store")).unwrap();
        let name = |entry: std::fs::DirEntry| entry.file_name().into_string().unwrap();
        let mut names: Vec<String> = folder
            .map(|entry| name(entry.unwrap()))
            .filter_map(|name| Some(name.split_once('-')?.1.to_owned()))
            .collect();
        names.sort();
        names
    }

    /// The names of the paths that a path of the store needs, without hashes, sorted.
    pub(crate) fn closure(&self, path: &str) -> Vec<String> {
        let mut command = self.nix("nix-store");
        command.args(["-q", "--requisites", "--store"]);
        let ran = run(command.arg(&self.root).arg(path));
        let paths = ran.success().stdout();
        let name = |path: &str| {
            path["/nix/store/".len()..]
                .split_once('-')
                .unwrap()
                .1
                .into()
        };
        let mut names: Vec<String> = paths.lines().map(name).collect();
        names.sort();
        names
    }

    /// Runs a program of the store, as if the store were this machine's.
    pub(crate) fn run(&self, program: &str, arguments: &[&str]) -> Ran {
        let script = top().join("tests/scripts/nix-in-store.sh");
        run(Command::new(script)
            .arg(&self.root)
            .arg(program)
            .args(arguments))
    }

    /// The same in an environment, as a shell has it: `tables` is a folder of tables.
    pub(crate) fn run_with(&self, tables: &str, program: &str, arguments: &[&str]) -> Ran {
        let tables = format!("INDIR_TABLES={tables}");
        self.run("/usr/bin/env", &[&[&tables, program], arguments].concat())
    }

    /// The same on a system whose /etc has these tables, and nothing else.
    pub(crate) fn run_on_system(&self, tables: &str, program: &str, arguments: &[&str]) -> Ran {
        let etc = "mount -t tmpfs none /etc; mkdir /etc/indir; ln -s \"$0\" /etc/indir/tables; exec \"$@\"";
        self.run(
            "/bin/sh",
            &[&["-euc", etc, tables, program], arguments].concat(),
        )
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // What is in a store is read-only, and stays so where it is hard-linked.
        if self.scratch.is_some() {
            for entry in walkdir::WalkDir::new(&self.root).into_iter().flatten() {
                if entry.file_type().is_dir() {
                    let mode = std::fs::Permissions::from_mode(0o755);
                    let _ = std::fs::set_permissions(entry.path(), mode);
                }
            }
        }
    }
}
