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
# target/cache/glibc-dev/, named likewise.
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
        listed=$(own_apt_cache madison libc6 | awk '$6 ~ /^bookworm/ { print $3 }')
        if echo "$listed" | grep -qxF "2.36-9+deb12u7"; then
            echo "2.36-9+deb12u7"
        else
            # The earliest build that the archive still has.
            echo "$listed" | sort -V | head -n 1
        fi
        ;;
    *)
        own_apt_cache madison libc6 |
            awk -v suite="$1/main" '$6 == suite { print $3 }' |
            sort -V | tail -n 1
        ;;
    esac
}

# fetch_dev NAME VERSION: crt objects, linker scripts, libc_nonshared.a.
fetch_dev() {
    if [ ! -d "$glibc_dev/$2" ]; then
        rm -rf "$glibc_dev/.new"
        mkdir -p "$glibc_dev/.new/deb"
        (cd "$glibc_dev/.new/deb" && own_apt_get download "libc6-dev=$2" >&2)
        dpkg-deb -x "$glibc_dev"/.new/deb/libc6-dev_*.deb "$glibc_dev/.new/root"
        mv "$glibc_dev/.new/root" "$glibc_dev/$2"
        rm -rf "$glibc_dev/.new"
    fi
    ln -sfn "$2" "$glibc_dev/$1"
}

# is_complete NAME: whether all of that build is there.
is_complete() {
    [ -e "$glibc/$1/lib/x86_64-linux-gnu/libc.so.6" ] || return 1
    case $1 in
    old | bookworm) [ -e "$glibc_dev/$1/usr/lib/x86_64-linux-gnu/crt1.o" ] ;;
    esac
}

fetch() {
    name=$1
    version=$(version_of "$name")
    [ -n "$version" ] || die "no libc6 for $name in the archive's index"
    if [ ! -d "$glibc/$version" ]; then
        rm -rf "$glibc/.new"
        mkdir -p "$glibc/.new/deb"
        (cd "$glibc/.new/deb" && own_apt_get download "libc6=$version" >&2)
        dpkg-deb -x "$glibc"/.new/deb/libc6_*.deb "$glibc/.new/root"
        # trixie's package has /usr/lib only: give it the /lib that bookworm's has.
        [ -e "$glibc/.new/root/lib" ] || ln -s usr/lib "$glibc/.new/root/lib"
        [ -e "$glibc/.new/root/lib/x86_64-linux-gnu/libc.so.6" ] ||
            die "libc6 $version has no lib/x86_64-linux-gnu/libc.so.6"
        mv "$glibc/.new/root" "$glibc/$version"
        rm -rf "$glibc/.new"
    fi
    ln -sfn "$version" "$glibc/$name"
    case $name in old | bookworm) fetch_dev "$name" "$version" ;; esac
    say "glibc $name: $version"
}

[ $# -gt 0 ] || set -- old bookworm trixie sid
glibc=$cache/glibc
glibc_dev=$cache/glibc-dev
mkdir -p "$glibc" "$glibc_dev"

# One run at a time: a second one waits and then finds everything there.
exec 9>"$cache/.lock"
flock 9

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
