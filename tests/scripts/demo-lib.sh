# shellcheck shell=sh disable=SC2154,SC2034 # demo.sh and this file share variables
# The steps of demo.sh. Sourced, never run.

now() { date +%s.%N; }
since() { awk -v a="$1" -v b="$(now)" 'BEGIN { printf "%.2f", b - a }'; }
commas() { echo "$1" | sed ':a; s/\B[0-9]\{3\}\>/,&/; ta'; }

# A heading, bold on a terminal.
title() {
    if [ -t 1 ] && [ -z "${NO_COLOR-}" ]; then
        printf '\n\033[1m== %s\033[0m\n' "$*"
    else
        printf '\n== %s\n' "$*"
    fi
}

# Text without the path of this clone.
short() { echo "$*" | sed "s|$top/||g"; }

# try NAME COMMAND…: runs with its output in log/NAME, whose end is shown if it fails.
try() {
    log=$demo/log/$1
    shift
    "$@" >"$log" 2>&1 </dev/null || {
        say "failed: $* (whole log: $log)"
        tail -n 20 "$log" >&2
        return 1
    }
}

# quietly NAME COMMAND…: the same, and a failure ends the demo.
quietly() { try "$@" || exit 1; }

# --- what there is to work with ------------------------------------------------

# Sets glibcs to the folders, in the order of the upgrades.
choose_glibcs() {
    host_libc=$(cc -print-file-name=libc.so.6)
    host_version=$(getconf GNU_LIBC_VERSION | cut -d ' ' -f 2)
    if [ "$offline" = yes ]; then
        why="--offline was asked for"
    elif [ "$(printf '%s\n2.36\n' "$host_version" | sort -V | tail -n 1)" != 2.36 ]; then
        why="what is built here may need symbols of this machine's glibc $host_version that bookworm's lacks"
    elif try fetch "$top/tests/scripts/fetch-glibc.sh" old bookworm trixie; then
        glibcs=
        for name in old bookworm trixie; do
            glibcs="$glibcs $(cd "$cache/glibc/$name/lib/x86_64-linux-gnu" && pwd -P)"
        done
        for glibc in $glibcs; do echo "$(release "$glibc")    $(short "$glibc")"; done
        return
    else
        why="Debian's builds could not be fetched"
    fi
    echo "NOT the real upgrade: $why."
    echo "Two copies of this machine's own glibc stand in:"
    glibcs=
    for copy in a b; do
        lib=$demo/glibc-$copy/lib
        mkdir -p "$lib"
        for file in ld-linux-x86-64.so.2 libc.so.6 libm.so.6 libmvec.so.1 libpthread.so.0 \
            libdl.so.2 librt.so.1 libresolv.so.2; do
            from=$(dirname "$host_libc")/$file
            [ ! -e "$from" ] || cp -L "$from" "$lib/"
        done
        glibcs="$glibcs $lib"
        echo "$(release "$lib")    $(short "$lib")"
    done
}

# The release that the libc in a folder says it is.
release() {
    grep -aom 1 'GNU C Library ([^)]*)' "$1/libc.so.6" | sed 's/.*(\(.*\))/\1/'
}

# --- building ------------------------------------------------------------------

# build_package PACKAGE VARIABLE COMPILER: unpack, configure, make.
build_package() {
    mkdir "$apps/$1"
    tar -xf "$cache/src/$1"_*.orig.tar.* -C "$apps/$1" --strip-components 1
    echo "\$ ./configure $2=\"$3 $(short "$bflag")\" && make    ($1)"
    began=$(now)
    (
        cd "$apps/$1" || exit
        quietly "configure-$1" ./configure "$2=$3 $bflag"
        quietly "make-$1" make -j2
    )
    echo "    $(since "$began") s"
}

# Builds everything with the linker replaced; sets programs.
build_programs() {
    mkdir "$apps/probe"
    quietly probe cc "$bflag" -O2 -o "$apps/probe/probe" "$top/tests/demo/probe.c"
    if [ "$offline" = no ] && try source-hello fetch_source hello &&
        try source-lzip fetch_source lzip; then
        build_package hello CC cc
        build_package lzip CXX c++
        programs="hello/hello lzip/lzip probe/probe"
    else
        echo "Without the sources of GNU hello and lzip: two small programs stand in."
        mkdir "$apps/words"
        quietly words c++ "$bflag" -std=c++17 -O2 -o "$apps/words/words" "$top/tests/demo/words.cc"
        programs="words/words probe/probe"
    fi
    for program in $programs; do
        echo "$program"
        echo "    interpreter    $(short "$(interpreter "$apps/$program")")"
        echo "    libraries      $(dynamic NEEDED "$apps/$program")"
        echo "    run path       $(dynamic 'RPATH\|RUNPATH' "$apps/$program")"
    done
}

interpreter() {
    LC_ALL=C readelf -lW "$1" | sed -n 's/.*program interpreter: \(.*\)\]/\1/p'
}

# dynamic TAG FILE: the values of a dynamic tag, or `none`.
dynamic() {
    values=$(LC_ALL=C readelf -dW "$2" | sed -n "s/.*(\\($1\\)).*\\[\\(.*\\)\\]/\\2/p" | tr '\n' ' ')
    echo "${values:-none}"
}

# --- running -------------------------------------------------------------------

# The libc.so.6 that a live process has mapped. The program is given an empty
# pipe to read from and a pipe that nobody empties to write to, so that it is
# still there to be looked at.
mapped_libc() {
    rm -f "$demo/in" "$demo/out"
    mkfifo "$demo/in" "$demo/out"
    exec 3<>"$demo/in" 4<>"$demo/out"
    "$@" <&3 >&4 2>/dev/null 3<&- 4>&- &
    pid=$! libc='' tries=0
    while [ -z "$libc" ] && [ $tries -lt 100 ]; do
        # Until it has called exec, the process is still this shell.
        [ "$(readlink "/proc/$pid/exe")" != "$1" ] ||
            libc=$(sed -n '/\/libc\.so\.6$/ { s|^[^/]*||p; q }' "/proc/$pid/maps")
        tries=$((tries + 1))
        [ -n "$libc" ] || sleep 0.05
    done
    kill "$pid" 2>/dev/null || :
    wait "$pid" 2>/dev/null || :
    exec 3<&- 4>&-
    echo "$libc"
}

# Shows which glibc serves each program, from inside; dies if it is not this one.
served_by() {
    for program in $programs; do
        case $program in
        probe/*)
            "$apps/probe/probe" >"$demo/probed" || die "the probe failed"
            sed 's/^/    /' "$demo/probed" | sed "s|$top/||"
            grep -qF "($(release "$1"))" "$demo/probed" || die "the probe found another glibc in memory"
            mapped=$(sed -n 's|^/proc/self/maps *||p' "$demo/probed")
            ;;
        hello/*) mapped=$(mapped_libc "$apps/$program" -g "$(printf %070000d 0)") ;;
        *) mapped=$(mapped_libc "$apps/$program") ;;
        esac
        echo "    /proc/PID/maps of $program: $(short "$mapped")"
        [ "$mapped" = "$1/libc.so.6" ] || die "$program does not run on $1"
    done
}

# Runs the programs' own test suites; one line each.
run_tests() {
    for program in $programs; do
        case $program in
        hello/*)
            quietly check-hello make -C "$apps/hello" check
            echo "hello: make check: $(sed -n 's/^# \(PASS\|SKIP\|FAIL\|ERROR\): *\(.*\)/\2 \1/p' "$demo/log/check-hello" | tr 'A-Z\n' 'a-z,' | sed 's/,$//; s/,/, /g')"
            ;;
        lzip/*)
            quietly check-lzip make --no-print-directory -C "$apps/lzip" check
            echo "lzip: make check: $(tail -n 1 "$demo/log/check-lzip")"
            ;;
        words/*)
            [ "$(echo b a b | "$apps/$program")" = "$(printf '1 a\n2 b')" ] || die "words: wrong count"
            [ "$("$apps/$program" --throw)" = caught ] || die "words: exception lost"
            echo "words: counts, and catches an exception thrown in libstdc++"
            ;;
        esac
    done
}

# --- what changed ----------------------------------------------------------------

# sha256 and path of every file under the programs' folder.
checksums() { (cd "$apps" && find . -type f -exec sha256sum {} + | LC_ALL=C sort); }

program_sums() { (cd "$apps" && for program in $programs; do sha256sum "$program"; done); }

# sizes of FILES… under a folder, summed.
total() {
    [ $# -gt 1 ] || {
        echo 0
        return
    }
    (cd "$1" && shift && stat -c %s "$@" | awk '{ n += $1 } END { print n + 0 }')
}

# different OLD NEW FILE…: bytes that differ between two folders' files.
different() {
    old=$1 new=$2 sum=0
    shift 2
    for file in "$@"; do
        one=$(stat -c %s "$old/$file") two=$(stat -c %s "$new/$file")
        same_place=$(cmp -l "$old/$file" "$new/$file" 2>/dev/null | wc -l)
        [ "$one" -ge "$two" ] && longer=$((one - two)) || longer=$((two - one))
        sum=$((sum + same_place + longer))
    done
    echo "$sum"
}

# How many of FILES… differ between two folders, as `N of M`.
differing() {
    old=$1 new=$2 differ=0
    shift 2
    for file in "$@"; do
        cmp -s "$old/$file" "$new/$file" || differ=$((differ + 1))
    done
    echo "$differ of $#"
}

# --- the same without indir --------------------------------------------------------

# ordinary DIR GLIBC: builds every program into DIR the ordinary way, with the
# paths of a glibc in it; the sources are configured already.
ordinary() {
    mkdir -p "$1/probe"
    flags="-Wl,--dynamic-linker=$2/ld-linux-x86-64.so.2 -Wl,-rpath=$2"
    for program in $programs; do
        mkdir -p "$1/$(dirname "$program")"
        # shellcheck disable=SC2086 # flags is a word list
        case $program in
        probe/*) quietly ordinary-probe cc -O2 $flags -o "$1/$program" "$top/tests/demo/probe.c" ;;
        words/*) quietly ordinary-words c++ -std=c++17 -O2 $flags -o "$1/$program" "$top/tests/demo/words.cc" ;;
        *)
            package=$(dirname "$program")
            quietly "clean-$package" make -C "$demo/rebuild/$package" clean
            quietly "ordinary-$package" make -j2 -C "$demo/rebuild/$package" "LDFLAGS=$flags"
            cp "$demo/rebuild/$program" "$1/$program"
            ;;
        esac
    done
}

# configure_ordinary: unpacks and configures the packages once more, without indir.
configure_ordinary() {
    for program in $programs; do
        package=$(dirname "$program")
        case $package in
        hello | lzip)
            mkdir -p "$demo/rebuild/$package"
            tar -xf "$cache/src/$package"_*.orig.tar.* -C "$demo/rebuild/$package" --strip-components 1
            (cd "$demo/rebuild/$package" && quietly "reconfigure-$package" ./configure)
            ;;
        esac
    done
}

# compare OLD NEW: that upgrade by rebuilding and by patchelf: from the folder
# `ordinary` to `rebuilt` and `patched`; sets rebuild_time and patchelf_time.
compare() {
    began=$(now)
    configure_ordinary
    configured=$(since "$began")
    ordinary "$demo/ordinary" "$1"
    began=$(now)
    ordinary "$demo/rebuilt" "$2"
    rebuild_time=$(awk -v a="$configured" -v b="$(since "$began")" 'BEGIN { printf "%.2f", a + b }')
    cp -a "$demo/ordinary" "$demo/patched"
    began=$(now)
    for program in $programs; do
        patchelf --set-interpreter "$2/ld-linux-x86-64.so.2" --set-rpath "$2" "$demo/patched/$program"
    done
    patchelf_time=$(since "$began")
}
