#!/bin/bash
# Stubs of indir and of llvm-ifs 19, side by side: what docs/benchmarks.md,
# "Stubs", shows.
#
# usage: bench-stubs.sh [times|programs|all [STEP]]
#
# Of everything, or of every STEPth library. `times`: for every 64-bit library and plugin under /usr/lib, one process of each
# by turns: time, failures, bytes. `programs`: for every library of the multiarch folder
# with which it works, a program that refers to up to 100 functions and 60 objects
# is linked (GNU ld, -no-pie) against the real library and against both stubs, each
# in a folder with the stubs of all the others, and run with the real libraries.
set -eu
# shellcheck source=tests/scripts/lib.sh
. "$(dirname "$0")/lib.sh"

lib=/usr/lib/x86_64-linux-gnu
say_c=$top/tests/it/fixtures/say.c
ifs=llvm-ifs-19
export LC_ALL=C TIMEFORMAT='%R %U %S'

# cut TOOL LIBRARY OUTPUT
cut_stub() {
    case $1 in
    indir) "${INDIR:-$target/release/indir}" stub "$2" -o "$3" ;;
    llvm-ifs) $ifs --input-format=ELF --output-elf="$3" "$2" ;;
    esac >"$3.log" 2>&1
}

# The program: the names that can be linked with, evenly chosen.
source_of() {
    readelf --dyn-syms -W "$1" | awk '
        function pick(list, count, most,    step, at) {
            step = int((count + most - 1) / most); if (step < 1) step = 1
            for (at = 0; at < count; at += step) print list[at]
        }
        NF >= 8 && $7 ~ /^[0-9]+$/ && $6 == "DEFAULT" && $5 != "LOCAL" {
            name = $8
            if (name ~ /PRIVATE|INTERNAL|^krb5int_/ || (name ~ /@/ && name !~ /@@/)) next
            sub(/@@.*/, "", name)
            if (name !~ /^[A-Za-z0-9_.$]+$/ || seen[name]++) next
            if (name ~ /^(main|_init|_fini|_end|_edata|__bss_start|_start)$/) next
            size = strtonum($3)
            if ($4 == "FUNC" || $4 == "IFUNC") code[codes++] = name " 0"
            else if ($4 == "OBJECT" && size >= 1 && size <= 65536) data[datas++] = name " " size
        }
        END { pick(code, codes, 100); pick(data, datas, 60) }' | awk '
        {
            what = $2 == 0 ? "void s" NR "(void)" : "char s" NR "[" $2 "]"
            head = head "extern " what " __asm__(\"" $1 "\");\n"
            body = body "say(\"" $1 "\", (void *)s" NR ", " $2 ");\n"
        }
        END {
            if (NR == 0) exit 1
            print "extern void say(const char *, const void *, unsigned long);"
            print head "int main(void) {\n" body "return 0; }"
        }'
}

# What must be equal in two links: symbols with type, binding, size of copies;
# version needs; needed libraries.
facts() {
    readelf --dyn-syms -W "$1" | awk '$7 == "UND" { print $4, $5, $8 } $7 ~ /^[0-9]+$/ { print $3, $4, $5, $8 }' |
        sed 's/ ([0-9]*)$//; s/@@/@/' | sort
    readelf -VW "$1" | sed -n 's/.*\(File: [^ ]*\).*/\1/p; s/.*\(Name: [^ ]*\) .*Flags.*/\1/p' | sort
    readelf -dW "$1" | sed -n 's/.*NEEDED.*\[/needed /p'
}

# started PROGRAM: what it says of each symbol, and its exit code.
started() {
    code=0
    timeout 20 "$1" >"$1.out" 2>/dev/null </dev/null || code=$?
    grep -aE "^[^ ]+ (same|other|none) " "$1.out" || :
    echo "exit $code"
}

# verdict TOOL: of the program in this folder against the stub of that tool.
verdict() {
    stub=$work/$1/$2
    [ -s "$stub" ] || { echo "no stub"; return; }
    gcc -no-pie p.o say.o "$stub" "-Wl,-rpath-link,$work/$1" -o "$1" 2>"$1.log" ||
        { echo "does not link"; return; }
    facts "$1" >"$1.facts"
    cmp -s real.facts "$1.facts" || { echo "other symbols, versions or libraries"; return; }
    started "./$1" | sort >"$1.lines"
    # Only what two starts of the ordinary program agree on.
    if comm -12 real.lines again.lines | comm -23 - "$1.lines" | grep -q .; then
        echo "other output, or a crash"
    else
        echo same
    fi
}

# one LIBRARY: prints `TOOL<tab>VERDICT<tab>NAME` for each tool.
one() {
    name=$(basename "$1")
    dir=$work/programs/$name
    mkdir -p "$dir" && cd "$dir"
    if source_of "$1" >p.c && cp "$work/say.o" . &&
        gcc -c -O1 -w -fno-pie p.c -o p.o &&
        gcc -no-pie p.o say.o "$1" -o real 2>real.log; then
        facts real >real.facts
        started ./real | sort >real.lines
        started ./real | sort >again.lines
        if grep -qx 'exit 0' real.lines; then
            for tool in indir llvm-ifs; do
                printf '%s\t%s\t%s\n' $tool "$(verdict $tool "$name")" "$name"
            done
        fi
    fi
    rm -rf "$dir"
}

if [ "${1-}" = --one ]; then
    work=$2
    for library in "${@:3}"; do one "$library"; done
    exit
fi

what=${1:-all} step=${2:-1}
case $what in times | programs | all) ;; *) die "usage: bench-stubs.sh [times|programs|all [STEP]]" ;; esac
command -v $ifs >/dev/null || die "$ifs is missing: apt-get install llvm-19"
[ -x "${INDIR:-$target/release/indir}" ] || die "no release build: cargo build --release"
mkdir -p "$target"
work=$(mktemp -d "$target/bench-stubs.XXXXXX")
trap 'rm -rf "$work"' EXIT
mkdir "$work/indir" "$work/llvm-ifs" "$work/programs" "$work/all"
gcc -c -O2 -w -fno-pie "$say_c" -o "$work/say.o"

# Sum of a column of bytes, in MB.
total() { awk '{ n += $1 } END { printf "%.1f", n / 1e6 }' "$1"; }

times() {
    find /usr/lib -name '*.so*' -type f | sort | while read -r file; do
        [ "$(head -c 6 "$file" | od -An -tx1)" != " 7f 45 4c 46 02 01" ] || echo "$file"
    done | awk -v step="$step" 'NR % step == 0' >"$work/list"

    while read -r file; do
        for tool in indir llvm-ifs; do
            out=$work/all/$tool
            rm -f "$out"
            { time { cut_stub $tool "$file" "$out" || echo "$file" >>"$work/$tool.failed"; }; } 2>>"$work/$tool.times"
            [ ! -f "$out" ] || stat -c %s "$out" >>"$work/$tool.bytes"
        done
        stat -c %s "$file" >>"$work/real.bytes"
    done <"$work/list"

    echo "$(wc -l <"$work/list") libraries, $(total "$work/real.bytes") MB"
    for tool in indir llvm-ifs; do
        touch "$work/$tool.failed"
        awk -v tool=$tool '{ wall += $1; cpu += $2 + $3 }
            END { printf "%s: %.1f s, %.1f s of processor time, ", tool, wall, cpu }' "$work/$tool.times"
        echo "$(wc -l <"$work/$tool.failed") without a stub, stubs of $(total "$work/$tool.bytes") MB"
        sed 's/^/    /' "$work/$tool.failed"
    done
}

programs() {
    # The stubs that programs are linked with, and the links that real folders have.
    # Libraries in private folders too, which GNU ld reads by DT_RUNPATH. Some files
    # of these names are linker scripts.
    mapfile -t folders < <(find "$lib" -maxdepth 1 -name 'lib*.so*' -type f -exec readelf -dW {} + 2>/dev/null |
        sed -n "s,.*R[UN]*PATH.*\\[\\($lib/[^:]*\\)\\],\\1,p" | sort -u)
    find "$lib" "${folders[@]}" -maxdepth 1 -name 'lib*.so*' -type f | sort -u | while read -r file; do
        for tool in indir llvm-ifs; do
            cut_stub $tool "$file" "$work/$tool/$(basename "$file")" || :
        done
    done
    find "$lib" "${folders[@]}" -maxdepth 1 -name 'lib*.so*' -type l | while read -r link; do
        to=$(basename "$(readlink "$link")")
        for tool in indir llvm-ifs; do ln -sf "$to" "$work/$tool/$(basename "$link")"; done
    done

    # Sanitizers insist on being first, and on more than a link.
    find "$lib" -maxdepth 1 -name 'lib*.so.*' -type f | grep -v '[atl]san\|ubsan' | sort |
        awk -v step="$step" 'NR % step == 0' |
        xargs -P "$(nproc)" -n 8 "$0" --one "$work" >"$work/verdicts"
    echo "$(grep -c '^indir' "$work/verdicts") programs"
    cut -f 1,2 "$work/verdicts" | sort | uniq -c
    echo "Not the same with indir:"
    grep '^indir' "$work/verdicts" | grep -v "	same	" || echo "    none"
}

[ "$what" = programs ] || times
[ "$what" = times ] || programs
