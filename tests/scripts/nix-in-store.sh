#!/bin/sh
# Runs a command on this machine as it would run if the store below STORE were
# /nix, without touching a /nix that is there: in a mount namespace of its own.
#
# usage: nix-in-store.sh STORE COMMAND [ARGS…]      (as root)
set -eu
store=$1
shift
# shellcheck disable=SC2016 # for the inner shell
# The namespace ends with the command, and its mounts with it.
exec unshare --mount sh -euc '
    # Nobody else sees what is mounted here.
    root=/mnt
    mount -t tmpfs none "$root"
    for path in /* "$1/nix"; do
        name=${path##*/}
        if [ -L "$path" ]; then
            cp -P "$path" "$root/$name"
        elif [ -d "$path" ] && { [ "$path" != /nix ] || [ "$1" = "" ]; }; then
            [ -d "$root/$name" ] || mkdir "$root/$name"
            mount --rbind "$path" "$root/$name"
        fi
    done
    shift
    exec chroot "$root" "$@"
' sh "$store" "$@"
