#!/bin/sh
# Start-up of prebuilt programs, ordinary, direct and bound, to the entry point
# and to the exit: what docs/benchmarks.md, "Bound plans", shows. Pictures go to
# target/bench. INDIR_BENCH_RUNS runs each way; arguments limit the programs.
set -eu
# shellcheck source=tests/scripts/lib.sh
. "$(dirname "$0")/lib.sh"

runs=${INDIR_BENCH_RUNS:-150}
indir=$target/release/indir
[ -x "$indir" ] || die "$indir is missing: cargo build --release"
mkdir -p "$target/bench"
for program in 'ffmpeg -version' 'vim.gtk3 --version' 'clang-14 --version' \
    'gdb --version' 'git --version' true; do
    name=${program%% *}
    case " ${*:-$name} " in *" $name "*) ;; *) continue ;; esac
    command -v "$name" >/dev/null || die "$name is missing: tests/scripts/deps.sh test"
    # Short starts need more runs to be told apart.
    case $name in git | true) count=$((runs * 4)) ;; *) count=$runs ;; esac
    # The words of a command are meant to be split.
    # shellcheck disable=SC2086
    "$indir" bench --runs "$count" --plot "$target/bench/$name.svg" $program
    echo
done
