#!/bin/sh
# Start-up of prebuilt programs, ordinary, direct and bound: what
# docs/benchmarks.md, "Bound plans", shows. INDIR_BENCH_RUNS runs each way.
set -eu
# shellcheck source=tests/scripts/lib.sh
. "$(dirname "$0")/lib.sh"

runs=${INDIR_BENCH_RUNS:-150}
target=${CARGO_TARGET_DIR:-target}
"$target/release/indir" setup --prefix "$target/bench"
for program in 'ffmpeg -version' 'vim.gtk3 --version' 'clang-14 --version' \
    'gdb --version' 'git --version' true; do
    command -v "${program%% *}" >/dev/null || die "${program%% *} is missing: tests/scripts/deps.sh test"
    # The words of a command are meant to be split.
    # shellcheck disable=SC2086
    "$target/bench/bin/indir" bench --runs "$runs" $program
done
