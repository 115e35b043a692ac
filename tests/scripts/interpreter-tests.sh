#!/bin/sh
# Runs the test suites of CPython and Perl by the ordinary loader and adopted, and
# prints how many tests passed, failed and were skipped each time. Exit code 1 if
# the results are not the same.
#
# usage: interpreter-tests.sh INDIR [GLIBC…]
#
# INDIR is an indir under a prefix (`indir setup`); GLIBC are names of
# fetch-glibc.sh, below which the adopted interpreters are run as well (default:
# trixie sid). CPython's tests are Debian's libpython3.11-testsuite (installed with
# apt-get if need be); Perl's t/op are those of Debian's source package, which is
# fetched. It takes about ten minutes.
# The suites are functions that are called by name.
# shellcheck disable=SC2317,SC2094
set -eu
# shellcheck source=tests/scripts/lib.sh
. "$(dirname "$0")/lib.sh"

[ $# -ge 1 ] || die "usage: interpreter-tests.sh INDIR [GLIBC...]"
indir=$(realpath "$1")
shift
[ $# -gt 0 ] || set -- trixie sid
state=$(dpkg-query -W -f '${db:Status-Status}' libpython3.11-testsuite 2>/dev/null) || state=''
[ "$state" = installed ] || apt-get -q install -y --no-install-recommends libpython3.11-testsuite >&2
"$top/tests/scripts/fetch-glibc.sh" "$@"

scratch=$(mktemp -d "${TMPDIR:-/tmp}/indir-tests-XXXXXX")
trap 'rm -rf "$scratch"' EXIT
cd "$scratch"

# Perl's own tests, unpacked anew: they write beside themselves.
sources=$cache/src/perl
if [ ! -d "$sources/t/op" ]; then
    one_at_a_time
    if [ ! -d "$sources/t/op" ]; then
        own_apt bookworm:src || die "cannot read Debian's package indices"
        mkdir -p "$cache/src/.perl"
        (cd "$cache/src/.perl" && own_apt_get source --download-only perl >&2)
        mkdir -p "$sources"
        tar -xf "$cache"/src/.perl/perl_*.orig.tar.xz -C "$sources" --strip-components=1
        rm -rf "$cache/src/.perl"
    fi
fi
mkdir -p perl/lib
cp -a "$sources/t" perl/
# In place of the modules that a build would put there: the installed ones.
for lib in /usr/share/perl/5.36 /usr/lib/x86_64-linux-gnu/perl/5.36 /usr/lib/x86_64-linux-gnu/perl-base; do
    cp -asn "$(realpath $lib)/." perl/lib/
done

# python NAME PROGRAM: one line for each test.
python() {
    mkdir -p "work-$1"
    (cd "work-$1" && timeout 900 "$2" -I -m test --timeout 300 -v \
        test_ctypes test_ssl test_threading test_importlib >"../$1.log" 2>&1 </dev/null) || true
    # unittest's own sums, of each module.
    sed -n 's/^Ran \([0-9]* tests\).*/\1/p; s/^\(OK\|FAILED\)\( (.*)\|\)$/\1\2/p; s/^Result: /Result: /p' "$1.log" |
        sed 's/ in [0-9.]*s$//'
}

# perl_op NAME PROGRAM: one line for each file of t/op.
perl_op() {
    rm -f perl/t/perl && ln -s "$2" perl/t/perl
    (cd perl/t && for test in op/*.t; do
        timeout 120 ./perl "$test" >"$scratch/one" 2>/dev/null </dev/null
        code=$?
        printf '%s %s %s %s\n' "$test" "$code" "$(grep -c '^ok' "$scratch/one")" \
            "$(grep -c '^not ok' "$scratch/one")"
    done) >"$1.log" || true
    awk '{ files++; ok += $3; bad += $4; if ($2) failed++ }
        END { print files " files, " ok " ok, " bad " not ok, " failed + 0 " files end with an error" }' "$1.log"
}

failed=0
# compare SUITE PROGRAM: the ordinary run, then the adopted program's.
compare() {
    suite=$1
    "$suite" "$suite-ordinary" "$2" >"$suite-ordinary"
    echo "$suite, ordinary:"
    sed 's/^/    /' "$suite-ordinary"
    name=$(basename "$2")
    mkdir -p adopted
    rm -f "adopted/$name"
    # shellcheck disable=SC2086 # words
    "$indir" adopt -o adopted $3 "$2"

    for glibc in system $glibcs; do
        if [ "$glibc" != system ]; then
            folder=$cache/glibc/$glibc/lib/x86_64-linux-gnu
            "$indir" update --lib-dir "$folder" --plan bound "adopted/$name"
        else
            "$indir" update --plan bound "adopted/$name"
        fi
        "$suite" "$suite-$glibc" "$scratch/adopted/$name" >"$suite-$glibc"
        echo "$suite, adopted, glibc $glibc:"
        sed 's/^/    /' "$suite-$glibc"
        cmp -s "$suite-ordinary" "$suite-$glibc" || {
            failed=1
            echo "differs:"
            diff "$suite-ordinary.log" "$suite-$glibc.log" | grep -E 'FAIL|ERROR|\.\.\. |op/' | head -n 40 || true
        }
    done
}

glibcs=$*
compare python /usr/bin/python3.11 "--plugin-dir /usr/lib/python3.11/lib-dynload"
compare perl_op /usr/bin/perl "--plugin-dir /usr/lib/x86_64-linux-gnu/perl-base --plugin-dir /usr/lib/x86_64-linux-gnu/perl"
exit $failed
