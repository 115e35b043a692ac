# For gdb: tells it of libraries that an indirect program loads with dlopen, so
# that pending breakpoints in them are placed at once, and where the dynamic
# linker is, so that `step` goes through it into a library's function.
#
# gdb takes the file that PT_INTERP names, which is the shim, for the dynamic
# linker. This puts gdb's ear where the real ld.so announces what it loads, and at
# the first stop makes gdb look for the dynamic linker again: it then finds the
# real one through DT_DEBUG. Put
#     source PREFIX/share/indir/gdb.py
# into ~/.gdbinit. Programs that are not indirect are left alone.

import gdb
import struct

SHIM = b"/ld-indir-"
PT_INTERP = 3

_ears = {}


class _Loaded(gdb.Breakpoint):
    """Stops where ld.so announces a change, looks, and goes on."""

    def __init__(self, address):
        super().__init__("*%#x" % address, internal=True)
        self.silent = True

    def stop(self):
        gdb.execute("sharedlibrary", to_string=True)
        return False


def _is_indirect(space):
    """Whether the shim is the interpreter of the program, a 64-bit ELF file."""
    try:
        with open(space.filename, "rb") as program:
            header = program.read(64)
            (table,) = struct.unpack_from("<Q", header, 32)
            size, count = struct.unpack_from("<HH", header, 54)
            program.seek(table)
            headers = program.read(size * count)
            for index in range(count):
                kind, _, offset = struct.unpack_from("<IIQ", headers, index * size)
                if kind == PT_INTERP:
                    program.seek(offset)
                    return SHIM in program.read(4096).split(b"\0")[0]
    except (OSError, TypeError, struct.error):
        pass
    return False


def _new_objfile(event):
    name = event.new_objfile.filename or ""
    inferior = gdb.selected_inferior()
    if "/ld-linux" not in name or not inferior.pid:
        return
    if not _is_indirect(event.new_objfile.progspace):
        return
    try:
        _ears[inferior.num] = _Loaded(int(gdb.parse_and_eval("(long) &'_dl_debug_state'")))
    except gdb.error as error:
        gdb.write("indir: dlopen will go unnoticed: %s\n" % error, gdb.STDERR)


def _stopped(_event):
    ear = _ears.pop(gdb.selected_inferior().num, None)
    if ear is not None:
        ear.delete()
        # Setting it, to whatever it is, is what makes gdb look again.
        path = gdb.parameter("solib-search-path") or ""
        gdb.execute("set solib-search-path " + path, to_string=True)


def _exited(event):
    _ears.pop(event.inferior.num, None)


gdb.events.new_objfile.connect(_new_objfile)
gdb.events.stop.connect(_stopped)
gdb.events.exited.connect(_exited)
