# shellcheck shell=bash disable=SC2154,SC2086 # variables come from stands-for.nix
# Finds the first earlier build of a library that a program cannot tell from the new one.
set -eu
export TERM=dumb
: >"$sampled"

programs=$program
if [ -n "$unpack" ]; then
    # Where it was built, as far as its run paths go by that.
    tar -xpf "$program/tree.tar" -C "$NIX_BUILD_TOP"
    programs=$NIX_BUILD_TOP
fi
options=()
for folder in $libDirs; do options+=(--lib-dir "$folder"); done

for build in $history; do
    # Whatever it cannot say makes the new build the one.
    if "$indir/bin/indir" reach "$build/lib" "$new/lib" "$programs" "${options[@]}" >&2; then
        sum=$(printf '%s %s' "$new" "$program" | sha256sum)
        if [ "$oneIn" -gt 0 ] && [ $((16#${sum:0:8} % oneIn)) = 0 ]; then
            echo "$build would do for $new" >"$sampled"
            break
        fi
        ln -s "$build" "$out"
        exit
    fi
done
ln -s "$new" "$out"
