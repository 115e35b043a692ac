# shellcheck shell=bash disable=SC2154,SC2086,SC2034 # the stdenv's variables
# Brings the build tree of `compile` back for its tests, with tables for the real
# libraries; what the tests compile is linked for these in the first place.
tar -xpf "$buildtree/tree.tar" -C "$NIX_BUILD_TOP"
cd "$(<"$buildtree/folder")" || exit
# nixpkgs' buildPhase notes it, and its checkPhase does nothing otherwise.
for file in Makefile makefile GNUmakefile "${makefile-}"; do
    [ ! -f "$file" ] || foundMakefile=1
done
indirOptions=()
for folder in $indirLibDirs; do indirOptions+=(--lib-dir "$folder"); done
indirTables "${indirOptions[@]}" -- .
