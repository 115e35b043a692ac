#!/bin/bash
# SQLite and libcrypto (which has hand-written assembly), linked with their relocations kept:
# no function or object that a relocation leads to is one that `indir reach` does not see.
# Counts are in docs/reach.md. It takes some ten minutes on two cores.
#
# usage: reach-truth.sh [sqlite|libcrypto]…      (sqlite by default: docs/reach.md says why)
set -eu
# shellcheck source=tests/scripts/lib.sh
. "$(dirname "$0")/lib.sh"

[ $# -gt 0 ] || set -- sqlite
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
flags='-O2 -fPIC -w -ffunction-sections -fdata-sections'
link='-shared -nostdlib -Wl,--emit-relocs'

# unpacked PACKAGE PATTERN: its upstream source, as a folder.
unpacked() {
    # shellcheck disable=SC2154 # lib.sh
    "$top/tests/scripts/fetch-source.sh" "$1"
    mkdir "$work/$1"
    # shellcheck disable=SC2154 # lib.sh
    tar -xf "$(find "$cache/src" -name "$2" | head -n 1)" -C "$work/$1" --strip-components 1
    echo "$work/$1"
}

libraries=''
for name; do
    case $name in
    sqlite)
        folder=$(unpacked sqlite3 'sqlite3_*.orig.tar.*')
        (cd "$folder" && mkdir -p b && cd b && ../configure --disable-tcl && make sqlite3.c) >"$work/log" 2>&1 || die "$(tail -n 3 "$work/log")"
        # shellcheck disable=SC2086 # flags
        cc $flags $link -DSQLITE_ENABLE_FTS5 -Wl,-soname,libsqlite3.so.0 -o "$work/libsqlite3.so.0" "$folder/b/sqlite3.c"
        libraries=$libraries:$work/libsqlite3.so.0
        ;;
    libcrypto)
        folder=$(unpacked openssl 'openssl_*.orig.tar.*')
        # shellcheck disable=SC2086 # flags
        (cd "$folder" && ./Configure linux-x86_64 no-shared no-tests no-module $flags && make build_generated && make -j2 libcrypto.a) >"$work/log" 2>&1 || die "$(tail -n 3 "$work/log")"
        # shellcheck disable=SC2086 # flags
        cc $link -Wl,-soname,libcrypto.so.3 -o "$work/libcrypto.so.3" -Wl,--whole-archive "$folder/libcrypto.a" -Wl,--no-whole-archive
        libraries=$libraries:$work/libcrypto.so.3
        ;;
    *) die "unknown: $name" ;;
    esac
done
cd "$top"
INDIR_TRUTH=$libraries cargo test --workspace --locked --test it -- --nocapture reach::truth::nothing_of_what_else
