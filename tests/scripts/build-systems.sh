#!/bin/sh
# Builds, tests, installs and uses projects from Debian's sources, with the plain
# linker and with indir-ld, and compares what came of it: the exit code of each step,
# what configure found out, the result of each test of the project's own suite, the
# installed files, their run paths, and what the installed programs print. Exit code 1
# if anything differs.
#
# usage: build-systems.sh PREFIX [-l LINKER]… [PROJECT…]
#
# PREFIX is what `indir setup` made. The default are all of bfd, gold, lld and mold and
# all projects below: autoconf, libtool, CMake (with an installed run path, CTest, and a
# consumer of the installed package) and Meson. All of it takes about half an hour on two
# processors.
# The kinds are functions that are called by name.
# shellcheck disable=SC2317
set -eu
# shellcheck source=tests/scripts/lib.sh
. "$(dirname "$0")/lib.sh"

[ $# -ge 1 ] || die "usage: build-systems.sh PREFIX [-l LINKER]... [PROJECT...]"
prefix=$(realpath "$1")
shift
[ -x "$prefix/libexec/indir/ld" ] || die "$prefix is no prefix of \`indir setup\`"
linkers=
while [ "${1-}" = -l ]; do
    linkers="$linkers $2"
    shift 2
done
: "${linkers:=bfd gold lld mold}"
[ $# -gt 0 ] || set -- hello popt jansson libyaml libpng1.6 cjson json-c fribidi

kind_of() {
    case $1 in
    hello | popt | jansson | libyaml | libpng1.6) echo autotools ;;
    cjson | json-c) echo cmake ;;
    fribidi) echo meson ;;
    *) die "unknown project: $1" ;;
    esac
}

for tool in gcc make autoreconf libtoolize cmake ctest meson ninja pkg-config readelf mold ld.lld ld.gold; do
    command -v "$tool" >/dev/null || die "no \`$tool\`: apt-get install build-essential autoconf automake libtool cmake meson pkg-config mold lld"
done

scratch=$(mktemp -d "${TMPDIR:-/var/tmp}/indir-builds-XXXXXX")
trap 'rm -rf "$scratch"' EXIT
# Both ways have the same paths, so that whatever holds a path is comparable.
work=$scratch/work
root=$scratch/root
jobs=$(nproc)

# step NAME COMMAND…: runs it, its exit code is part of the result.
step() {
    name=$1
    shift
    code=0
    timeout 1200 "$@" >>"$work/log" 2>&1 </dev/null || code=$?
    echo "$name: exit $code"
}

autotools() {
    cd "$work/source"
    # Some tarballs are of a repository.
    [ -x configure ] || step autoreconf autoreconf -fi
    # config.guess and the tests want no outer settings.
    step configure ./configure --prefix="$root" CC="gcc $wrapper" LDFLAGS="-fuse-ld=$linker"
    find . -name config.h -exec sha256sum {} + | sort
    # What libtool found out; the linker's flags are named in it.
    [ ! -f libtool ] || grep -E '^(hardcode_|fast_install|shlibpath_|link_all_)' libtool
    step make make -j"$jobs"
    step check make check
    grep -hE '^(PASS|FAIL|XFAIL|XPASS|SKIP|ERROR): ' "$work/log" | sort
    step install make install
    step installcheck make installcheck
}

cmake_project() {
    cd "$work"
    step configure cmake -S source -B build -DCMAKE_INSTALL_PREFIX="$root" \
        -DCMAKE_INSTALL_RPATH="$root/lib" -DCMAKE_INSTALL_LIBDIR=lib -DCMAKE_BUILD_TYPE=Release \
        -DBUILD_SHARED_LIBS=ON -DENABLE_CJSON_UTILS=ON -DCMAKE_EXE_LINKER_FLAGS="$flags" \
        -DCMAKE_SHARED_LINKER_FLAGS="$flags"
    find build -name '*config.h' -exec sha256sum {} + | sort
    step build cmake --build build -j"$jobs"
    (cd build && step test ctest -j1)
    sed -n 's/^ *[0-9]*\/[0-9]* Test *#\([0-9]*: [^ ]*\) \.* *\([A-Za-z* ]*\) .*/\1 \2/p' "$work/log" |
        tr -s ' ' | sed 's/ *$//' | sort
    step install cmake --install build
    mkdir consumer
    target=$1
    cat >consumer/CMakeLists.txt <<CMAKE
cmake_minimum_required(VERSION 3.13)
project(consumer C)
find_package($target REQUIRED)
add_executable(consumer main.c)
target_link_libraries(consumer $2)
install(TARGETS consumer)
CMAKE
    printf '%s\n' "$3" >consumer/main.c
    step consumer cmake -S consumer -B use -DCMAKE_PREFIX_PATH="$root" \
        -DCMAKE_INSTALL_PREFIX="$root" -DCMAKE_INSTALL_RPATH="$root/lib" \
        -DCMAKE_EXE_LINKER_FLAGS="$flags"
    step use cmake --build use
    step run use/consumer
    step install-use cmake --install use
    step run-installed "$root/bin/consumer"
}

meson_project() {
    cd "$work"
    step setup env LDFLAGS="$flags" meson setup --prefix="$root" --libdir=lib \
        "$1" build source
    find build -name config.h -exec sha256sum {} + | sort
    step build ninja -C build
    step test meson test -C build
    sed -n 's/^ *[0-9]*\/[0-9]* \(.*[^ ]\)  *\(OK\|FAIL\|SKIP\|EXPECTEDFAIL\|TIMEOUT\|ERROR\)  .*/\1 \2/p' "$work/log" |
        tr -s ' ' | sed 's/ *$//' | sort
    step install meson install -C build
}

# What is installed: files, run paths, output of `--version`.
installed() {
    cd "$root"
    find . ! -type d | sort
    find . -type f | sort | while read -r file; do
        readelf -dW "$file" 2>/dev/null | sed -n "s|.*(\(RPATH\|RUNPATH\|NEEDED\|SONAME\)).*\[\(.*\)\]|$file \1 \2|p"
    done
    for program in bin/*; do
        [ -f "$program" ] || continue
        code=0
        timeout 20 "./$program" --version >"$scratch/said" 2>&1 </dev/null || code=$?
        echo "$program --version: exit $code, $(sha256sum <"$scratch/said")"
    done
}

# once PROJECT: builds it in $work with $flags and prints its result.
once() {
    rm -rf "$work" "$root"
    mkdir -p "$work/source" "$root"
    tar -xf "$cache/src/$1"_*.orig.tar.* -C "$work/source" --strip-components=1
    case $1 in
    cjson) cmake_project cJSON cjson '#include <cjson/cJSON.h>
#include <stdio.h>
int main(void) { cJSON *j = cJSON_Parse("{\"a\":[1,2]}"); puts(cJSON_PrintUnformatted(j)); return !j; }' ;;
    json-c) cmake_project json-c json-c::json-c '#include <json.h>
#include <stdio.h>
int main(void) { json_object *j = json_tokener_parse("{\"a\":[1,2]}"); puts(json_object_to_json_string(j)); return !j; }' ;;
    fribidi) meson_project "-Ddocs=false" ;;
    *) "$(kind_of "$1")" ;;
    esac
    installed
}

failed=0
for project in "$@"; do
    kind=$(kind_of "$project")
    fetch_source "$project" || die "cannot download the sources of $project"
    for linker in $linkers; do
        for way in plain indir; do
            flags=-fuse-ld=$linker wrapper=
            if [ $way = indir ]; then
                # In CC, because libtool leaves it out of LDFLAGS.
                wrapper=-B$prefix/libexec/indir
                flags="$wrapper $flags"
            fi
            (once "$project") >"$scratch/$way" || die "$project, $linker, $way: the script failed"
            [ $way = plain ] || indirect=$(find "$work" "$root" -type f -perm -u+x -exec \
                readelf -lW {} + 2>/dev/null | grep -c 'program interpreter: .*ld-indir') || true
            # Flags are recorded by some projects.
            sed -i "s|-B$prefix/libexec/indir ||g" "$scratch/$way"
        done
        # What was not built compares nothing.
        if [ "$indirect" -eq 0 ] || grep -qE '^(configure|setup|make|build): exit [1-9]' "$scratch/plain"; then
            if ! cmp -s "$scratch/plain" "$scratch/indir"; then
                tail -n 20 "$work/log" >&2
                failed=1
            fi
            echo "$project ($kind), $linker: not built: $(grep -E ': exit [1-9]' "$scratch/plain" | head -n 1)"
            continue
        fi
        tests=$(grep -cE '(^(PASS|XFAIL): | (Passed|OK)$)' "$scratch/plain") || true
        steps=$(grep -cE ': exit 0$' "$scratch/plain") || true
        bad=$(grep -E ': exit [1-9]' "$scratch/plain" | tr '\n' ' ') || true
        if cmp -s "$scratch/plain" "$scratch/indir"; then
            verdict=same
        else
            verdict=DIFFERS
            failed=1
        fi
        echo "$project ($kind), $linker: $verdict; $steps steps, $tests tests pass, $indirect indirect programs${bad:+; fails both ways: $bad}"
        [ "$verdict" = same ] || diff "$scratch/plain" "$scratch/indir" | head -n 40 || true
    done
done
exit $failed
