//! What /proc says of a process: its executable, its environment, and the objects
//! that it has mapped. Paths are those that the process itself would use.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// Longest file of /proc that is read, in bytes.
const MAX_FILE: u64 = 64 << 20;
/// What the kernel writes behind the name of a file that has none any more.
const DELETED: &[u8] = b" (deleted)";
/// How the names of mapped things begin that are no files of ours.
const NO_FILES: [&str; 4] = ["/memfd:", "/dev/", "/SYSV", "/anon_hugepage"];

/// An object that a process has mapped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mapped {
    /// Its path when it was mapped, or what it was renamed to since.
    pub(super) path: PathBuf,
    /// It has no name any more: deleted, or another file took its name.
    pub(super) is_deleted: bool,
    /// Device and inode; `None` if the file system tells two of them.
    pub(super) id: Option<(u64, u64)>,
    /// Opens the mapped file itself, if the user may.
    pub(super) link: PathBuf,
}

/// A process as it was when it was looked at.
#[derive(Debug)]
pub(super) struct Process {
    folder: PathBuf,
    /// Its root folder, as we see it.
    root: PathBuf,
    /// The executable.
    pub(super) exe: PathBuf,
    /// Whether that has no name any more.
    pub(super) exe_is_deleted: bool,
}

impl Process {
    /// The process `pid`; `None` if it has no executable: a thread of the kernel.
    ///
    /// # Errors
    /// When there is no such process, or the user may not look at it.
    pub(super) fn new(pid: u32) -> io::Result<Option<Self>> {
        let folder = PathBuf::from(format!("/proc/{pid}"));
        std::fs::symlink_metadata(&folder)?;
        let link = match std::fs::read_link(folder.join("exe")) {
            Ok(link) => link,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let root = std::fs::read_link(folder.join("root"))?;
        let (path, exe_is_deleted) = named(link.as_os_str().as_bytes());
        let mut process = Self {
            folder,
            root,
            exe: path,
            exe_is_deleted,
        };
        process.exe = process.inside(&process.exe);
        Ok(Some(process))
    }

    /// `path` as the process would say it: /proc shows what lies in a chroot by
    /// our names.
    fn inside(&self, path: &Path) -> PathBuf {
        match path.strip_prefix(&self.root) {
            Ok(below) => Path::new("/").join(below),
            Err(_) => path.to_owned(),
        }
    }

    /// Where we find what the process calls `path`.
    pub(super) fn outside(&self, path: &Path) -> PathBuf {
        let below = path.strip_prefix("/").unwrap_or(path);
        if self.root == Path::new("/") && !self.has_other_mounts() {
            return Path::new("/").join(below);
        }
        self.folder.join("root").join(below)
    }

    /// `path` without symbolic links, each followed as the process would follow it.
    pub(super) fn real(&self, path: &Path) -> Option<PathBuf> {
        /// Linux follows no more (MAXSYMLINKS).
        const MAX_LINKS: usize = 40;
        let parts = |path: &Path| -> Vec<OsString> {
            let parts = path.components().rev();
            parts.map(|part| part.as_os_str().to_owned()).collect()
        };
        let mut rest = parts(path);
        let mut real = PathBuf::from("/");
        let mut links = 0;
        while let Some(part) = rest.pop() {
            match part.as_bytes() {
                b"/" => real = PathBuf::from("/"),
                b"." => {}
                b".." => {
                    real.pop();
                }
                _ => {
                    let next = real.join(&part);
                    if let Ok(target) = std::fs::read_link(self.outside(&next)) {
                        links += 1;
                        (links <= MAX_LINKS).then_some(())?;
                        rest.extend(parts(&target));
                    } else {
                        real = next;
                    }
                }
            }
        }
        Some(real)
    }

    fn has_other_mounts(&self) -> bool {
        let mounts = |folder: &Path| std::fs::read_link(folder.join("ns/mnt")).ok();
        mounts(&self.folder) != mounts(Path::new("/proc/self"))
    }

    /// Opens the executable that runs, whatever its path means by now.
    pub(super) fn exe_link(&self) -> PathBuf {
        self.folder.join("exe")
    }

    /// A variable of the environment that it was started with.
    pub(super) fn variable(&self, name: &str) -> Option<OsString> {
        let environ = read(&self.folder.join("environ")).ok()?;
        let mut all = environ.split(|&b| b == 0);
        let value =
            all.find_map(|entry| entry.strip_prefix(name.as_bytes())?.strip_prefix(b"="))?;
        Some(OsString::from_vec(value.to_vec()))
    }

    /// The objects that it has mapped, each once, without the executable.
    ///
    /// # Errors
    /// When the user may not look at them.
    pub(super) fn objects(&self) -> io::Result<Vec<Mapped>> {
        let maps = read(&self.folder.join("maps"))?;
        let mut found: Vec<(Mapped, bool)> = Vec::new();
        for line in maps.split(|&b| b == b'\n') {
            let Some((mapped, runs)) = self.mapped(line) else {
                continue;
            };
            let known = found
                .iter_mut()
                .find(|(other, _)| other.path == mapped.path && other.id == mapped.id);
            match known {
                Some((_, ran)) => *ran |= runs,
                None => found.push((mapped, runs)),
            }
        }
        let is_library = |path: &Path| {
            let name = path.file_name().unwrap_or_default().as_bytes();
            name.windows(3).any(|part| part == b".so")
        };
        let objects = found
            .into_iter()
            .filter(|(mapped, runs)| *runs || is_library(&mapped.path))
            .map(|(mapped, _)| mapped)
            .filter(|mapped| mapped.path != self.exe);
        Ok(objects.collect())
    }

    /// The file of one line of `maps`, and whether it is code.
    fn mapped(&self, line: &[u8]) -> Option<(Mapped, bool)> {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let mut rest = line;
        let mut word = || {
            let start = rest.iter().position(|&b| b != b' ')?;
            let tail = rest.get(start..)?;
            let end = tail.iter().position(|&b| b == b' ').unwrap_or(tail.len());
            let (word, after) = tail.split_at_checked(end)?;
            rest = after;
            std::str::from_utf8(word).ok()
        };
        let (range, flags) = (word()?, word()?);
        let (_, device, inode) = (word()?, word()?, word()?);
        let start = rest.iter().position(|&b| b != b' ')?;
        let (path, is_deleted) = named(&unescaped(rest.get(start..)?));
        let text = path.to_str().unwrap_or("/");
        if !path.is_absolute() || NO_FILES.iter().any(|no| text.starts_with(no)) {
            return None;
        }
        let link = self.folder.join("map_files").join(range);
        // A file system of layers has another number in `maps` than in `stat`.
        let id = match std::fs::metadata(&link) {
            Ok(stat) => Some((stat.dev(), stat.ino())),
            Err(_) => {
                let (major, minor) = device.split_once(':')?;
                let major = u32::from_str_radix(major, 16).ok()?;
                let minor = u32::from_str_radix(minor, 16).ok()?;
                Some((libc::makedev(major, minor), inode.parse().ok()?))
            }
        };
        let mapped = Mapped {
            path: self.inside(&path),
            is_deleted,
            id,
            link,
        };
        Some((mapped, flags.contains('x')))
    }
}

/// The processes that there are, but this one.
pub(super) fn all() -> io::Result<Vec<u32>> {
    let own = std::process::id();
    let entries = std::fs::read_dir("/proc")?.flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let mut pids: Vec<u32> = pids.filter(|&pid| pid != own).collect();
    pids.sort_unstable();
    Ok(pids)
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    use std::io::Read as _;
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path)?;
    file.take(MAX_FILE).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// A path as /proc writes it, without the mark of a deleted file.
fn named(text: &[u8]) -> (PathBuf, bool) {
    let name = text.strip_suffix(DELETED);
    let path = PathBuf::from(OsStr::from_bytes(name.unwrap_or(text)));
    (path, name.is_some())
}

/// `maps` writes a line feed as `\012`.
fn unescaped(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&byte, tail)) = rest.split_first() {
        match rest.strip_prefix(b"\\012") {
            Some(after) => {
                out.push(b'\n');
                rest = after;
            }
            None => {
                out.push(byte);
                rest = tail;
            }
        }
    }
    out
}
