#!/bin/sh
# Downloads the upstream sources of Debian packages, into target/cache/src.
#
# usage: fetch-source.sh PACKAGE…
set -eu
# shellcheck source=tests/scripts/lib.sh
. "$(dirname "$0")/lib.sh"

for package in "$@"; do
    fetch_source "$package" || die "cannot download the sources of $package"
done
