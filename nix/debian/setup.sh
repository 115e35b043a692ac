# shellcheck shell=bash disable=SC2154,SC2086,SC2034,SC2046 # variables come from the derivation
# The generic builder of nix/debian: what nixpkgs' stdenv promises to packages and
# to setup hooks, as far as this package set uses it.
set -eu
shopt -s nullglob
export PATH=$cc/bin:$bintools/bin:/usr/bin:/bin LC_ALL=C HOME=/homeless-shelter
export NIX_STORE NIX_BUILD_TOP
export SOURCE_DATE_EPOCH=315532800 CC=gcc CXX=g++ CONFIG_SHELL=/bin/bash SHELL=/bin/bash
export PKG_CONFIG_LIBDIR='' PKG_CONFIG_PATH=''
outputs=${outputs:-out}
prefix=${prefix:-$out}
preFixupHooks=() postFixupHooks=() fixupOutputHooks=() envHooks=()
addEnvHooks() { envHooks+=("$2"); }
getAllOutputNames() { echo $outputs; }

runHook() {
    local array="${1}Hooks[@]" hook
    for hook in ${!array+"${!array}"}; do $hook; done
    if declare -F "$1" >/dev/null; then "$1"; else eval "${!1-}"; fi
}

# --- inputs -----------------------------------------------------------------

declare -A known=()
inputs=()
addInput() {
    [ -z "${known[$1]-}" ] || return 0
    known[$1]=1
    inputs+=("$1")
    local more
    for more in propagated-build-inputs propagated-native-build-inputs; do
        if [ -e "$1/nix-support/$more" ]; then
            for dep in $(<"$1/nix-support/$more"); do addInput "$dep"; done
        fi
    done
}
for dep in ${nativeBuildInputs-} ${buildInputs-} ${propagatedBuildInputs-}; do addInput "$dep"; done
for dep in "${inputs[@]}"; do
    # shellcheck source=/dev/null
    [ ! -e "$dep/nix-support/setup-hook" ] || source "$dep/nix-support/setup-hook"
    [ ! -d "$dep/bin" ] || PATH=$dep/bin:$PATH
    [ ! -d "$dep/include" ] || export NIX_CFLAGS_COMPILE="${NIX_CFLAGS_COMPILE-} -isystem $dep/include"
    [ ! -d "$dep/lib" ] || export NIX_LDFLAGS="${NIX_LDFLAGS-} -L$dep/lib"
    for folder in "$dep"/{lib,share}/pkgconfig; do
        PKG_CONFIG_PATH=$PKG_CONFIG_PATH${PKG_CONFIG_PATH:+:}$folder
    done
done
for dep in "${inputs[@]}"; do
    for hook in ${envHooks+"${envHooks[@]}"}; do $hook "$dep"; done
done
[ "${NIX_NO_SELF_RPATH-}" = 1 ] || export NIX_LDFLAGS="-rpath ${lib:-$out}/lib ${NIX_LDFLAGS-}"

# --- phases -----------------------------------------------------------------

unpackPhase() {
    mkdir source
    tar -xf "$src" -C source --strip-components 1
    cd source
    # One time for all sources, so that make sees no generated file as outdated.
    find . -type f -exec touch -d @$SOURCE_DATE_EPOCH {} +
}
patchPhase() {
    for file in ${patches-}; do patch -p1 <"$file"; done
}
configurePhase() {
    [ -x ./configure ] || return 0
    ./configure --prefix="$prefix" ${lib:+--libdir="$lib/lib"} ${configureFlags-}
}
buildPhase() { make -j"${NIX_BUILD_CORES:-1}" ${makeFlags-}; }
checkPhase() { make ${makeFlags-} ${checkTarget:-check}; }
installPhase() { make ${makeFlags-} install ${installFlags-}; }

moveToDev() {
    local from path
    for from in "$out" ${lib:+"$lib"}; do
        for path in include lib/pkgconfig lib/cmake share/pkgconfig share/aclocal; do
            [ -e "$from/$path" ] || continue
            mkdir -p "$(dirname "$dev/$path")"
            mv "$from/$path" "$dev/$path"
        done
    done
    for path in "$dev"/lib/pkgconfig/*.pc; do
        sed -i "s|^includedir=.*|includedir=$dev/include|" "$path"
    done
    mkdir -p "$dev/nix-support"
    # Dependents name dev alone.
    echo ${propagatedBuildInputs-} "${lib:-$out}" ${bin-} >"$dev/nix-support/propagated-build-inputs"
}

fixupPhase() {
    local name output file
    find $(for name in $(getAllOutputNames); do echo "${!name}"; done) \
        -name '*.la' -delete 2>/dev/null || :
    for name in $(getAllOutputNames); do [ -e "${!name}" ] || mkdir "${!name}"; done
    [ -z "${dev-}" ] || moveToDev
    rm -f "$out/share/info/dir"
    for name in $(getAllOutputNames); do
        output=${!name}
        [ -n "${dontStrip-}" ] || [ "$name" = buildtree ] ||
            find "$output" -type f \( -perm -0100 -o -name '*.so*' -o -name '*.a' \) -print0 |
            xargs -0r strip -S 2>/dev/null || :
        [ -n "${dontPatchELF-}" ] || [ "$name" = buildtree ] ||
            find "$output" -type f -perm -0100 -print0 | while IFS= read -rd '' file; do
            [ "$(head -c 4 "$file" | tr -d '\0')" != $'\x7fELF' ] || patchelf --shrink-rpath --allowed-rpath-prefixes "$NIX_STORE" "$file" || :
        done
    done
}

# As nixpkgs' does.
failureHooks=()
exitHandler() { [ $? = 0 ] || runHook failure; }
trap exitHandler EXIT

for phase in ${phases:-unpackPhase patchPhase configurePhase buildPhase ${doCheck:+checkPhase} installPhase fixupPhase}; do
    echo "phase: $phase"
    phaseName=${phase%Phase}
    runHook "pre${phaseName^}"
    if [ -n "${!phase-}" ]; then eval "${!phase}"; else $phase; fi
    runHook "post${phaseName^}"
done
