#!/bin/sh
# Downloads trixie's Nix with the libraries that it needs, and unpacks them into
# target/cache/nix-newer, never installing them; then prints a folder for PATH whose
# `nix`, `nix-daemon` and the like are these. For running the tests of Nix on a newer one:
#
#   PATH="$(tests/scripts/fetch-nix.sh):$PATH" cargo test --test it nix::
#
# What is there already is kept: delete the folder to fetch a newer build.
set -eu
# shellcheck source=tests/scripts/lib.sh
. "$(dirname "$0")/lib.sh"

one_at_a_time
# Its programs name their folder, and a shell would pass by one that does not start.
nix=$(cd "$cache" && pwd -P)/nix-newer
if ! "$nix/bin/nix-daemon" --version >/dev/null 2>&1; then
    own_apt trixie || die "cannot read Debian's package indices"
    rm -rf "$nix"
    mkdir -p "$nix/deb" "$nix/bin"
    packages=$(own_apt_cache depends --recurse --no-recommends --no-suggests --no-conflicts \
        --no-breaks --no-replaces --no-enhances nix-bin | sed -n 's/^\([a-z0-9].*\)$/\1/p' | sort -u)
    # shellcheck disable=SC2086 # a word list
    (cd "$nix/deb" && own_apt_get download $packages >&2)
    for package in "$nix"/deb/*.deb; do dpkg-deb -x "$package" "$nix/root"; done
    rm -rf "$nix/deb"
    library=$nix/root/usr/lib/x86_64-linux-gnu
    # Not by the loader's command line: Nix starts itself again, by /proc/self/exe.
    patchelf --set-interpreter "$library/ld-linux-x86-64.so.2" --force-rpath \
        --set-rpath "$library" "$nix/root/usr/bin/nix" || die "patchelf failed"
    for program in nix nix-daemon nix-store nix-instantiate; do ln -s ../root/usr/bin/nix "$nix/bin/$program"; done
    "$nix/bin/nix" --version >&2
fi
echo "$nix/bin"
