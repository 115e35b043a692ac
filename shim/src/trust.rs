//! Who may name the libraries of a program.
//!
//! A table, the bindings beside it, and what `indir adopt --undo` reads decide
//! which code a program runs. One rule for all of them, for the shim, the
//! binder and the host: such a file counts if it belongs to root, to the owner
//! of the executable or to the effective user, and nobody else may write it.
//! docs/loader-contract.md says what follows from it. Nothing here makes a
//! system call.

/// `st_mode`: the type of a file.
pub const S_IFMT: u32 = 0o170_000;
/// `st_mode`: a regular file.
pub const S_IFREG: u32 = 0o100_000;
/// `st_mode`: a folder.
pub const S_IFDIR: u32 = 0o040_000;
/// `st_mode`: a symbolic link.
pub const S_IFLNK: u32 = 0o120_000;
/// `st_mode` of a folder: only owners rename and remove what is in it.
pub const S_ISVTX: u32 = 0o1000;
/// `st_mode`: others than the owner may write. Where there is an access control
/// list, the bits of the group are its mask (acl(5)).
pub const WRITABLE: u32 = 0o022;

/// Why a file does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doubt {
    /// A folder, FIFO, device or socket.
    NotRegular,
    /// Others than its owner may write it.
    Writable,
    /// It belongs to somebody else.
    Owner,
}

impl Doubt {
    /// What to tell a user; no trailing full stop.
    pub const fn message(self) -> &'static str {
        match self {
            Self::NotRegular => "it is not a regular file",
            Self::Writable => "others than its owner may write it",
            Self::Owner => {
                "it belongs neither to root, nor to you, nor to the owner of the program"
            }
        }
    }
}

/// The rule. `mode` and `uid` are those of the open file; `is_ours` says
/// whether a user other than root is the effective user or the owner of the
/// executable, and is asked at most once.
///
/// # Errors
/// Why the file does not count.
pub fn counts(mode: u32, uid: u32, is_ours: impl FnOnce(u32) -> bool) -> Result<(), Doubt> {
    if mode & S_IFMT != S_IFREG {
        Err(Doubt::NotRegular)
    } else if mode & WRITABLE != 0 {
        Err(Doubt::Writable)
    } else if uid != 0 && !is_ours(uid) {
        Err(Doubt::Owner)
    } else {
        Ok(())
    }
}

/// Whether everybody may make files in a folder of this mode, but not remove
/// those of others, as in /tmp. What somebody else planted there beside a
/// program is not the program's.
pub const fn is_shared(mode: u32) -> bool {
    mode & S_ISVTX != 0 && mode & WRITABLE != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_the_owner_and_the_effective_user() {
        let ours = |uid| uid == 1000;
        assert_eq!(counts(0o100_644, 0, ours), Ok(()));
        assert_eq!(counts(0o100_444, 1000, ours), Ok(()));
        assert_eq!(counts(0o100_644, 1001, ours), Err(Doubt::Owner));
        for mode in [0o100_664, 0o100_646, 0o104_666] {
            assert_eq!(counts(mode, 0, ours), Err(Doubt::Writable));
        }
        for kind in [
            0o010_600, 0o020_600, 0o040_700, 0o060_600, 0o120_777, 0o140_600,
        ] {
            assert_eq!(counts(kind, 0, ours), Err(Doubt::NotRegular));
        }
    }
}
