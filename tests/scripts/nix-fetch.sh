#!/bin/sh
# Fetches what the Nix package set of nix/debian is built from: upstream sources
# of Debian 12's packages, a Rust program with its crates, real builds of glibc (fetch-glibc.sh), and what its
# compiler gives to programs (libstdc++, libgcc_s, the kernel's headers).
#
# usage: nix-fetch.sh slice|full
#
# Everything lands in target/cache; target/cache/nix-sources.nix lists the
# sources with their hashes, for Nix. Nothing is installed.
set -eu
# shellcheck source=tests/scripts/lib.sh
. "$(dirname "$0")/lib.sh"

slice='zlib xz-utils lzip file gawk hello'
full="$slice expat bzip2 libzstd lz4 pcre2 ncurses readline libonig openssl curl
libxml2 sqlite3 bash sed grep jq nano less tar diffutils findutils
gzip patch"
crates=ripgrep

case ${1-} in
slice) sources=$slice ;;
full) sources="$full $crates" ;;
*) die "usage: nix-fetch.sh slice|full" ;;
esac

# The upstream tarball of a source package in the cache, or nothing.
tarball() {
    find "$cache/nix-src/$1" -name '*.orig.tar.*' ! -name '*.asc' 2>/dev/null | head -n 1
}

fetch_source() {
    rm -rf "$cache/nix-src/.new"
    mkdir -p "$cache/nix-src/.new"
    (cd "$cache/nix-src/.new" &&
        own_apt_get source --download-only --tar-only "$1" >&2)
    rm -rf "$cache/nix-src/$1"
    mv "$cache/nix-src/.new" "$cache/nix-src/$1"
    [ -n "$(tarball "$1")" ] || die "the source package $1 has no upstream tarball"
}

# fetch_crate NAME VERSION: a program of crates.io with the sources of all that it is
# made of, as its own Cargo.lock names them, so that it builds without a network.
fetch_crate() {
    # Not below this project, or cargo takes it for a member of our workspace.
    new=$(mktemp -d)
    chmod 755 "$new"
    mkdir -p "$new/ask/src"
    printf '[package]\nname = "ask"\nversion = "0.0.0"\n[workspace]\n[dependencies]\n%s = "=%s"\n' \
        "$1" "$2" >"$new/ask/Cargo.toml"
    : >"$new/ask/src/lib.rs"
    (cd "$new/ask" && "${CARGO:-cargo}" vendor -q --versioned-dirs ../asked >/dev/null)
    mv "$new/asked/$1-$2" "$new/$1-$2"
    rm -rf "$new/ask" "$new/asked"
    (
        cd "$new/$1-$2"
        mkdir -p .cargo
        "${CARGO:-cargo}" vendor -q --locked vendor
        printf '[source.crates-io]\nreplace-with = "vendored"\n[source.vendored]\ndirectory = "vendor"\n' \
            >.cargo/config.toml
    )
    tar -C "$new" --sort=name --owner=0 --group=0 --numeric-owner --mtime=@315532800 \
        -cJf "$new/$1_$2.orig.tar.xz" "$1-$2"
    rm -rf "$new/$1-$2" "$cache/nix-src/$1"
    mv "$new" "$cache/nix-src/$1"
}

# What the compiler gives to programs, unpacked.
runtime="libstdc++6 libgcc-s1 linux-libc-dev"
fetch_runtime() {
    rm -rf "$cache/nix-gcc/.new-$1"
    mkdir -p "$cache/nix-gcc/.new-$1/deb"
    (cd "$cache/nix-gcc/.new-$1/deb" && own_apt_get download "$1" >&2)
    dpkg-deb -x "$cache/nix-gcc/.new-$1"/deb/*.deb "$cache/nix-gcc/.new-$1/root"
    mv "$cache/nix-gcc/.new-$1/root" "$cache/nix-gcc/$1"
    rm -rf "$cache/nix-gcc/.new-$1"
}

"$top/tests/scripts/fetch-glibc.sh" old bookworm trixie
mkdir -p "$cache/nix-src" "$cache/nix-gcc"
# A cache that several worktrees share is known by its one real name.
cache=$(cd "$cache" && pwd -P)
exec 9>"$cache/.lock"
flock 9

missing='' packages=''
for name in $sources; do
    [ -z "$(tarball "$name")" ] || continue
    case $name in
    ripgrep) fetch_crate ripgrep 14.1.1 ;;
    *) missing="$missing $name" ;;
    esac
done
for name in $runtime; do [ -d "$cache/nix-gcc/$name" ] || packages="$packages $name"; done
if [ -n "$missing$packages" ]; then
    own_apt bookworm bookworm:src || die "cannot read Debian's package indices"
    for name in $missing; do fetch_source "$name"; done
    for name in $packages; do fetch_runtime "$name"; done
fi

{
    echo '{'
    for name in $sources; do
        file=$(tarball "$name")
        hash=$(sha256sum "$file" | cut -d ' ' -f 1)
        version=$(basename "$file" | sed 's/^[^_]*_//; s/\.orig\.tar\..*//')
        printf '  "%s" = { path = "%s"; sha256 = "%s"; version = "%s"; };\n' \
            "$name" "$file" "$hash" "$version"
    done
    for name in old bookworm trixie; do
        printf '  "glibc-%s" = "%s";\n' $name "$(readlink "$cache/glibc/$name")"
    done
    echo '}'
} >"$cache/nix-sources.$1.new"
mv "$cache/nix-sources.$1.new" "$cache/nix-sources.$1.nix"
