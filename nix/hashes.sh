#!/bin/sh
# Writes the file of hashes by which stubs and shim are fixed outputs: no experimental
# feature of Nix is needed then. To be run again when an interface changed, which
# `tablesOf` finds.
#
# usage: hashes.sh FILE EXPRESSION
#
# EXPRESSION gives what is to be hashed, of a set that reads FILE:
#   hashes.sh hashes.json '(import ./set.nix).indirection.hashed (p: [ p.curl p.git ])'
# Everything that these are compiled against is built, layer by layer.
set -eu
[ $# = 2 ] || {
    echo 'usage: hashes.sh FILE EXPRESSION' >&2
    exit 2
}
file=$1 expression=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# The hash of nothing: what has it is built, and Nix says what it should be.
none=sha256-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=
jq -n --arg none "$none" '{"*": $none}' >"$work/hashes"
while :; do
    cp "$work/hashes" "$file"
    nix-instantiate --eval --strict --json -E \
        "builtins.mapAttrs (_: part: builtins.unsafeDiscardStringContext part.drvPath) ($expression)" >"$work/parts"
    status=0
    nix-build --no-out-link --keep-going -E "builtins.attrValues ($expression)" >/dev/null 2>"$work/log" || status=$?
    [ $status != 0 ] || break
    # A line of the log for the derivation, and one for the hash that it has.
    sed -n "s/.*hash mismatch in fixed-output derivation '\(.*\)'.*/\1/p; s/^ *got: *//p" "$work/log" |
        jq -Rn '[inputs] | [range(0; length; 2) as $i | {key: .[$i], value: .[$i + 1]}] | from_entries' >"$work/got"
    jq --slurpfile got "$work/got" --slurpfile parts "$work/parts" '. + ($parts[0]
        | with_entries(select($got[0][.value]) | .value = $got[0][.value]))' "$work/hashes" >"$work/new"
    if cmp -s "$work/new" "$work/hashes"; then
        cat "$work/log" >&2
        exit 1
    fi
    mv "$work/new" "$work/hashes"
done
jq -S 'del(.["*"])' "$work/hashes" >"$work/new"
cp "$work/new" "$file"
