//! Which libraries of a closure belong to the build of glibc that its ld.so is of.
//!
//! They share structures that no symbol version tells of, so LD_LIBRARY_PATH must
//! not replace one of them alone.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use crate::elf::Root;
use crate::resolve::{Closure, Node};

/// soname of the one that every other needs.
const LIBC: &[u8] = b"libc.so.6";
/// How the sonames of the others begin (Makefiles of glibc 2.36 to 2.43).
const PARTS: [&[u8]; 16] = [
    b"libm.so.",
    b"libmvec.so.",
    b"libpthread.so.",
    b"libdl.so.",
    b"librt.so.",
    b"libresolv.so.",
    b"libutil.so.",
    b"libanl.so.",
    b"libnss_files.so.",
    b"libnss_dns.so.",
    b"libnss_compat.so.",
    b"libnss_db.so.",
    b"libnss_hesiod.so.",
    b"libthread_db.so.",
    b"libBrokenLocale.so.",
    b"libc_malloc_debug.so.",
];
/// The version of what the parts have for each other alone.
const PRIVATE: &[u8] = b"GLIBC_PRIVATE";

/// Indexes of the parts among the nodes: libc.so.6, and what is called like a part
/// and lies with it, or uses what only its own build has.
pub(super) fn parts(root: &Root, closure: &Closure) -> HashSet<usize> {
    let soname = |node: &Node| node.library.soname.clone();
    let libc = |node: &&Node| soname(node).as_deref() == Some(LIBC);
    let home = |path: &Path| -> Option<PathBuf> {
        let real = root.canonical(path).ok()?;
        real.parent().map(Path::to_owned)
    };
    let libc = closure.nodes.iter().find(libc).map(|node| &*node.path);
    let homes = [libc, Some(&*closure.ldso.0)].map(|path| path.and_then(home));
    let is_part = |node: &Node| {
        let Some(soname) = soname(node) else {
            return false;
        };
        let named = PARTS.iter().any(|part| soname.starts_with(part));
        let private = || {
            node.library
                .needed_versions
                .iter()
                .any(|need| &*need.name == PRIVATE)
        };
        let beside = || {
            let own = home(&node.path);
            own.is_some() && homes.contains(&own)
        };
        &*soname == LIBC || named && (beside() || private())
    };
    let nodes = closure.nodes.iter().enumerate();
    nodes
        .filter(|(_, node)| is_part(node))
        .map(|(index, _)| index)
        .collect()
}

/// The minor number of the newest version that the closure's libc.so.6 defines: 41
/// for `GLIBC_2.41`.
pub(super) fn minor(closure: &Closure) -> Option<u32> {
    let libc = closure.provider(LIBC)?;
    let versions = libc.library.defined_versions.as_ref()?;
    let minor = |name: &[u8]| -> Option<u32> {
        let text = std::str::from_utf8(name.strip_prefix(b"GLIBC_2.")?).ok()?;
        text.split('.').next()?.parse().ok()
    };
    versions.iter().filter_map(|name| minor(name)).max()
}
