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

# Of checks on libraries that `indir reach` chose.
if [ -n "${indirSampled+x}" ]; then
    indirSums() { indirInterpreters "$NIX_BUILD_TOP" | cut -f 1 | tr '\n' '\0' | xargs -0r sha256sum; }
    indirSums >"$NIX_BUILD_TOP/.indir-judged"
    # shellcheck disable=SC2329 # a hook, and called by name
    indirWrong() {
        echo "indir: this check failed, and by \`indir reach\` it could not: one in some is run all the same" >&2
        cat $indirSampled >&2
    }
    if [ -n "$(cat $indirSampled)" ]; then
        failureHooks+=(indirWrong)
    fi
fi
