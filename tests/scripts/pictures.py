#!/usr/bin/env python3
"""Draws what the commands print in a terminal of 80 columns, for docs/images.

usage: pictures.py [--check] PREFIX

PREFIX is an installation (`indir setup --prefix`). Commands run in a sandbox with it at
/opt/indir and with fetched builds of glibc, so that every run draws the same. The times of
`indir bench` are not the same in any two: they are those of docs/images/bench.txt, which is
the output of one run and made anew where it is missing.

--check draws nothing and compares, ids and builds aside, with what docs/images has.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from html import escape

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
IMAGES = os.path.join(TOP, "docs/images")
COLUMNS = 80
# Programs that everything is shown with.
SCENE = "mkdir -p programs/bin; cp /usr/bin/git /usr/bin/sqlite3 /usr/bin/gdb programs/bin"
ADOPT = "indir adopt --in-place --lib-dir /opt/glibc/2.36 programs"
UPGRADE = "indir update --replace /opt/glibc/2.36=/opt/glibc/2.41 programs"
QUIETLY = " >/dev/null 2>&1"
# Each picture: what happens before, and what is shown.
PICTURES = {
    "adopt": ([SCENE], [ADOPT, "indir verify programs"]),
    "update": ([SCENE, ADOPT + QUIETLY], [UPGRADE + " --dry-run", UPGRADE, "programs/bin/git --version"]),
    "show": ([SCENE, ADOPT + QUIETLY], ["indir show programs/bin/git"]),
    "status": ([SCENE, ADOPT + QUIETLY, "indir update --replace /opt/glibc/2.36=/opt/glibc/2.41 programs/bin/git" + QUIETLY],
               ["indir status programs"]),
    "bench": ([], ["indir bench ffmpeg -version"]),
}


def main():
    arguments = sys.argv[1:]
    check = "--check" in arguments
    arguments = [argument for argument in arguments if argument != "--check"]
    if len(arguments) != 1:
        sys.exit(__doc__)
    stale = []
    for name, (before, commands) in PICTURES.items():
        text = transcript(name, arguments[0], before, commands)
        too_long = [line for line in text if width(line) > COLUMNS]
        if too_long:
            sys.exit(f"{name}: longer than {COLUMNS} columns: {too_long[0]}")
        picture = draw(text)
        path = os.path.join(IMAGES, name + ".svg")
        if not check:
            with open(path, "w", encoding="utf-8") as file:
                file.write(picture)
        elif not os.path.exists(path) or same(open(path, encoding="utf-8").read()) != same(picture):
            stale.append(name)
            sys.stderr.write("\n".join(text) + "\n")
    if stale:
        sys.exit(f"docs/images/: {', '.join(stale)} show something else: run tests/scripts/pictures.py PREFIX")


def same(picture):
    """A picture without what differs between builds of programs."""
    picture = re.sub(r"[0-9a-f]{8,}", "ID", picture)
    return re.sub(r"\d+\.\d+-\d+\+deb\d+u\d+|[0-9]+ bytes", "BUILD", picture)


def transcript(name, prefix, before, commands):
    """The lines of a terminal in which the commands were typed."""
    kept = os.path.join(IMAGES, name + ".txt")
    if name == "bench" and os.path.exists(kept):
        return open(kept, encoding="utf-8").read().splitlines()
    lines = []
    with tempfile.TemporaryDirectory() as tree:
        for folder in ("opt/indir", "opt/glibc", "srv"):
            os.makedirs(os.path.join(tree, folder))
        cache = os.environ.get("INDIR_CACHE", os.path.join(TOP, "target/cache"))
        for build, release in (("old", "2.36"), ("trixie", "2.41")):
            folder = os.path.join(cache, "glibc", build, "lib/x86_64-linux-gnu")
            shutil.copytree(folder, os.path.join(tree, "opt/glibc", release), symlinks=True)
        sandbox = ["bwrap", "--dev-bind", "/", "/", "--bind", tree + "/opt", "/opt"]
        sandbox += ["--bind", tree + "/srv", "/srv", "--ro-bind", prefix, "/opt/indir"]
        sandbox += ["--unshare-net", "--die-with-parent", "--chdir", "/srv"]
        environment = {"PATH": "/opt/indir/bin:/usr/bin:/bin", "TERM": "xterm", "HOME": "/srv",
                       "LANG": "C.UTF-8", "COLUMNS": str(COLUMNS)}
        for command in before:
            subprocess.run(sandbox + ["sh", "-ec", command], env=environment, check=True)
        for command in commands:
            lines += wrap("$ " + command)
            # A terminal of its own, of that width. Messages come through a pipe, so that no
            # progress is drawn.
            typed = f"stty cols {COLUMNS}; {{ {command} 2>&1 >&3 3>&- | cat; }} 3>&1"
            done = subprocess.run(sandbox + ["script", "-qec", typed, "/dev/null"], env=environment,
                                  stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=False)
            for line in done.stdout.decode().replace("\r\n", "\n").splitlines():
                lines += wrap(line)
    if name == "bench":
        with open(kept, "w", encoding="utf-8") as file:
            file.write("\n".join(lines) + "\n")
    return lines


SGR = re.compile(r"\x1b\[([0-9;]*)m")


def width(line):
    return len(SGR.sub("", line))


def wrap(line):
    """Lines as a terminal breaks them."""
    rows, column = [""], 0
    for at, part in enumerate(SGR.split(line)):
        if at % 2:
            rows[-1] += f"\x1b[{part}m"
            continue
        for letter in part:
            if column == COLUMNS:
                rows.append("")
                column = 0
            rows[-1] += letter
            column += 1
    return rows


COLOURS = {"31": "#b3261e", "32": "#1f7a3d", "33": "#8a6100", "34": "#2757a8", "36": "#0f6e74"}
CELL, ROW, SIZE, MARGIN = 8.4, 19, 14, 14


def draw(lines):
    """The lines as an SVG."""
    wide = COLUMNS * CELL + 2 * MARGIN
    high = len(lines) * ROW + 2 * MARGIN
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide:.0f} {high}" '
           f'width="{wide:.0f}" height="{high}" font-size="{SIZE}" '
           "font-family=\"'DejaVu Sans Mono', ui-monospace, monospace\" xml:space=\"preserve\">",
           f'<rect width="{wide:.0f}" height="{high}" rx="6" fill="#f6f7f9"/>']
    style = ""
    for row, line in enumerate(lines):
        y = MARGIN + row * ROW + SIZE
        if line.startswith("$ "):
            line = "\x1b[1m" + line + "\x1b[0m"
        column = 0
        for at, part in enumerate(SGR.split(line)):
            if at % 2:
                style = styled(part)
            elif part:
                if part.strip():
                    out.append(f'<text x="{MARGIN + column * CELL:.1f}" y="{y}" textLength="{len(part) * CELL:.1f}"'
                               f'{style or styled("")}>{escape(part)}</text>')
                column += len(part)
    return "\n".join(out + ["</svg>", ""])


def styled(codes):
    """Attributes for the codes of an escape sequence."""
    fill, weight = "#1f2430", ""
    for code in codes.split(";"):
        fill = COLOURS.get(code, fill)
        if code == "1":
            weight = ' font-weight="bold"'
    return f' fill="{fill}"{weight}'


main()
