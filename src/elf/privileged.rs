//! Who an executable runs as.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

/// Whether the kernel would start it with AT_SECURE for another user: setuid,
/// setgid (which without group execution means nothing), or capabilities.
pub fn is_privileged(exe: &Path) -> bool {
    let Ok(metadata) = std::fs::metadata(exe) else {
        return false;
    };
    let mode = metadata.permissions().mode();
    let capabilities = || rustix::fs::getxattr(exe, "security.capability", &mut [0u8; 64]);
    mode & 0o4000 != 0 || mode & 0o2010 == 0o2010 || capabilities().is_ok_and(|len| len > 0)
}
