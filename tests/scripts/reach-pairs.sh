#!/bin/bash
# Real upgrades of libraries in Debian 12: what each changes, and what `indir reach` says to
# the programs of this machine. What was counted is in docs/benchmarks.md.
#
# usage: reach-pairs.sh [INDIR [PACKAGE…]]      (target/release/indir, and all, by default)
#
# The sources of the build of bookworm and of the one of its security archive are fetched
# through an apt root of their own, patched as Debian does, and built alike with the
# compiler at hand: Debian's own builds have their symbols in an archive that mirrors
# seldom have. So what differs is the fixes, as in a set with one pinned compiler.
#
#   target/cache/reach-pairs/<library>/<old|new>/lib*.so.*
#
# What is there already is kept. A line a pair: library, versions, programs that load it, and
# of those affected, same, unknown.
set -eu
# shellcheck source=tests/scripts/lib.sh
. "$(dirname "$0")/lib.sh"

indir=${1:-$target/release/indir}
[ -x "$indir" ] || die "$indir is no program: cargo build --release, or name one"
for tool in dpkg-source cc make cmake python3; do
    command -v "$tool" >/dev/null || die "$tool is missing"
done
pairs=$cache/reach-pairs
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$pairs"

# source PACKAGE VERSION FOLDER
source_of() {
    (
        mkdir -p "$work/dsc" && cd "$work/dsc" && rm -rf ./*
        own_apt_get source --download-only "$1=$2" >&2
        dpkg-source --no-check -x ./*.dsc "$3" >&2
    )
}

# build KIND FOLDER: the libraries of a source, below it.
build() {
    (
        cd "$2"
        export CFLAGS='-O2 -g0 -fstack-protector-strong -D_FORTIFY_SOURCE=2' CXXFLAGS='-O2 -g0'
        case $1 in
        autotools)
            [ -x configure ] || autoreconf -fi
            ./configure --disable-static --disable-dependency-tracking
            make -k -j2 || :
            ;;
        expat) cd expat && { [ -x configure ] || autoreconf -fi; } && ./configure --disable-static --without-docbook --without-tests --without-examples && make -j2 ;;
        libcap) make -C libcap -j2 GOLANG=no ;;
        cmake) cmake -S . -B b -DBUILD_SHARED_LIBS=ON -DCMAKE_BUILD_TYPE=None && cmake --build b -j2 ;;
        openssl) ./Configure linux-x86_64 shared no-tests && make -j2 build_libs ;;
        libxml2) autoreconf -fi && ./configure --disable-static --without-python && make -j2 libxml2.la ;;
        esac
    ) >"$work/log" 2>&1
}

# Kind, source, soname.
list='autotools xz-utils liblzma.so.5
expat expat libexpat.so.1
libcap libcap2 libcap.so.2
autotools tiff libtiff.so.6
cmake brotli libbrotlicommon.so.1,libbrotlidec.so.1,libbrotlienc.so.1
autotools nghttp2 libnghttp2.so.14
autotools pcre2 libpcre2-8.so.0
autotools libpng1.6 libpng16.so.16
libxml2 libxml2 libxml2.so.2
autotools freetype libfreetype.so.6
autotools libarchive libarchive.so.13
autotools sqlite3 libsqlite3.so.0
autotools libgcrypt20 libgcrypt.so.20
openssl openssl libssl.so.3,libcrypto.so.3'

own_apt bookworm:src bookworm-security:src || die "cannot read Debian's package indices"
find /usr/bin /usr/sbin -maxdepth 1 -type f -perm -0100 -print0 |
    xargs -0r readelf -lW 2>/dev/null | sed -n 's/^File: /F/p; s/.*\[Requesting program interpreter.*/I/p' |
    sed -n '/^F/h; /^I/{x;s/^F//p}' >"$work/programs"
mapfile -t programs <"$work/programs"
say "${#programs[@]} programs"

while read -r kind package sonames; do
    [ $# -lt 2 ] || case " ${*:2} " in *" $package "*) ;; *) continue ;; esac
    folder=$pairs/$package
    if [ ! -e "$folder/done" ]; then
        mapfile -t versions < <(own_apt_cache showsrc --only-source "$package" | sed -n 's/^Version: //p' | sort -Vu)
        if [ "${#versions[@]}" -lt 2 ]; then
            say "$package: one build only (${versions[*]-})"
            continue
        fi
        rm -rf "$folder"
        for which in old new; do
            [ $which = old ] && version=${versions[0]} || version=${versions[-1]}
            mkdir -p "$folder/$which"
            if ! source_of "$package" "$version" "$work/$which" || ! build "$kind" "$work/$which"; then
                say "$package $version: not built"; tail -n 3 "$work/log" >&2
                continue 2
            fi
            for soname in ${sonames//,/ }; do
                found=$(find "$work/$which" -name "$soname*" -type f -print -quit)
                [ -n "$found" ] || { say "$package $version: no $soname"; continue 3; }
                cp -L "$found" "$folder/$which/$soname"
            done
            rm -rf "${work:?}/$which"
            echo "$version" >"$folder/$which/version"
        done
        touch "$folder/done"
    fi
    "$indir" reach --json --graphs "$pairs/graphs" "$folder/old" "$folder/new" "${programs[@]}" >"$work/told.json" 2>/dev/null || :
    python3 - "$package" "$(cat "$folder/old/version")" "$(cat "$folder/new/version")" "$work/told.json" <<'P'
import collections, json, sys
package, old, new, path = sys.argv[1:]
told = json.load(open(path))["executables"]
# What loads nothing that differs has no sum.
loads = [one for one in told if one["state"] != "same" or one.get("slice")]
states = collections.Counter(one["state"] for one in loads)
why = collections.Counter(" ".join(one["message"].split(";")[0].split()[-6:]) for one in loads if one["state"] == "unknown")
print(f'| {package} {old} → {new} | {len(loads)} | {states["affected"]} | {states["same"]} | {states["unknown"]} | {why.most_common(2)}')
P
done <<<"$list"
