//! Writing with the rights of somebody else.
//!
//! root can write everywhere, and whoever owns a folder decides what is in it.
//! So what root does in a folder of somebody else's is done with the file-system
//! user of that owner (setfsuid(2)): the kernel then allows what the owner could
//! have done, and what is made belongs to the owner. This is a property of the
//! thread, so that threads of one run can act for different users.

use std::io;

use nix::unistd::{Gid, Uid, setfsgid, setfsuid};
use rustix::thread::set_thread_groups;

/// While it lives, this thread has the rights of another user on files.
#[derive(Debug)]
pub(super) struct Acting {
    uid: Uid,
    gid: Gid,
    groups: Vec<rustix::process::Gid>,
}

impl Acting {
    /// Takes the rights of `uid` and its group, without any further group.
    ///
    /// # Errors
    /// When the kernel refuses, as it does for users that a namespace does not know.
    pub(super) fn new(uid: u32, gid: u32) -> io::Result<Self> {
        let groups = nix::unistd::getgroups()?;
        let to_raw = |gid: &Gid| rustix::process::Gid::from_raw(gid.as_raw());
        let this = Self {
            uid: nix::unistd::geteuid(),
            gid: nix::unistd::getegid(),
            groups: groups.iter().map(to_raw).collect(),
        };
        set_thread_groups(&[])?;
        // Neither call says whether it has worked; the next one does.
        setfsgid(Gid::from_raw(gid));
        setfsuid(Uid::from_raw(uid));
        let invalid = u32::MAX;
        let is_now = setfsuid(Uid::from_raw(invalid)).as_raw() == uid
            && setfsgid(Gid::from_raw(invalid)).as_raw() == gid;
        if is_now {
            Ok(this)
        } else {
            Err(io::ErrorKind::PermissionDenied.into())
        }
    }
}

impl Drop for Acting {
    fn drop(&mut self) {
        setfsuid(self.uid);
        setfsgid(self.gid);
        // root may; only root has taken them away.
        let _ = set_thread_groups(&self.groups);
    }
}

/// The name of a user for a message, with the number.
pub fn user_name(uid: u32) -> String {
    match nix::unistd::User::from_uid(Uid::from_raw(uid)) {
        Ok(Some(user)) => format!("{} ({uid})", user.name),
        _ => format!("user {uid}"),
    }
}
