#!/bin/sh
# Downloads two real Debian builds of each of some libraries, an update apart,
# and unpacks them side by side, never installing them:
#
#   target/cache/libs/<package>/<Debian version>/usr/lib/x86_64-linux-gnu/…
#
# (some have lib/x86_64-linux-gnu), with a short name for each, a symlink:
#
#   old   the earliest build of bookworm and bookworm-security that the archive has
#   new   the newest one there
#
# usage: fetch-libs.sh [PACKAGE…]      (those below by default)
#
# What is there already is kept: delete target/cache/libs to fetch newer builds.
# Exit code 1, with the reason on stderr, if apt or the network is missing, or if
# the archive has one build only.
set -eu
# shellcheck source=tests/scripts/lib.sh
. "$(dirname "$0")/lib.sh"

# link_build PACKAGE NAME VERSION: that build, with the name.
link_build() {
    if [ ! -d "$libs/$1/$3" ]; then
        unpack "$1" "$3" "$libs/.new"
        mkdir -p "$libs/$1"
        mv "$libs/.new" "$libs/$1/$3"
    fi
    ln -sfn "$3" "$libs/$1/$2"
    say "$1 $2: $3"
}

# Two builds whose symbols are the same (libssl3, libcurl4), two that grew.
[ $# -gt 0 ] || set -- libexpat1 libxml2 libssl3 libcurl4
libs=$cache/libs
mkdir -p "$libs"
# A second run then finds everything there.
one_at_a_time

missing=''
for package in "$@"; do
    [ -e "$libs/$package/old/usr" ] && [ -e "$libs/$package/new/usr" ] ||
        missing="$missing $package"
done
[ -n "$missing" ] || exit 0

for tool in apt-get dpkg-deb; do
    command -v "$tool" >/dev/null || die "$tool is needed to fetch builds of libraries"
done
own_apt bookworm bookworm-security || die "cannot read Debian's package indices"
for package in $missing; do
    listed=$(versions "$package" 'bookworm.*')
    old=$(echo "$listed" | head -n 1) new=$(echo "$listed" | tail -n 1)
    [ "$old" != "$new" ] || die "the archive has not two builds of $package in bookworm: ${new:-none}"
    link_build "$package" old "$old"
    link_build "$package" new "$new"
done
