# For gdb: tells it of libraries that an indirect program loads with dlopen, so
# that pending breakpoints in them are placed at once.
#
# gdb waits for such events in the file that PT_INTERP names, which is the shim;
# dlopen announces them in the real ld.so. This puts gdb's ear there too. Put
#     source PREFIX/share/indir/gdb.py
# into ~/.gdbinit. Programs that are not indirect are left alone.

import gdb

SHIM = b"/ld-indir-"


class _Loaded(gdb.Breakpoint):
    """Stops where ld.so announces a change, looks, and goes on."""

    def __init__(self, address):
        super().__init__("*%#x" % address, internal=True)
        self.silent = True

    def stop(self):
        gdb.execute("sharedlibrary", to_string=True)
        return False


def _is_indirect(space):
    try:
        with open(space.filename, "rb") as program:
            return SHIM in program.read(4096)
    except (OSError, TypeError):
        return False


def _new_objfile(event):
    name = event.new_objfile.filename or ""
    if "/ld-linux" not in name or not _is_indirect(event.new_objfile.progspace):
        return
    try:
        _Loaded(int(gdb.parse_and_eval("(long) &'_dl_debug_state'")))
    except gdb.error as error:
        gdb.write("indir: dlopen will go unnoticed: %s\n" % error, gdb.STDERR)


gdb.events.new_objfile.connect(_new_objfile)
