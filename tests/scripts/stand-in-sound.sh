#!/bin/bash
# Real consumers compiled against a stand-in and against the new tree: where a stand-in is
# chosen, what configure found and every object must be the same, byte for byte.
#
# usage: stand-in-sound.sh INDIR LIBRARY OLD NEW CONSUMER…
#
# After stand-in-pairs.sh, which made trees and words: LIBRARY and the versions as its lines
# have them. What else the consumers are built with has to be installed. Both builds
# see the tree by one path, in one folder. A consumer that asks a `*-config` script of the
# machine sees the machine's library, and proves nothing: look into its log. A line a consumer:
#
#   consumer stands-in|new configuration objects
set -eu
# shellcheck source=tests/scripts/lib.sh
. "$(dirname "$0")/lib.sh"
indir=$(readlink -f "${1:?usage: stand-in-sound.sh INDIR LIBRARY OLD NEW CONSUMER…}")
library=$2 old=$3 new=$4
shift 4
store=$cache/stand-in
work=$store/sound
mkdir -p "$work"
export LC_ALL=C SOURCE_DATE_EPOCH=315532800
tree() { echo "$store/tree/$library-$(echo "$1" | tr ':' '_')"; }

# build CONSUMER: in $work/source against $work/seen.
build() {
    cd "$work/source"
    seen=$work/seen
    export CPPFLAGS="-isystem $seen/include -isystem $seen/include/x86_64-linux-gnu" LDFLAGS="-L$seen/lib"
    export CFLAGS='-O1 -g0 -w' CXXFLAGS='-O1 -g0 -w' PKG_CONFIG_PATH=$seen/lib/pkgconfig:$seen/share/pkgconfig
    if [ -x configure ]; then
        ./configure --disable-dependency-tracking
        make -k -j2
    elif [ -e meson.build ]; then
        meson setup build --buildtype=plain
        ninja -k 0 -C build
    elif [ -e CMakeLists.txt ]; then
        cmake -S . -B build -DCMAKE_C_FLAGS="$CPPFLAGS $CFLAGS" -DCMAKE_CXX_FLAGS="$CPPFLAGS $CXXFLAGS" \
            -DCMAKE_PREFIX_PATH="$seen"
        cmake --build build -j2 -- -k
    else
        make -k -j2 CFLAGS="$CFLAGS $CPPFLAGS" LDFLAGS="$LDFLAGS"
    fi
}

files() { (cd "$1" && find . -type f -name "$2" -print0 | sort -z | xargs -0r sha256sum); }

for consumer in "$@"; do
    words=$store/words/$consumer
    [ -s "$words" ] || { say "$consumer: no words; run stand-in-pairs.sh first"; continue; }
    stands=$("$indir" stand-in --words "$words" --history "$(tree "$old")" --new "$(tree "$new")" \
        --with "$store/with/libc6-dev" --json |
        python3 -c 'import json, sys; print(json.load(sys.stdin)["libraries"][0]["stands_in"])')
    for which in "$old" "$new"; do
        rm -rf "$work/source"
        mkdir -p "$work/source"
        archive=$(find "$store/archives/$consumer" -name '*.orig.tar.*' 2>/dev/null | grep -v '\.asc$' | head -n 1)
        if [ -z "$archive" ]; then
            mkdir -p "$store/archives/$consumer"
            (cd "$store/archives/$consumer" && own_apt_get source --download-only --tar-only "$consumer" >&2)
            archive=$(find "$store/archives/$consumer" -name '*.orig.tar.*' | grep -v '\.asc$' | head -n 1)
        fi
        tar -C "$work/source" --strip-components 1 --no-same-owner -xf "$archive"
        ln -sfn "$(tree "$which")" "$work/seen"
        (build) >"$work/$consumer-$which.log" 2>&1 || say "$consumer $which: ends with an error, see $work/$consumer-$which.log"
        name=$([ "$which" = "$old" ] && echo before || echo after)
        files "$work/source" 'config*.h' >"$work/$name.config"
        files "$work/source" '*.o' >"$work/$name.objects"
    done
    differ() { diff "$work/before.$1" "$work/after.$1" | grep -c '^[<>]' || :; }
    printf '%s %s %s objects, %s lines of configuration and %s of objects differ\n' "$consumer" \
        "$([ "$stands" = True ] && echo stands-in || echo new)" "$(wc -l <"$work/after.objects")" \
        "$(differ config)" "$(differ objects)"
done
