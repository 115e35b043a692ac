#!/bin/sh
# Runs a command that sees build users of Nix (the group `nixbld`), in a mount
# namespace of its own: this machine gets no users by it.
#
# usage: nix-users.sh COMMAND [ARGS…]      (as root)
set -eu
# shellcheck disable=SC2016 # for the inner shell
exec unshare --mount sh -euc '
    new=/mnt
    mount -t tmpfs none "$new"
    grep -v "^nixbld" /etc/passwd >"$new/passwd"
    grep -v "^nixbld" /etc/group >"$new/group"
    members="" id=30000
    for user in nixbld1 nixbld2 nixbld3 nixbld4; do
        id=$((id + 1))
        echo "$user:x:$id:30000::/var/empty:/usr/sbin/nologin" >>"$new/passwd"
        members="$members,$user"
    done
    echo "nixbld:x:30000:${members#,}" >>"$new/group"
    for name in passwd group; do mount --bind "$new/$name" "/etc/$name"; done
    umount -l "$new"
    exec "$@"
' sh "$@"
