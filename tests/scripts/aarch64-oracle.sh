#!/bin/sh
# Compares what indir computes for programs of aarch64 with what their own ld.so does,
# under qemu-user: the libraries of every program of a large root of Debian's arm64
# packages, and every slot that bindings would write. docs/compatibility.md has the counts of
# the last run. It takes some minutes, besides 400 MB of downloads, and is no part of CI,
# where tests/it/aarch64/oracle.rs does the same for a dozen programs.
#
# usage: aarch64-oracle.sh
#
# Exit code 1 if anything differs; what does, and the counts, are on stderr.
set -eu
# shellcheck source=tests/scripts/lib.sh
. "$(dirname "$0")/lib.sh"

"$top/tests/scripts/deps.sh" build test
"$top/tests/scripts/fetch-arm64.sh" large
cd "$top"
INDIR_FULL=1 ${CARGO:-cargo} test --locked --test it aarch64::oracle -- --nocapture
