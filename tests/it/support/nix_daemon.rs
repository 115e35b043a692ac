//! A machine with Nix's daemon and build users, as a user without rights has it.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::need;

/// The daemon of a machine; it ends when dropped.
pub(crate) struct Daemon {
    process: Child,
    socket: PathBuf,
}

impl Daemon {
    /// A daemon for the store below `root`. It has `conf` and build users; who asks it
    /// is not trusted. `configured` makes a command one of that machine.
    pub(crate) fn start(
        root: &Path,
        conf: &str,
        configured: impl Fn(Command, &Path) -> Command,
    ) -> Self {
        let write = |folder: &str, text: &str| {
            let folder = root.join(folder);
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(folder.join("nix.conf"), text).unwrap();
            folder
        };
        let conf = write(
            "daemon",
            &format!(
                "{conf}build-users-group = nixbld\ntrusted-users = root\nallowed-users = *\nstore = {}\n",
                root.display()
            ),
        );
        let socket = root.join("socket");
        let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scripts");
        let mut command = Command::new(scripts.join("nix-users.sh"));
        command
            .arg(scripts.join("read-only.sh"))
            .arg(need("nix-daemon", "nix-bin"));
        // It reports every user there.
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let mut command = configured(command, &conf);
        command
            .env("NIX_DAEMON_SOCKET_PATH", &socket)
            // Where it notes which build user is busy.
            .env("NIX_STATE_DIR", root.join("nix/var/nix"));
        let mut process = command.spawn().unwrap();
        let began = Instant::now();
        while !socket.exists() {
            assert_eq!(process.try_wait().unwrap(), None, "nix-daemon ended");
            assert!(began.elapsed() < Duration::from_secs(60), "no nix-daemon");
            std::thread::sleep(Duration::from_millis(20));
        }
        let home = root.join("home");
        std::fs::create_dir_all(&home).unwrap();
        std::fs::set_permissions(&home, std::fs::Permissions::from_mode(0o777)).unwrap();
        Self { process, socket }
    }

    /// The store below `root`, by way of the daemon.
    pub(crate) fn store(&self, root: &Path) -> String {
        format!("unix://{}?root={}", self.socket.display(), root.display())
    }

    /// `program` of Nix, as nobody, who has of root's rights only to read: the project
    /// may lie in a folder of root's.
    pub(crate) fn ask(&self, program: &str) -> Command {
        let mut command = Command::new("setpriv");
        command
            .args([
                "--reuid=65534",
                "--regid=65534",
                "--clear-groups",
                "--inh-caps=-all,+dac_read_search",
            ])
            .args(["--ambient-caps=-all,+dac_read_search", program]);
        command
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
