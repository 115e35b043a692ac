#!/bin/sh
# Starts every program of a system of arm64 packages under qemu's user mode three times:
# as it is, adopted with a direct plan, and with a bound one, and compares what they print
# and how they end. Which arguments make a program do something and end is not known, so
# each gets `--version`: it is loaded, bound and begun.
#
# usage: aarch64-programs.sh PREFIX/bin/indir [ROOT [GLIBC]]
#
# ROOT is a folder as fetch-arm64.sh makes it, target/cache/arm64/root by default; GLIBC a
# folder with another glibc, that of ROOT by default. PREFIX is laid out by an indir that
# was built with INDIR_TARGETS=x86_64,aarch64. One line a program that differs, and the
# counts; exit code 1 if any does.
set -eu
# shellcheck source=tests/scripts/lib.sh
. "$(dirname "$0")/lib.sh"

[ $# -gt 0 ] || die "usage: aarch64-programs.sh PREFIX/bin/indir [ROOT [GLIBC]]"
indir=$1 root=${2:-$cache/arm64/root}
[ -d "$root/usr/bin" ] || die "no $root/usr/bin: run tests/scripts/fetch-arm64.sh"
lib=$root/usr/lib/aarch64-linux-gnu
glibc=${3:-$lib}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# start PROGRAM NAME: its output and its exit code in $work/NAME.
start() {
    status=0
    (
        cd "$work/empty"
        LC_ALL=C HOME=$work/empty timeout 60 qemu-aarch64 -0 program -L "$root" "$1" --version
    ) >"$work/$2" 2>&1 </dev/null || status=$?
    echo "exit $status" >>"$work/$2"
}

mkdir "$work/empty"
programs=0 differ=0 skipped=0 bound=0
for program in "$root"/usr/bin/* "$root"/usr/sbin/*; do
    if [ ! -f "$program" ] || [ -h "$program" ]; then continue; fi
    rm -rf "$work/new"
    mkdir "$work/new"
    name=${program##*/}
    copy=$work/new/$name
    "$indir" adopt --lib-dir "$glibc" --lib-dir "$lib" -o "$copy" "$program" \
        >/dev/null 2>"$work/why" || {
        # Scripts, static programs, those whose libraries are no package of the root.
        skipped=$((skipped + 1))
        continue
    }
    programs=$((programs + 1))
    start "$program" ordinary
    for plan in direct bound; do
        "$indir" update -q --plan "$plan" "$copy" 2>"$work/why" || die "$name: $(cat "$work/why")"
        start "$copy" "$plan"
        cmp -s "$work/ordinary" "$work/$plan" || {
            differ=$((differ + 1))
            echo "$name differs ($plan): $(diff "$work/ordinary" "$work/$plan" | sed -n 2p)"
        }
    done
    INDIR_DEBUG=1 start "$copy" debug
    ! grep -q 'bindings applied' "$work/debug" || bound=$((bound + 1))
done
echo "$programs programs, $differ starts differ, $bound with bindings applied; $skipped files are none"
[ "$differ" = 0 ]
