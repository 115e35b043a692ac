#!/bin/sh
# Downloads Debian's ssh server and unpacks it without installing it, as an installed
# one would start to serve this machine:
#
#   target/cache/sshd
#
# usage: fetch-sshd.sh
#
# What is there already is kept.
set -eu
# shellcheck source=tests/scripts/lib.sh
. "$(dirname "$0")/lib.sh"

one_at_a_time
[ ! -d "$cache/sshd" ] || exit 0
own_apt bookworm || die "cannot read Debian's package indices"
# With its library that not every machine has.
rm -rf "$cache/sshd.new"
for package in openssh-server libwrap0; do
    mkdir -p "$cache/sshd.new/deb"
    (cd "$cache/sshd.new/deb" && own_apt_get download "$package" >&2) || die "cannot download $package"
    dpkg-deb -x "$cache/sshd.new/deb/${package}"_*.deb "$cache/sshd.new"
    rm -rf "$cache/sshd.new/deb"
done
mv "$cache/sshd.new" "$cache/sshd"
