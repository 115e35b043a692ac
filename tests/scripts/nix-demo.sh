#!/bin/sh
# The package set of nix/debian on real Nix: what an upgrade builds, downloads and
# stores, with indirection, in the ordinary way, and by rewriting hashes.
#
# usage: nix-demo.sh [slice|full] [--no-ordinary]
#
# Everything is in target/cache/nix-demo. The frozen set stays there as a store of its
# own, of which each run gets a copy: a second run compiles it no more, and counts the
# same. As root. --no-ordinary leaves out the ordinary way, which builds everything twice.
set -eu
# shellcheck source=tests/scripts/lib.sh
. "$(dirname "$0")/lib.sh"

set_name=full ordinary=yes
for arg; do
    case $arg in
    slice | full) set_name=$arg ;;
    --no-ordinary) ordinary=no ;;
    *) die "usage: nix-demo.sh [slice|full] [--no-ordinary]" ;;
    esac
done
[ "$(id -u)" = 0 ] || die "building in a sandbox without a daemon needs root"
[ -n "${INDIR-}" ] || {
    (cd "$top" && "${CARGO:-cargo}" build --release --locked --bins)
    INDIR=$target/release/indir
}
"$top/tests/scripts/nix-fetch.sh" "$set_name"
cache=$(cd "$cache" && pwd -P)
demo=$cache/nix-demo/$set_name
mkdir -p "$demo/conf" "$demo/home"
cat >"$demo/conf/nix.conf" <<CONF
build-users-group =
substituters =
experimental-features = nix-command ca-derivations
require-sigs = false
sandbox = true
extra-sandbox-paths = /bin /lib /lib64 /usr /etc/alternatives
max-jobs = 2
CONF
for name in $(env | sed -n 's/^\(NIX_[A-Z_]*\)=.*/\1/p'); do unset "$name"; done
export NIX_CONF_DIR="$demo/conf" NIX_USER_CONF_FILES=/dev/null HOME="$demo/home"

now() { date +%s.%N; }

# build MACHINE ATTR [NIX-ARGUMENT…]: builds; sets seconds, and $demo/log.
build() {
    machine=$1 attr=$2
    shift 2
    began=$(now)
    "$top/tests/scripts/read-only.sh" nix build --store "$demo/$machine" -f "$top/nix/debian" "$attr" --no-link --json -L \
        --argstr exe "$INDIR" --argstr cache "$cache" --argstr sources "$set_name" "$@" \
        >"$demo/json" 2>"$demo/log" || {
        tail -n 30 "$demo/log" >&2
        die "failed: $attr $* (whole log: $demo/log)"
    }
    seconds=$(awk -v a="$began" -v b="$(now)" 'BEGIN { printf "%.1f", b - a }')
}

# built KIND…: how many derivations of these kinds the last build built. Derivations
# of indirection tell their step; an ordinary one that has a source and a compiler
# compiles a package.
built() {
    sed -n "s/^building '\(.*\)'\.\.\.$/\1/p" "$demo/log" >"$demo/built"
    [ -s "$demo/built" ] || {
        echo 0
        return
    }
    xargs nix show-derivation --store "$demo/$machine" <"$demo/built" |
        jq '[.[].env | .indirStep // if has("src") and has("cc") then "compile" else "other" end
            | select(IN($ARGS.positional[]))] | length' --args "$@"
}

size() { du -s --block-size=1 --apparent-size "$demo/$1/nix/store" 2>/dev/null | cut -f 1; }

# serve: a binary cache over HTTP; every answer is in $demo/http.
serve() {
    : >"$demo/http"
    # A port of an earlier run would lead nowhere, and everything would be built.
    rm -f "$demo/port"
    python3 -u "$top/tests/scripts/nix-serve.py" "$demo/cache" "$demo/http" >"$demo/port" &
    server=$!
    trap 'kill $server 2>/dev/null || :' EXIT
    while [ ! -s "$demo/port" ]; do sleep 0.1; done
    url=http://127.0.0.1:$(cat "$demo/port")
}
downloaded() { awk '{ n += $1 } END { print n + 0 }' "$demo/http"; }

# publish ATTR NIX-ARGUMENT…: copies what others may download to the cache.
publish() {
    attr=$1
    shift
    nix copy --store "$demo/one" --from "$demo/one" --to "file://$demo/cache" -f "$top/nix/debian" "$attr" \
        --argstr exe "$INDIR" --argstr cache "$cache" --argstr sources "$set_name" "$@" 2>"$demo/log" ||
        { tail -n 20 "$demo/log" >&2; die "nix copy failed"; }
}

# restore STORE COPY: makes STORE what COPY is.
restore() {
    rm -rf "${demo:?}/$1"
    cp -a "$demo/$2" "$demo/$1"
}

row() { printf '%-28s %8s %8s %6s %6s %8s %13s %8s %12s %12s\n' "$@"; }
# upgrade NAME ATTR UPLOAD [NIX-ARGUMENT…]: on the building machine, then on a second one
# that downloads what was published.
upgrade() {
    name=$1 attr=$2 upload=$3
    shift 3
    build one "$attr" "$@"
    compile=$(built compile) table=$(built relink rewrite) stubs=$(built stubs) other=$(built other) took=$seconds
    publish "$upload" "$@"
    : >"$demo/http"
    before=$(size two)
    build two "$attr" "$@" --option substituters "$url" --option narinfo-cache-negative-ttl 0
    bytes=$(downloaded)
    [ "$bytes" != 0 ] || die "the second machine downloaded nothing (log: $demo/log)"
    row "$name" "$compile" "$table" "$stubs" "$other" "$took" \
        "$(built compile)" "$seconds" "$bytes" "$(($(size two) - before))"
}

mkdir -p "$demo/frozen/nix/store"
say "building the frozen set: the first run takes a while"
build frozen baseline.packages
say "frozen set: $seconds s, $(built compile) compiled, $(built relink) relinked"
if [ "$ordinary" = yes ]; then
    build frozen ordinarySystem
    say "ordinary set: $seconds s, $(built compile) compiled"
fi
# Without what an earlier run remembers of its server.
rm -rf "$demo/cache" "$demo/two" "$demo/home/.cache"
mkdir -p "$demo/cache" "$demo/two/nix/store"
restore one frozen
serve
row scenario compiled relinked stubs other seconds "2nd: compiled" seconds downloaded "newly stored"
upgrade "indirect: from nothing, u7" system upload
upgrade "indirect: glibc u7 -> u14" system upload --argstr glibc bookworm
upgrade "indirect: glibc u14 -> 2.41" system upload --argstr glibc trixie
upgrade "indirect: zlib grows" system upload --argstr glibc trixie \
    --arg changes '{ zlib = _: { postPatch = "echo '"'int more(void) { return 1; }'"' >>zutil.c"; }; }'
[ "$ordinary" = yes ] || exit 0
rm -rf "$demo/cache" "$demo/two"
mkdir -p "$demo/cache" "$demo/two/nix/store"
upgrade "ordinary: from nothing, u7" ordinarySystem ordinaryUpload
# Both ways from there.
restore two-frozen two
upgrade "rewritten: glibc u7 -> u14" rewrittenSystem rewriteUpload --argstr glibc bookworm
restore one frozen
restore two two-frozen
upgrade "ordinary: glibc u7 -> u14" ordinarySystem ordinaryUpload --argstr glibc bookworm
