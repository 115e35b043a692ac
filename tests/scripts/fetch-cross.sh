#!/bin/sh
# Downloads a Rust compiler that can make the shim and the binder of aarch64, and unpacks
# what of it that takes, never installing it:
#
#   target/cache/cross/<Debian version>/
#
# with a short name, the command target/cache/cross/rustc, where build.rs looks for it. It
# is bookworm's rustc-web, which runs on that release's own libraries, with the core library
# of the arm64 package of the same version.
#
# usage: fetch-cross.sh
#
# What is there already is kept: delete target/cache/cross to fetch a newer one.
# Exit code 1, with the reason on stderr, if apt or the network is missing.
set -eu
# shellcheck source=tests/scripts/lib.sh
. "$(dirname "$0")/lib.sh"

# add PACKAGE VERSION PATTERN…: unpacks the files of that build that match into .new.
add() {
    package=$1 version=$2
    shift 2
    rm -rf "$cross/.deb"
    mkdir -p "$cross/.deb" "$cross/.new"
    (cd "$cross/.deb" && own_apt_get download "$package=$version" >&2) ||
        die "cannot download $package $version"
    dpkg-deb --fsys-tarfile "$cross/.deb"/*.deb |
        tar -x -C "$cross/.new" --wildcards "$@" || die "$package $version has no $*"
    rm -rf "$cross/.deb"
}

# needs PACKAGE VERSION NAME: what package with such a name that build needs.
needs() {
    own_apt_cache show "$1=$2" | sed -n "s/^Depends: .*\\b\\($3\\).*/\\1/p" | head -n 1
}

cross=$cache/cross
mkdir -p "$cross"
# A second run then finds everything there.
one_at_a_time
[ ! -x "$cross/rustc" ] || exit 0

for tool in apt-get dpkg-deb; do
    command -v "$tool" >/dev/null || die "$tool is needed to fetch a cross compiler"
done
own_apt bookworm bookworm-security:arm64 || die "cannot read Debian's package indices"
build=$(versions rustc-web bookworm-security/main | tail -n 1)
versions libstd-rust-web-dev:arm64 bookworm-security/main | grep -qxF "$build" ||
    die "the archive has not one build of rustc-web for amd64 and arm64: ${build:-none}"
driver=$(needs libstd-rust-web-dev "$build" 'libstd-rust-web-[0-9.]*[0-9]')
llvm=$(needs "$driver" "$build" 'libllvm[0-9]*')
rm -rf "$cross/.new"
add rustc-web "$build" ./usr/bin/rustc
add "$driver" "$build" './usr/lib/*/librustc_driver-*'
add "$llvm" "$(versions "$llvm" 'bookworm.*' | tail -n 1)" './usr/lib/*'
add libstd-rust-web-dev:arm64 "$build" './usr/lib/rustlib/*/lib/libcore-*' \
    './usr/lib/rustlib/*/lib/libcompiler_builtins-*'
cat >"$cross/.new/rustc" <<'END'
#!/bin/sh
here=$(dirname "$(readlink -f "$0")")
export LD_LIBRARY_PATH="$here/usr/lib/x86_64-linux-gnu"
exec "$here/usr/bin/rustc" --sysroot "$here/usr" "$@"
END
chmod 755 "$cross/.new/rustc"
"$cross/.new/rustc" --version >&2 || die "rustc-web $build does not run here"
rm -rf "${cross:?}/$build"
mv "$cross/.new" "$cross/$build"
ln -sfn "$build/rustc" "$cross/rustc"
say "cross compiler: rustc-web $build"
