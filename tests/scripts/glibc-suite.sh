#!/bin/sh
# Runs glibc's own tests of its loader, of dlopen, of threads and of start-up (the
# folders elf, dlfcn, nptl and csu of glibc 2.41) three ways: ordinary, as glibc links
# them; adopted, with direct tables; adopted, with bound ones. Prints the counts of each
# way and every test whose result is not the same in all three; exit code 1 if there is
# one.
#
# usage: glibc-suite.sh INDIR [FOLDER]
#
# INDIR is an indir under a prefix (`indir setup`). What is missing is installed with
# apt-get. Most of the time goes into compiling glibc and its tests; INDIR_JOBS is how
# many processes make may start (default: one a processor). To leave the machine to others:
#
#     nice -n 19 tests/scripts/glibc-suite.sh PREFIX/bin/indir
#
# What is done is not done again: a run that was ended goes on where it was, and the
# next INDIR finds glibc built. In FOLDER (default: target/glibc-suite; 2 GiB) are
#
#     done/            what is done; remove one to do it, and what comes after it, again
#     results-WAY      the result of every test
#     repeated-WAY     the tests that passed only when they were run again
#     failed-WAY/      what the tests printed that do not pass
#     starts-WAY       how each adopted program starts: by which plan
#     refused          what `indir adopt` refused, and why
#     *.log            what was run
#
# How it goes: the tests are linked to glibc's build folder (--enable-hardcoded-path-in-tests),
# and so are started as programs, not through ld.so as a command. Those whose interpreter
# is that folder's ld.so are adopted in place. Then all results are removed, and the same
# make runs the same executables again; that it links none anew is checked. Not built are
# the manual, which Debian's tarball lacks, and libm, which takes as long as all the
# rest: Debian's own build of the release has one that fits.
set -eu
# shellcheck source=tests/scripts/lib.sh
. "$(dirname "$0")/lib.sh"

release=2.41
folders="elf dlfcn nptl csu"
steps="source configure build ordinary adopt direct bound"
ways="ordinary direct bound"

[ $# -ge 1 ] || die "usage: glibc-suite.sh INDIR [FOLDER]"
indir=$(realpath "$1")
mkdir -p "${2:-$target/glibc-suite}"
work=$(cd "${2:-$target/glibc-suite}" && pwd -P)
jobs=${INDIR_JOBS:-$(nproc)}
source=$work/glibc-$release
build=$work/build
mkdir -p "$work/done"

# Tests look at the environment; timeouts are those of an idle machine.
unset MAKEFLAGS MFLAGS LD_LIBRARY_PATH LD_PRELOAD LD_BIND_NOW LANGUAGE INDIR_DEBUG
export LC_ALL=C TIMEOUTFACTOR="${TIMEOUTFACTOR:-10}"

is_done() { [ -e "$work/done/$1" ]; }

# step NAME COMMAND…: once. Its stamp has the seconds that it took; a step makes those
# behind it stale.
step() {
    is_done "$1" && return
    stale=''
    for name in $steps; do
        [ "$name" != "$1" ] || stale=yes
        [ -z "$stale" ] || rm -f "$work/done/$name"
    done
    step=$1
    shift
    began=$(date +%s)
    say "$(date +%T) $step"
    "$@"
    echo $(($(date +%s) - began)) >"$work/done/.new"
    mv "$work/done/.new" "$work/done/$step"
}

# logged LOG COMMAND…: its last lines are shown if it fails.
logged() {
    log=$work/$1.log
    shift
    "$@" >"$log" 2>&1 </dev/null || {
        tail -n 20 "$log" >&2
        die "failed, see $log: $*"
    }
}

unpack_source() {
    tarball=$cache/src/glibc_$release.orig.tar.xz
    if [ ! -e "$tarball" ]; then
        (
            one_at_a_time && mkdir -p "$cache/src" && own_apt trixie:src && cd "$cache/src" &&
                own_apt_get source --download-only --tar-only glibc/trixie >&2
        ) || die "cannot download the source of glibc $release"
        [ -e "$tarball" ] || die "trixie's glibc is not $release: no $tarball"
    fi
    rm -rf "$source"
    tar -xf "$tarball" -C "$work"
    # The tests of the order of constructors start programs through ld.so as a command.
    # shellcheck disable=SC2016
    sed -i -e '/"${common_objpfx}elf\/ld.so /d' \
        -e 's|"--library-path \${|"/usr/bin/env LD_LIBRARY_PATH=${|' "$source/scripts/dso-ordering-test.py"
    grep -q '/usr/bin/env LD_LIBRARY_PATH=' "$source/scripts/dso-ordering-test.py"
    mkdir -p "$source/manual"
    # Does nothing, whatever the top Makefile asks for.
    printf 'all:\n.DEFAULT:\n\t@:\n' >"$source/manual/Makefile"
}

configure() {
    rm -rf "$build" "$work/original"
    mkdir -p "$build/manual"
    for kind in o os oS; do : >"$build/manual/stamp.$kind"; done
    cd "$build"
    logged configure ../glibc-$release/configure --prefix=/usr --disable-werror \
        --enable-hardcoded-path-in-tests
}

# Tests of set-group-ID programs want a group that is not the user's first.
member=''
[ "$(id -u)" != 0 ] || member="setpriv --groups 1"

# in_folder FOLDER ARGUMENTS…: make, as glibc's top Makefile calls it there.
in_folder() {
    where=$1
    shift
    $member make -r -C "$source/$where" objdir="$build" "$@"
}

build_glibc() {
    logged lib make -C "$build" -j "$jobs" lib
    for folder in support dlfcn elf malloc nptl nptl_db; do
        logged "others-$folder" in_folder "$folder" -j "$jobs" others
    done
    "$top/tests/scripts/fetch-glibc.sh" trixie
    case $(readlink "$cache/glibc/trixie") in
    $release-*) ;;
    *) die "$cache/glibc/trixie is not a build of glibc $release" ;;
    esac
    mkdir -p "$build/math"
    cp "$cache/glibc/trixie/lib/x86_64-linux-gnu/libm.so.6" "$build/math/libm.so.6"
    ln -sf libm.so.6 "$build/math/libm.so"
}

# The programs whose interpreter is this build's ld.so.
programs() {
    for folder in $folders; do
        find "$build/$folder" -name .indir -prune -o -type f -perm -u+x -print
    done | sort | while read -r file; do
        case $(readelf -lW "$file" 2>/dev/null) in
        *"interpreter: $build/elf/ld.so]"*) echo "${file#"$build/"}" ;;
        esac
    done
}

# states: what changes when make links a program anew.
states() { (cd "$build" && xargs -d '\n' sha256sum <"$work/programs"); }

# run_tests LOG JOBS: those that have no result yet; prints the results of all,
# `PASS: elf/name`. That make fails is no news: some tests cannot be built.
run_tests() {
    for folder in $folders; do
        in_folder "$folder" -k -j "$2" CFLAGS=-O1 check || true
    done >"$work/$1.log" 2>&1 </dev/null
    for folder in $folders; do
        find "$build/$folder" -maxdepth 1 -name '*.test-result' -exec sed -s -n 1p {} +
    done | sort -k 2
}

# failures FILE: the tests that fail.
failures() { sed -n 's/^FAIL: //p' "$1"; }

# run_way WAY: all tests; then each that fails again, alone, up to three times. A run
# that was ended goes on with the tests that it did not come to.
run_way() {
    if [ "$(cat "$work/going" 2>/dev/null)" != "$1" ]; then
        for folder in $folders; do
            # check-*: what only the compiler decides.
            find "$build/$folder" -maxdepth 1 ! -name 'check-*' \
                \( -name '*.out' -o -name '*.test-result' \) -delete
        done
        echo "$1" >"$work/going"
    fi
    run_tests "check-$1" "$jobs" >"$work/first"
    cp "$work/first" "$work/now"
    for again in 1 2 3; do
        [ -n "$(failures "$work/now")" ] || break
        failures "$work/now" | while read -r test; do
            rm -f "$build/$test.out" "$build/$test.test-result"
        done
        run_tests "check-$1-again-$again" 1 >"$work/now"
    done
    rm -rf "$work/failed-$1"
    mkdir "$work/failed-$1"
    failures "$work/now" | while read -r test; do
        cp "$build/$test.out" "$work/failed-$1/$(echo "$test" | tr / -)" 2>/dev/null || true
    done
    failures "$work/now" >"$work/fail"
    failures "$work/first" | grep -vxFf "$work/fail" >"$work/repeated-$1" || true
    mv "$work/now" "$work/results-$1"
    rm "$work/going"
}

# as_linked: the programs as the ordinary way left them, without tables.
as_linked() {
    for folder in $folders; do
        find "$build/$folder" -name .indir -prune -exec rm -rf {} +
    done
    cp -a "$work/original/." "$build"
}

run_ordinary() {
    [ ! -d "$work/original" ] || as_linked
    run_way ordinary
    programs >"$work/programs"
    rm -rf "$work/original" "$work/.original"
    mkdir "$work/.original"
    (cd "$build" && xargs -d '\n' cp -p --parents -t "$work/.original" <"$work/programs")
    mv "$work/.original" "$work/original"
}

adopt() {
    as_linked
    # It goes on after those that it refuses.
    (cd "$build" && xargs -d '\n' "$indir" adopt --in-place <"$work/programs") \
        >"$work/adopt.log" 2>"$work/refused" || true
    (cd "$build" && xargs -d '\n' readelf -lW <"$work/programs") 2>/dev/null |
        grep -c 'interpreter: .*/ld-indir-x86-64.so.1]' >"$work/adopted" || die "nothing was adopted"
}

# starts: what the shim and the binder say of the start of every program. Most tests
# end at an option that they do not know.
starts() {
    cd "$build"
    while read -r program; do
        said=$(timeout 20 env INDIR_DEBUG=1 "$build/$program" --no-such-option 2>&1 </dev/null |
            sed -n 's/^indir: \([a-z ]*\).*/\1/p' | sort -u | paste -sd , -) || true
        echo "$program: ${said:-not indirect}"
    done <"$work/programs"
}

# run_adopted PLAN
run_adopted() {
    (cd "$build" && xargs -d '\n' "$indir" update --plan "$1" <"$work/programs") \
        >"$work/update-$1.log" 2>&1 || true
    # A shell says of some that they end by a signal, as they do without indir.
    starts >"$work/starts-$1" 2>/dev/null
    states >"$work/states"
    run_way "$1"
    states >"$work/states-after"
    cmp -s "$work/states" "$work/states-after" || die "make linked programs anew: see $work/check-$1.log"
}

report() {
    row='%-9s %-6s %6s %6s %6s %6s %6s %12s %9s\n'
    # shellcheck disable=SC2059
    printf "$row" way folder tests pass fail xfail xpass unsupported repeated
    for way in $ways; do
        for folder in $folders; do
            results=$work/results-$way
            set -- "$way" "$folder" "$(grep -c ": $folder/" "$results" || true)"
            for result in PASS FAIL XFAIL XPASS UNSUPPORTED; do
                set -- "$@" "$(grep -c "^$result: $folder/" "$results" || true)"
            done
            # shellcheck disable=SC2059
            printf "$row" "$@" "$(grep -c "^$folder/" "$work/repeated-$way" || true)"
        done
    done
    echo
    echo "programs linked to the build: $(wc -l <"$work/programs"), adopted: $(cat "$work/adopted")"
    for way in direct bound; do
        echo "starts, $way:"
        sed 's/^[^:]*: *//' "$work/starts-$way" | sort | uniq -c
    done
    sed 's/^/not adopted: /' "$work/refused"
    echo
    for way in $ways; do sed "s/^\([A-Z]*\): \(.*\)/\2 $way \1/" "$work/results-$way"; done | sort -s -k 1,1 |
        awk '{ of[$1] = of[$1] " " $2 " " $3; if (!($1 in first)) first[$1] = $3; n[$1]++
               if ($3 != first[$1]) differs[$1] }
             END { for (test in of) if (n[test] != 3 || test in differs) print "differs: " test ":" of[test] }' |
        sort >"$work/differs"
    cat "$work/differs"
    echo
    echo "tests that differ: $(wc -l <"$work/differs")"
    (cd "$work/done" && for name in *; do printf '%s: %s s\n' "$name" "$(cat "$name")"; done) >&2
    [ ! -s "$work/differs" ]
}

"$top/tests/scripts/deps.sh" build glibc
id=$(sha256sum "$indir" "$(dirname "$indir")"/../lib/indir/* | sha256sum)
[ "$id" = "$(cat "$work/indir" 2>/dev/null)" ] || {
    rm -f "$work/done/adopt"
    echo "$id" >"$work/indir"
}
step source unpack_source
step configure configure
step build build_glibc
step ordinary run_ordinary
step adopt adopt
step direct run_adopted direct
step bound run_adopted bound
report
