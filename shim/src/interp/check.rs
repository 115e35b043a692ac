//! What is looked at before ld.so runs: whose the files are under AT_SECURE, and whether
//! the libraries of a small closure are there.

use core::ffi::CStr;

use crate::format::layout::OBJECT_LDSO;
use crate::format::table::Table;
use crate::interp::context::Context;
use crate::interp::locate::folder;
use crate::secure::{Denied, Trust};
use crate::sys;

/// Libraries that are looked at before ld.so asks for them: what two of the
/// system calls can check.
pub const CHECKED: usize = 2;

/// Under AT_SECURE, the interpreter of a start without a table likewise.
#[cold]
#[inline(never)]
pub fn check_interpreter(context: &Context, path: &CStr) {
    if let Err(denied) = Trust::nothing().check(path) {
        context.fail("not trusted: ", path, denied.message());
    }
}

/// Under AT_SECURE, everything that the table names must be root's alone.
#[cold]
#[inline(never)]
pub fn check_trust(context: &Context, table: &Table<'_>) {
    let mut trust = Trust::nothing();
    let mut check = |path: &CStr| {
        if let Err(denied) = trust.check(path) {
            context.fail("not trusted: ", path, denied.message());
        }
    };
    check(table.ldso());
    if let Some(binder) = table.binder() {
        check(binder);
    }
    let mut index = 0;
    while let Some(object) = table.object(index) {
        check(object.path);
        index += 1;
    }
    // dlopen will look there, but for `$ORIGIN`, which ld.so passes over
    // (elf/dl-load.c, _dl_dst_substitute). In one that is not there only root
    // can put something.
    for folder in table.search().to_bytes().split(|&b| b == b':') {
        if folder.first() != Some(&b'/') {
            continue;
        }
        if let Err(denied @ Denied::Because(_)) = trust.check_folder(folder) {
            context.fail("not trusted: ", trust.last(), denied.message());
        }
    }
}

/// Small closures are checked here, because ld.so cannot name the table and the
/// command that mends it. For larger ones each check would be one more system
/// call on every start, so that ld.so's own message must do. Returns how many
/// were checked.
pub fn check_libraries(context: &Context, table: &Table<'_>) -> usize {
    // What lies beside ld.so goes with it, and ld.so itself is opened here.
    let home = folder(table.ldso());
    let mut check = false;
    loop {
        let mut count = 0;
        let mut index = 0;
        while let Some(object) = table.object(index) {
            index += 1;
            // Beside ld.so, or beside the executable, wherever that is.
            if object.raw.flags & OBJECT_LDSO != 0
                || folder(object.path) == home
                || object.path.to_bytes().first() == Some(&b'$')
            {
                continue;
            }
            count += 1;
            if count > CHECKED {
                return 0;
            }
            if check && let Err(error) = sys::exists(object.path) {
                context.fail("library ", object.path, error.message());
            }
        }
        if check {
            return count;
        }
        check = true;
    }
}
