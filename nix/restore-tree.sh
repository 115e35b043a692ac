# shellcheck shell=bash disable=SC2154,SC2086,SC2034 # the stdenv's variables
# Brings the build tree of `compile` back for its tests, with tables for the real
# libraries in place of those for the reference runtime.
tar -xpf "$buildtree/tree.tar" -C "$NIX_BUILD_TOP"
cd "$(<"$buildtree/folder")" || exit
# nixpkgs' buildPhase notes it, and its checkPhase does nothing otherwise.
for file in Makefile makefile GNUmakefile "${makefile-}"; do
    [ ! -f "$file" ] || foundMakefile=1
done
indirReplaceArgs=()
for pair in $indirReplace; do indirReplaceArgs+=(--replace "$pair"); done
"$indir/bin/indir" update . "${indirReplaceArgs[@]}"
