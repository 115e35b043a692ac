#!/bin/sh
# What the tables of a large environment take on real Nix: 1,000 packages with 2,000
# programs that are compiled here, first and after a change of glibc.
#
# usage: nix-environment.sh [PACKAGES]
#
# As root. The store stays in target/cache/nix-environment. Each time is that of a
# derivation of tables, and by turns of one in its place that does nothing.
set -eu
# shellcheck source=tests/scripts/lib.sh
. "$(dirname "$0")/lib.sh"

count=${1-1000}
[ "$(id -u)" = 0 ] || die "building in a sandbox without a daemon needs root"
[ -n "${INDIR-}" ] || {
    (cd "$top" && "${CARGO:-cargo}" build --release --locked --bins)
    INDIR=$target/release/indir
}
"$top/tests/scripts/nix-fetch.sh" slice
cache=$(cd "$cache" && pwd -P)
place=$cache/nix-environment
mkdir -p "$place/conf" "$place/home"
cat >"$place/conf/nix.conf" <<CONF
build-users-group =
substituters =
experimental-features = nix-command ca-derivations
require-sigs = false
sandbox = true
sandbox-paths = /bin /lib /lib64 /usr /etc/alternatives
max-jobs = 2
CONF
for name in $(env | sed -n 's/^\(NIX_[A-Z_]*\)=.*/\1/p'); do unset "$name"; done
export NIX_CONF_DIR="$place/conf" NIX_USER_CONF_FILES=/dev/null HOME="$place/home"

# build ATTR [NIX-ARGUMENT…]: prints the path of its output; sets nothing.
build() {
    attr=$1
    shift
    "$top/tests/scripts/read-only.sh" nix build --store "$place/store" --json --no-link -L \
        -f "$top/tests/it/fixtures/nix/environment.nix" "$attr" --arg count "$count" \
        --argstr exe "$INDIR" --argstr cache "$cache" "$@" 2>"$place/log" |
        jq -r '.[0].outputs.out' || { tail -n 20 "$place/log" >&2; die "failed: $attr $*"; }
}
now() { date +%s.%N; }
# timed NIX-ARGUMENT…: five of each, by turns.
timed() {
    for round in 1 2 3 4 5; do
        for attr in tablesAgain nothing; do
            began=$(now)
            build "$attr" --argstr round "$$-$round" "$@" >/dev/null
            echo "$attr $began $(now)"
        done
    done | awk '{ all[$1] = all[$1] sprintf(" %.2f", $3 - $2) }
        END { print "  with tables:" all["tablesAgain"]; print "  with nothing:" all["nothing"] }'
}
bytes() { du -s --block-size=1 --apparent-size "$@" | awk '{ n += $1 } END { print n }'; }

tables=$(build tables)
say "$count packages: $(find "$place/store$tables/tables" ! -name '*.bind' -type f | wc -l) tables"
say "seconds of nix build, evaluation included"
timed
new=$(build tables --argstr glibc bookworm)
say "another glibc: $(sed -n "s/^building '.*-\(.*\)\.drv'\.\.\.$/\1/p" "$place/log" | sort | uniq -c | tr -s ' ' | tr '\n' ';')"
timed --argstr glibc bookworm
say "bytes: tables $(bytes "$place/store$new"), of them bindings $(cat "$place/store$new"/tables/*.bind 2>/dev/null | wc -c)"
