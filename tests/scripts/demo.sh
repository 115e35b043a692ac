#!/bin/sh
# The whole story on real programs: GNU hello (C) and lzip (C++) are built by
# their own build systems with nothing but the linker replaced, and then move
# from one real glibc build to the next and to a newer release, byte-identical.
#
# usage: demo.sh [--offline]
#
# Nothing is installed but missing Debian packages (see deps.sh); everything is
# under target/demo and target/cache. Without apt or a network, or with
# --offline, two copies of this machine's own glibc stand in for the builds,
# and two small programs for the sources: the demo says so.
set -eu
# shellcheck source=tests/scripts/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/scripts/demo-lib.sh
. "$(dirname "$0")/demo-lib.sh"

offline=no
case ${1-} in
'') ;;
--offline) offline=yes ;;
*) die "usage: demo.sh [--offline]" ;;
esac

started=$(now)
rm -rf "$target/demo"
mkdir -p "$target/demo/log" "$target/demo/apps"
# Without symlinks, as the kernel tells paths in /proc.
demo=$(cd "$target/demo" && pwd -P)
apps=$demo/apps
case $demo$cache in
*[[:space:]]*) die "configure and make cannot work in a folder with a space in its path: $demo" ;;
esac

title "indir itself"
[ $offline = yes ] || "$top/tests/scripts/deps.sh" build demo ||
    say "going on with the packages that are there"
for tool in cc c++ make patchelf readelf; do
    command -v $tool >/dev/null || die "$tool is not on PATH: apt-get install g++ make patchelf"
done
if [ -z "${INDIR-}" ]; then
    (cd "$top" && "${CARGO:-cargo}" build --release --locked --bins)
    INDIR=$target/release/indir
fi
quietly setup "$INDIR" setup --prefix "$demo/prefix"
indir=$demo/prefix/bin/indir
bflag=-B$demo/prefix/libexec/indir
echo "built and laid out under $(short "$demo/prefix") in $(since "$started") s"

title "Builds of glibc, side by side"
choose_glibcs

title "Programs, built as ever but for the linker"
build_programs

previous='' upgrades=0
for glibc in $glibcs; do
    if [ -z "$previous" ]; then
        title "Tables for $(release "$glibc")"
        set -- --lib-dir "$glibc"
    else
        title "Upgrade: $(release "$previous") -> $(release "$glibc")"
        set -- --replace "$previous=$glibc"
    fi
    checksums >"$demo/before"
    rm -rf "$demo/apps-before"
    cp -a "$apps" "$demo/apps-before"
    short "\$ indir update $apps $*"
    began=$(now)
    "$indir" update "$apps" "$@"
    took=$(since "$began")
    checksums >"$demo/after"
    # Files that are new or other than before, by name.
    LC_ALL=C comm -13 "$demo/before" "$demo/after" |
        sed 's/^[0-9a-f]*  //' | LC_ALL=C sort >"$demo/changed"
    program_sums >"$demo/sums"

    echo "Which glibc serves them, seen from inside:"
    served_by "$glibc"
    echo "Their own tests on it:"
    run_tests >"$demo/tests"
    sed 's/^/    /' "$demo/tests"
    echo "sha256 of the programs:"
    sed 's/^/    /' "$demo/sums"
    if [ -z "$previous" ]; then
        cp "$demo/sums" "$demo/sums-at-first"
    else
        cmp -s "$demo/sums" "$demo/sums-at-first" || die "a program changed"
        echo "    (as before the upgrade)"
        echo "What the upgrade changed on disk, in $took s (.bind: derived, may be deleted at any time):"
        (cd "$apps" && xargs -d '\n' stat -c '    %s bytes  %n' <"$demo/changed")
        ! grep -v '/\.indir/' "$demo/changed" || die "the upgrade changed more than tables"
        upgrades=$((upgrades + 1))
        if [ $upgrades = 1 ]; then
            from=$previous to=$glibc update_time=$took
            # shellcheck disable=SC2046,SC2086 # lists of paths without spaces
            {
                # The tables of before, kept for `update --undo`, were there already.
                grep -v '\.last' "$demo/changed" >"$demo/renewed"
                update_bytes=$(total "$apps" $(cat "$demo/renewed"))
                update_bindings=$(total "$apps" $(grep '\.bind$' "$demo/renewed"))
                update_different=$(different "$demo/apps-before" "$apps" $(cat "$demo/renewed"))
                update_programs=$(differing "$demo/apps-before" "$apps" $programs)
            }
        fi
    fi
    printf '%-28s %-14s %s\n' "$(release "$glibc")" "$(wc -l <"$demo/tests") passed" \
        "$(sha256sum <"$demo/sums" | cut -c 1-16)" >>"$demo/summary"
    previous=$glibc
done

title "The first upgrade without indir, on ordinary builds of the same programs"
compare "$from" "$to"
echo "patchelf --set-interpreter --set-rpath: $patchelf_time s"
echo "rebuild (configure, make):              $rebuild_time s"

title "Summary"
printf '%-28s %-14s %s\n' "glibc in the process" "test suites" "sha256 of all programs"
cat "$demo/summary"
echo
short "$from -> $to"
row() { printf '%-24s %14s %14s %14s\n' "$@"; }
row "" "indir update" patchelf rebuild
# shellcheck disable=SC2086 # a list of paths without spaces
{
    row "programs changed" "$update_programs" \
        "$(differing "$demo/ordinary" "$demo/patched" $programs)" \
        "$(differing "$demo/ordinary" "$demo/rebuilt" $programs)"
    row "bytes in changed files" "$(commas "$update_bytes")" \
        "$(commas "$(total "$demo/patched" $programs)")" \
        "$(commas "$(total "$demo/rebuilt" $programs)")"
    row "  of them bindings" "$(commas "$update_bindings")" - -
    row "bytes that differ" "$(commas "$update_different")" \
        "$(commas "$(different "$demo/ordinary" "$demo/patched" $programs)")" \
        "$(commas "$(different "$demo/ordinary" "$demo/rebuilt" $programs)")"
}
row seconds "$update_time" "$patchelf_time" "$rebuild_time"
echo
echo "The demo took $(since "$started") s; everything is in $(short "$demo")"
