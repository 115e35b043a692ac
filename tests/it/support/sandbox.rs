//! Runs any program of the system so that it can do no harm: as nobody, without
//! privileges, network, stdin or display, in namespaces of its own, with empty
//! /tmp, /run and HOME, for a few seconds at most.

use std::ffi::OsStr;
use std::path::Path;
use std::process::Command;

use super::{need, run};

/// Seconds after which a program that does not end by itself is killed.
const LIMIT: &str = "10";

/// Runs inside of the new namespaces. $1 is the program's argv[0], $2 its file;
/// bash, because only its exec sets argv[0]. `timeout` is the first process of
/// its namespace: when it ends, so does all that the program left behind.
const INSIDE: &str = r#"
for folder in /tmp /run /dev/shm /var/tmp; do
    # The project's own folder stays in sight.
    case $PROJECT in "$folder"/*) mount --bind "$PROJECT" /mnt || exit 125 ;; esac
    mount -t tmpfs -o mode=1777 none $folder || exit 125
    case $PROJECT in "$folder"/*) mkdir -p "$PROJECT" && mount --move /mnt "$PROJECT" || exit 125 ;; esac
done
mkdir -m 700 /run/home && chown 65534:65534 /run/home && cd /run/home || exit 125
exec timeout -s KILL $SECONDS_AT_MOST setpriv --reuid=65534 --regid=65534 --clear-groups --no-new-privs \
    --bounding-set=-all env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin \
    HOME=/run/home LC_ALL=C.UTF-8 TERM=dumb TZ=UTC \
    bash -c 'ulimit -c 0; exec -a "$0" "$@"' "$@"
"#;

/// What a program did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Did {
    /// 137 if it had to be killed.
    pub(crate) status: Option<i32>,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: Vec<u8>,
}

impl Did {
    /// Ended well, and said something.
    pub(crate) fn worked(&self) -> bool {
        self.status == Some(0) && !(self.stdout.is_empty() && self.stderr.is_empty())
    }

    /// Had to be killed: it waits for something, or serves.
    pub(crate) fn ran_on(&self) -> bool {
        self.status == Some(137)
    }

    /// The same with `from` replaced by `to`, of the same length, in what it
    /// said, and the times of day that GLib's messages begin with set to zero.
    pub(crate) fn comparable(mut self, from: &str, to: &str) -> Self {
        assert_eq!(from.len(), to.len());
        for said in [&mut self.stdout, &mut self.stderr] {
            for at in 0..said.len() {
                let rest = said.get_mut(at..).unwrap_or_default();
                if rest.starts_with(from.as_bytes()) {
                    rest[..to.len()].copy_from_slice(to.as_bytes());
                } else if is_time(rest) {
                    rest[..TIME.len()].copy_from_slice(b"00:00:00.000");
                }
            }
        }
        self
    }
}

const TIME: &[u8] = b"dd:dd:dd.ddd";

fn is_time(text: &[u8]) -> bool {
    let fits = |(have, want): (&u8, &u8)| have == want || *want == b'd' && have.is_ascii_digit();
    text.len() >= TIME.len() && text.iter().zip(TIME).all(fits)
}

/// Runs `exe`, called by its file name.
pub(crate) fn in_sandbox<A: AsRef<OsStr>>(exe: &Path, args: &[A]) -> Did {
    let name = exe.file_name().unwrap();
    let mut command = Command::new(need("unshare", "util-linux"));
    command
        .args(["--mount", "--pid", "--net", "--ipc", "--uts", "--fork"])
        .args(["--kill-child", "--mount-proc"])
        .args(["bash", "-c", INSIDE, "bash"])
        .arg(name)
        .arg(exe)
        .args(args)
        .env("PROJECT", env!("CARGO_MANIFEST_DIR"))
        .env("SECONDS_AT_MOST", LIMIT);
    let ran = run(&mut command);
    assert_ne!(ran.code(), Some(125), "no sandbox (root is needed): {ran}");
    Did {
        status: ran.output.status.code(),
        stdout: ran.output.stdout,
        stderr: ran.output.stderr,
    }
}
