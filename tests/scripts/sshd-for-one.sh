#!/bin/sh
# The server of one ssh connection on its standard input and output, for ssh's
# ProxyCommand: no port, no daemon, nothing of the machine's own server.
#
# usage: sshd-for-one.sh SSHD CONFIG      (SSHD as unpacked by fetch-sshd.sh; as root)
set -eu
# shellcheck disable=SC2016 # for the inner shell
exec unshare --mount sh -euc '
    # Its folder, its user, and a root that no password locks out, to itself.
    mount -t tmpfs none /run
    mkdir -m 755 /run/sshd
    grep -v ^sshd: /etc/passwd >/run/passwd
    echo sshd:x:65533:65534::/run/sshd:/usr/sbin/nologin >>/run/passwd
    mount --bind /run/passwd /etc/passwd
    echo "root:*:1:0:99999:7:::" >/run/shadow
    mount --bind /run/shadow /etc/shadow
    LD_LIBRARY_PATH=$1/usr/lib/x86_64-linux-gnu:$1/lib/x86_64-linux-gnu \
        exec "$1/usr/sbin/sshd" -i -e -f "$2"
' sh "$@"
