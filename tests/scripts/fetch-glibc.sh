#!/bin/sh
# Downloads real Debian builds of glibc and unpacks them side by side, never
# installing them:
#
#   target/cache/glibc/<Debian version>/lib/x86_64-linux-gnu/libc.so.6
#
# with a short name for each, a symlink:
#
#   old        bookworm's earlier build, 2.36-9+deb12u7: a security upgrade away from
#   bookworm   bookworm's newest (2.36)
#   trixie     trixie's newest (2.41)
#   sid        sid's newest
#
# and, for old and bookworm, what is compiled and linked against (libc6-dev) in
# target/cache/glibc-dev/, named likewise; and trixie's symbols (libc6-dbg), for
# tests of debuggers, in target/cache/glibc-dbg/.
#
# usage: fetch-glibc.sh [NAME…]      (all four by default)
#
# What is there already is kept: delete target/cache/glibc to fetch newer builds.
# Exit code 1, with the reason on stderr, if apt or the network is missing.
set -eu
# shellcheck source=tests/scripts/lib.sh
. "$(dirname "$0")/lib.sh"

# suites_of NAME: the suites whose index has that build.
suites_of() {
    case $1 in
    old) echo "bookworm bookworm-security" ;;
    bookworm | trixie | sid) echo "$1" ;;
    *) die "unknown name $1: one of old, bookworm, trixie, sid" ;;
    esac
}

# version_of NAME: the Debian version to fetch, from the indices.
version_of() {
    case $1 in
    old)
        listed=$(versions libc6 'bookworm.*')
        if echo "$listed" | grep -qxF "2.36-9+deb12u7"; then
            echo "2.36-9+deb12u7"
        else
            # The earliest build that the archive still has.
            echo "$listed" | head -n 1
        fi
        ;;
    *) versions libc6 "$1/main" | tail -n 1 ;;
    esac
}

# fetch_dev NAME VERSION: crt objects, linker scripts, libc_nonshared.a.
fetch_dev() {
    if [ ! -d "$glibc_dev/$2" ]; then
        unpack libc6-dev "$2" "$glibc_dev/.new"
        mv "$glibc_dev/.new" "$glibc_dev/$2"
    fi
    ln -sfn "$2" "$glibc_dev/$1"
}

# fetch_dbg NAME VERSION: what debuggers and valgrind read, by build-id.
fetch_dbg() {
    if [ ! -d "$glibc_dbg/$2" ]; then
        unpack libc6-dbg "$2" "$glibc_dbg/.new"
        mv "$glibc_dbg/.new" "$glibc_dbg/$2"
    fi
    ln -sfn "$2" "$glibc_dbg/$1"
}

# is_complete NAME: whether all of that build is there.
is_complete() {
    [ -e "$glibc/$1/lib/x86_64-linux-gnu/libc.so.6" ] || return 1
    case $1 in
    old | bookworm) [ -e "$glibc_dev/$1/usr/lib/x86_64-linux-gnu/crt1.o" ] ;;
    trixie) [ -d "$glibc_dbg/$1/usr/lib/debug/.build-id" ] ;;
    esac
}

fetch() {
    name=$1
    version=$(version_of "$name")
    [ -n "$version" ] || die "no libc6 for $name in the archive's index"
    if [ ! -d "$glibc/$version" ]; then
        unpack libc6 "$version" "$glibc/.new"
        # trixie's package has /usr/lib only: give it the /lib that bookworm's has.
        [ -e "$glibc/.new/lib" ] || ln -s usr/lib "$glibc/.new/lib"
        [ -e "$glibc/.new/lib/x86_64-linux-gnu/libc.so.6" ] ||
            die "libc6 $version has no lib/x86_64-linux-gnu/libc.so.6"
        mv "$glibc/.new" "$glibc/$version"
    fi
    ln -sfn "$version" "$glibc/$name"
    case $name in
    old | bookworm) fetch_dev "$name" "$version" ;;
    trixie) fetch_dbg "$name" "$version" ;;
    esac
    say "glibc $name: $version"
}

[ $# -gt 0 ] || set -- old bookworm trixie sid
glibc=$cache/glibc
glibc_dev=$cache/glibc-dev
glibc_dbg=$cache/glibc-dbg
mkdir -p "$glibc" "$glibc_dev" "$glibc_dbg"

# A second run then finds everything there.
one_at_a_time

missing='' suites=''
for name in "$@"; do
    if ! is_complete "$name"; then
        missing="$missing $name"
        suites="$suites $(suites_of "$name")"
    fi
done
[ -n "$missing" ] || exit 0

for tool in apt-get dpkg-deb; do
    command -v "$tool" >/dev/null || die "$tool is needed to fetch glibc builds"
done
# shellcheck disable=SC2086,SC2046 # word lists
{
    own_apt $(printf '%s\n' $suites | sort -u) || die "cannot read Debian's package indices"
    for name in $missing; do fetch "$name"; done
}
