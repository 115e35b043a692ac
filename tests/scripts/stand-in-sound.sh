#!/bin/bash
# Real consumers compiled against a stand-in and against the new tree: where a stand-in is
# chosen, what configure found and every object must be the same, byte for byte.
#
# usage: stand-in-sound.sh INDIR LIBRARY OLD NEW CONSUMER…
#
# After stand-in-pairs.sh, which made trees and words: LIBRARY and the versions as its lines
# have them. What else the consumers are built with has to be installed. Both builds
# see the tree by one path, in one folder. The choice is made with the headers of all that a
# consumer's Build-Depends name, as stand-in-pairs.sh makes it. A consumer that asks a
# `*-config` script of the machine sees the machine's library, and proves nothing: look into
# its log. A line a consumer:
#
#   consumer stands-in|new objects, lines of configuration and of objects that differ
#
# Exit code 1 if a stand-in was chosen and something differs, or a consumer proves nothing:
# it has no words, or no object was made.
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
faults=0
fault() { say "$@"; faults=$((faults + 1)); }
tree() { echo "$store/tree/$library-$(echo "$1" | tr ':' '_')"; }
for which in "$old" "$new"; do
    [ -d "$(tree "$which")" ] || die "$library $which: no tree; run stand-in-pairs.sh first"
done

# chosen CONSUMER: whether the old tree stands in, True or False.
chosen() {
    args=()
    own=" $(cat "$store/$library.packages") "
    while read -r package; do
        case $own in *" $package "*) continue ;; esac
        [ -z "$(ls -A "$store/with/$package" 2>/dev/null)" ] || args+=(--with "$store/with/$package")
    done <"$store/needs/$1"
    "$indir" stand-in --words "$store/words/$1" --history "$(tree "$old")" --new "$(tree "$new")" \
        "${args[@]}" --json >"$work/$1.json" || return 1
    python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["libraries"][0]["stands_in"])' "$work/$1.json"
}

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

# archive CONSUMER: its upstream source.
archive() {
    find "$store/archives/$1" -name '*.orig.tar.*' 2>/dev/null | grep -v '\.asc$' | head -n 1
}

files() { (cd "$1" && find . -type f -name "$2" -print0 | sort -z | xargs -0r sha256sum); }
differ() { diff "$work/before.$1" "$work/after.$1" | grep -c '^[<>]' || :; }

for consumer in "$@"; do
    if ! [ -s "$store/words/$consumer" ] || ! [ -e "$store/needs/$consumer" ]; then
        fault "$consumer: no words; run stand-in-pairs.sh first"
        continue
    fi
    stands=$(chosen "$consumer") || { fault "$consumer: no choice can be made"; continue; }
    if [ -z "$(archive "$consumer")" ]; then
        mkdir -p "$store/archives/$consumer"
        (cd "$store/archives/$consumer" && own_apt_get source --download-only --tar-only "$consumer" >&2)
    fi
    for which in "$old" "$new"; do
        rm -rf "$work/source"
        mkdir -p "$work/source"
        tar -C "$work/source" --strip-components 1 --no-same-owner -xf "$(archive "$consumer")"
        ln -sfn "$(tree "$which")" "$work/seen"
        (build) >"$work/$consumer-$which.log" 2>&1 || say "$consumer $which: ends with an error, see $work/$consumer-$which.log"
        name=$([ "$which" = "$old" ] && echo before || echo after)
        files "$work/source" 'config*.h' >"$work/$name.config"
        files "$work/source" '*.o' >"$work/$name.objects"
    done
    config=$(differ config) objects=$(differ objects) count=$(wc -l <"$work/after.objects")
    printf '%s %s %s objects, %s lines of configuration and %s of objects differ\n' "$consumer" \
        "$([ "$stands" = True ] && echo stands-in || echo new)" "$count" "$config" "$objects"
    [ "$count" -gt 0 ] || fault "$consumer: no object was made"
    if [ "$stands" = True ] && [ "$config$objects" != 00 ]; then
        fault "$consumer: a stand-in was chosen and the builds differ"
    fi
done
[ "$faults" = 0 ] || die "$faults of the consumers failed"
