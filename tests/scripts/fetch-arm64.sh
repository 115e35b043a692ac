#!/bin/sh
# Downloads Debian packages of arm64 and unpacks them, never installing them and without
# telling the machine's dpkg of another architecture:
#
#   target/cache/arm64/root                  bookworm's programs and what they need, as the
#                                            root of a system: a --sysroot
#   target/cache/arm64/glibc/<version>       libc6 alone, with a short name for each:
#                                            bookworm (2.36), trixie (2.41), sid
#   target/cache/arm64/large                 the same as root of many more programs
#
# usage: fetch-arm64.sh [NAME…]      (root and glibc by default; large for the long runs)
#
# What is there already is kept: delete target/cache/arm64 to fetch newer builds.
# Exit code 1, with the reason on stderr, if apt or the network is missing.
set -eu
# shellcheck source=tests/scripts/lib.sh
. "$(dirname "$0")/lib.sh"

# Programs, and libraries of each kind: C++, TLS, versions, IFUNC, variant PCS (libm).
root_packages="bash coreutils git python3-minimal curl libstdc++6 libssl3 zlib1g libxml2
    libsqlite3-0 libpng16-16 libbz2-1.0 liblzma5 libzstd1 libncursesw6 libgmp10 libexpat1"
large_packages="$root_packages findutils diffutils grep gawk sed tar gzip xz-utils bzip2
    util-linux procps psmisc iproute2 openssh-client gnupg vim-tiny nano less man-db file
    perl ffmpeg sqlite3 gdb binutils gcc-12 make cmake ninja-build jq rsync wget dnsutils
    nmap tcpdump strace ltrace lsof htop tmux screen zsh dash busybox ruby php-cli lua5.4
    imagemagick ghostscript poppler-utils graphviz gtk-3-examples mpv sox flac lame
    postgresql-client-15 nginx-light redis-tools protobuf-compiler clang-14 libmagickcore-6.q16-6"

# unpack_root NAME PACKAGE…: the packages and all that they depend on.
unpack_root() {
    name=$1
    shift
    rm -rf "$arm64/.new" "$arm64/.debs"
    mkdir -p "$arm64/.debs/partial"
    own_apt_get -o APT::Architecture=arm64 -o Dir::Cache::archives="$arm64/.debs" \
        install -y --download-only --no-install-recommends "$@" >"$arm64/.log" 2>&1 || {
        tail -n 20 "$arm64/.log" >&2
        die "cannot download $name"
    }
    # As in an installed system; packages of bookworm have files in both.
    mkdir -p "$arm64/.new/usr/lib" "$arm64/.new/usr/bin" "$arm64/.new/usr/sbin"
    for folder in lib bin sbin; do ln -s "usr/$folder" "$arm64/.new/$folder"; done
    for deb in "$arm64/.debs"/*.deb; do
        dpkg-deb --fsys-tarfile "$deb" |
            tar -x --keep-directory-symlink --no-same-owner -C "$arm64/.new" \
                --exclude='./usr/share/*' --exclude='./dev/*' || die "cannot unpack $deb"
    done
    rm -rf "${arm64:?}/$name" "$arm64/.debs" "$arm64/.log"
    mv "$arm64/.new" "$arm64/$name"
    say "arm64 $name: $(find "$arm64/$name" -type f | wc -l) files"
}

# fetch_glibc NAME: the newest libc6 of that release.
fetch_glibc() {
    version=$(versions libc6:arm64 "$1/main" | tail -n 1)
    [ -n "$version" ] || die "no libc6 of arm64 for $1 in the archive's index"
    if [ ! -d "$arm64/glibc/$version" ]; then
        unpack libc6:arm64 "$version" "$arm64/glibc/.new"
        [ -e "$arm64/glibc/.new/lib" ] || ln -s usr/lib "$arm64/glibc/.new/lib"
        mv "$arm64/glibc/.new" "$arm64/glibc/$version"
    fi
    ln -sfn "$version" "$arm64/glibc/$1"
    say "arm64 glibc $1: $version"
}

[ $# -gt 0 ] || set -- root glibc
arm64=$cache/arm64
mkdir -p "$arm64/glibc"
# A second run then finds everything there.
one_at_a_time

missing=''
for name in "$@"; do
    case $name in
    root | large) [ -d "$arm64/$name/usr" ] || missing="$missing $name" ;;
    glibc)
        for release in bookworm trixie sid; do
            [ -e "$arm64/glibc/$release/lib/aarch64-linux-gnu/libc.so.6" ] ||
                missing="$missing $release"
        done
        ;;
    *) die "unknown name $name: one of root, glibc, large" ;;
    esac
done
[ -n "$missing" ] || exit 0

for tool in apt-get dpkg-deb; do
    command -v "$tool" >/dev/null || die "$tool is needed to fetch packages of arm64"
done
case $missing in
*trixie* | *sid*) own_apt bookworm:arm64 trixie:arm64 sid:arm64 ;;
*) own_apt bookworm:arm64 ;;
esac || die "cannot read Debian's package indices"
for name in $missing; do
    case $name in
    bookworm | trixie | sid) fetch_glibc "$name" ;;
    esac
done
case $missing in
*root* | *large*) own_apt bookworm:arm64 || die "cannot read Debian's package indices" ;;
esac
# shellcheck disable=SC2086 # word lists
for name in $missing; do
    case $name in
    root) unpack_root root $root_packages ;;
    large) unpack_root large $large_packages ;;
    esac
done
