#!/bin/sh
# The package set of nix/debian on real Nix: what upgrades build, download and store,
# with indirection, by rewriting hashes, and in the ordinary way.
#
# usage: nix-demo.sh [slice|full] [--no-ordinary]
#
# Everything is in target/cache/nix-demo. The frozen set stays there as a store of its
# own, of which each run gets a copy: a second run compiles it no more, and counts the
# same. As root. --no-ordinary leaves out the other two ways: the ordinary one compiles
# everything four times.
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
# The compiler of this machine, which Nix shows to builds as it shows them /usr.
rust=$(rustc --print sysroot)
mkdir -p "$demo/conf" "$demo/home"
cat >"$demo/conf/nix.conf" <<CONF
build-users-group =
substituters =
experimental-features = nix-command ca-derivations
require-sigs = false
sandbox = true
sandbox-paths = /bin /lib /lib64 /usr /etc/alternatives /rust=$rust
max-jobs = 2
CONF
for name in $(env | sed -n 's/^\(NIX_[A-Z_]*\)=.*/\1/p'); do unset "$name"; done
export NIX_CONF_DIR="$demo/conf" NIX_USER_CONF_FILES=/dev/null HOME="$demo/home"

now() { date +%s.%N; }

# nix_build ATTR [NIX-ARGUMENT…]: on $machine; adds to $demo/log.
nix_build() {
    built_attr=$1 crashed=0
    shift
    while :; do
        built_status=0
        "$top/tests/scripts/read-only.sh" nix build --store "$demo/$machine" -f "$top/nix/debian" "$built_attr" --no-link --json -L \
            --argstr exe "$INDIR" --argstr cache "$cache" --argstr sources "$set_name" "$@" \
            >"$demo/json" 2>"$demo/log.new" || built_status=$?
        cat "$demo/log.new" >>"$demo/log"
        # Nix 2.8 closes descriptors twice while it asks a server for what derivations
        # gave, and may end by that. What it has until then stays.
        if [ $built_status = 0 ] || [ $crashed = 9 ] ||
            ! grep -q '^error (ignored): .*: Bad file descriptor' "$demo/log.new"; then
            return $built_status
        fi
        crashed=$((crashed + 1))
        say "Nix closed a descriptor twice and failed ($built_status); again"
    done
}

# try MACHINE ATTR [NIX-ARGUMENT…]: builds; sets seconds, and $demo/log.
try() {
    machine=$1 wanted=$2 status=0
    shift 2
    : >"$demo/log"
    began=$(now)
    nix_build "$wanted" "$@" || status=$?
    # Nix 2.8 stumbles over an output that is wanted only after the build of its
    # siblings began (NixOS/nix#6383): let it want them all first.
    if [ $status != 0 ] && grep -q '^error: map::at' "$demo/log"; then
        status=0
        { nix_build compiled "$@" && nix_build "$wanted" "$@"; } || status=$?
    fi
    seconds=$(awk -v a="$began" -v b="$(now)" 'BEGIN { printf "%.2f", b - a }')
    return "$status"
}

# build MACHINE ATTR [NIX-ARGUMENT…]: the same, and it has to succeed.
build() {
    try "$@" || {
        tail -n 30 "$demo/log" >&2
        die "failed: $* (whole log: $demo/log)"
    }
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
    published=$1
    shift
    nix copy --store "$demo/one" --from "$demo/one" --to "file://$demo/cache" -f "$top/nix/debian" "$published" \
        --argstr exe "$INDIR" --argstr cache "$cache" --argstr sources "$set_name" "$@" 2>"$demo/log" ||
        { tail -n 20 "$demo/log" >&2; die "nix copy failed"; }
}

# restore STORE COPY: makes STORE what COPY is.
restore() {
    rm -rf "${demo:?}/$1"
    cp -a "$demo/$2" "$demo/$1"
}

row() { printf '%-29s %8s %8s %6s %6s %8s %13s %8s %12s %12s\n' "$@"; }
# upgrade NAME [NIX-ARGUMENT…]: in this $way, on the building machine, then on a second
# one that downloads what was published.
upgrade() {
    name="$way: $1"
    shift
    build one "$attr" "$@"
    compile=$(built compile) table=$(built tables rewrite) stubs=$(built stubs) other=$(built other) took=$seconds
    publish "$upload" "$@"
    : >"$demo/http"
    before=$(size two)
    build two "$attr" "$@" --option substituters "$url" --option narinfo-cache-negative-ttl 0
    bytes=$(downloaded)
    [ "$bytes" != 0 ] || die "the second machine downloaded nothing (log: $demo/log)"
    built_system=$(jq -r '.[0].outputs.out' "$demo/json")
    row "$name" "$compile" "$table" "$stubs" "$other" "$took" \
        "$(built compile)" "$seconds" "$bytes" "$(($(size two) - before))"
}

# refused NAME MESSAGE NIX-ARGUMENT…: a library that the machine is not to take.
refused() {
    name="$way: $1" message=$2
    shift 2
    ! try one system "$@" || die "not refused: $name"
    grep -qF "$message" "$demo/log" || die "refused for another reason: $name (log: $demo/log)"
    row "$name" "$(built compile)" "$(built tables)" "$(built stubs)" "$(built other)" "$seconds" refused - - -
}

# runs GLIBC: programs of the set that the second machine has now do run.
runs() {
    said=$("$top/tests/scripts/nix-in-store.sh" "$demo/two" "$top/tests/scripts/nix-runs.sh" "$built_system" "$1")
    say "$way: $said"
}
# breaks MESSAGE: a program of them that uses zlib does not.
breaks() {
    # shellcheck disable=SC2016 # for that shell
    ! "$top/tests/scripts/nix-in-store.sh" "$demo/two" /bin/sh -c 'echo words | gzip | "$1/bin/file" -z -' \
        sh "$built_system" >"$demo/broken" 2>&1 || die "$way: it still works: $(cat "$demo/broken")"
    grep -qF "$1" "$demo/broken" || die "$way: broken otherwise: $(cat "$demo/broken")"
    say "$way: file -z says: $(head -n 1 "$demo/broken")"
}

# A change of zlib's sources.
zlib() { printf '{ zlib = _: { postPatch = "%s"; }; }' "$1"; }

median() { sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }

# tabling: what it takes to make the tables once more, beside a builder that does
# nothing and beside an evaluation with nothing to build.
tabling() {
    rm -f "$demo"/took-*
    round=0
    while [ $round -lt 7 ]; do
        round=$((round + 1))
        for what in tablesAgain nothing; do
            build one $what --argstr glibc bookworm --argstr round "$(date +%s%N)"
            count=$(grep -c '^building ' "$demo/log")
            echo "$seconds" >>"$demo/took-$what"
        done
        build one tablesAgain --argstr glibc bookworm --argstr round ""
        echo "$seconds" >>"$demo/took-evaluation"
    done
    for what in evaluation nothing tablesAgain; do
        printf '%-14s %s derivation: %s s (%s to %s)\n' $what "$count" "$(median <"$demo/took-$what")" \
            "$(sort -n "$demo/took-$what" | head -n 1)" "$(sort -n "$demo/took-$what" | tail -n 1)"
    done
}

# walk GLIBC: all upgrades in one way, from the version of GLIBC that it begins with.
walk() {
    rm -rf "$demo/cache" "$demo/two"
    mkdir -p "$demo/cache" "$demo/two/nix/store"
    restore one frozen
    upgrade "from nothing, u7"
    runs "$1"
    restore two-first two
    upgrade "glibc u7 -> u14" --argstr glibc bookworm
    runs 2.36-9+deb12u14
    [ $way != indirect ] || {
        build one tablesAgain --argstr glibc bookworm --argstr round ""
        tabling
    }
    upgrade "glibc u14 -> 2.41" --argstr glibc trixie
    runs 2.41-
    upgrade "zlib grows" --argstr glibc trixie --arg changes "$(zlib "$more")"
    lost=$(zlib "sed -i 's/inflateInit2_/gone/g' *.c test/*.c zlib.h")
    case $way in
    indirect) refused "zlib loses symbols" "inflateInit2_" --argstr glibc trixie --arg changes "$lost" ;;
    rewritten)
        upgrade "zlib loses symbols" --argstr glibc trixie --arg changes "$lost"
        breaks "undefined symbol: inflateInit2_"
        ;;
    esac
    upgrade "zlib loses an unused one" --argstr glibc trixie --arg raised '[ "zlib" ]' \
        --arg changes "$(zlib "sed -i 's/gzputs/gzputs_gone/g' *.c test/*.c zlib.h")"
    if [ $way = indirect ]; then
        # Without a floor, so that it is the stub that stays the same.
        build one system --argstr glibc trixie --arg floors false
        [ "$(built compile)" = 0 ] || die "an unchanged set without floors was compiled"
        publish upload --argstr glibc trixie --arg floors false
        build two system --argstr glibc trixie --arg floors false --option substituters "$url"
    fi
    upgrade "a header's comment" --argstr glibc trixie --arg floors false \
        --arg changes "$(zlib "sed -i '1i /* more words */' zlib.h")"
    restore one frozen
    restore two two-first
    upgrade "four libraries" --argstr glibc bookworm --arg changes "{
        zlib = _: { postPatch = \"$more\"; };
        xz-utils = _: { postPatch = \"echo >>src/liblzma/common/common.c\"; };
        expat = _: { postPatch = \"echo >>expat/lib/xmlparse.c\"; };
    }"
}

mkdir -p "$demo/frozen/nix/store"
say "building the frozen set: the first run takes a while"
build frozen system
say "frozen set and the indirect one above it: $seconds s, $(built compile) compiled"
if [ "$ordinary" = yes ]; then
    build frozen ordinarySystem
    say "ordinary set: $seconds s, $(built compile) compiled"
fi
# Without what an earlier run remembers of its server.
rm -rf "$demo/home/.cache"
mkdir -p "$demo/cache"
serve
more="echo 'int more(void) { return 1; }' >>zutil.c"
row scenario compiled tables stubs other seconds "2nd: compiled" seconds downloaded "newly stored"
way=indirect attr=system upload=upload
walk 2.36-9+deb12u7
[ "$ordinary" = yes ] || exit 0
way=rewritten attr=rewrittenSystem upload=rewriteUpload
walk 2.36-9+deb12u07
way=ordinary attr=ordinarySystem upload=ordinaryUpload
walk 2.36-9+deb12u07
