#!/bin/sh
# Runs a command for which the folders of this machine that Nix shows to builds are
# read-only: without build users builds are root's, and an `ldconfig` in some `make
# install` would take the machine's own links for stale ones, and delete them.
#
# So is a real /nix, where Nix 2.8 leaves what a failed build had of its outputs, even
# if its store is elsewhere.
#
# usage: read-only.sh COMMAND [ARGS…]      (as root)
set -eu
# shellcheck disable=SC2016 # for the inner shell
exec unshare --mount sh -euc '
    for folder in /bin /lib /lib64 /sbin /usr /etc/alternatives /nix; do
        { [ -d "$folder" ] && [ ! -L "$folder" ]; } || continue
        mount --bind "$folder" "$folder"
        mount -o remount,bind,ro "$folder"
    done
    exec "$@"
' sh "$@"
