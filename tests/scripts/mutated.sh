#!/bin/sh
# Starts a real program with thousands of mutated bindings, tables, notes and
# libraries, and prints what became of the starts. The counts of
# docs/compatibility.md are made by it; CI runs the same test with fewer files.
#
# usage: mutated.sh [FILES OF EACH KIND]
set -eu
cd "$(dirname "$0")/../.."
INDIR_MUTATIONS=${1:-5000}
export INDIR_MUTATIONS
exec cargo test --workspace --locked --test it bound::mutated -- --nocapture --test-threads=1
