# shellcheck shell=bash disable=SC2154 # variables come from stand-ins.nix
# Chooses, in an unpacked and patched source, the trees that it is compiled against.
set -eu
mkdir -p "$out"

# All that was unpacked: there may be several sources. And what the package's phases say,
# without paths of the store, whose versions nothing asks for.
text=$NIX_BUILD_TOP/.indir-text
mkdir -p "$text"
sed "s|$NIX_STORE/[0-9a-z]\{32\}-[^/[:space:]\"']*||g" "$indirTextPath" >"$text/attributes"
folders=("$text")
for found in "$NIX_BUILD_TOP"/*; do
    if [ -d "$found" ]; then
        folders+=("$found")
    elif [ -f "$found" ] && [ "${found##*/}" != env-vars ]; then
        cp "$found" "$text"
    fi
done
# shellcheck disable=SC2086 # a list
"$indir/bin/indir" words "${folders[@]}" $indirWords -o "$out/words"

arguments=(--words "$out/words" --explain)
while read -r output trees; do
    read -ra trees <<<"$trees"
    for tree in "${trees[@]::${#trees[@]}-1}"; do arguments+=(--history "$tree"); done
    arguments+=(--new "${trees[-1]}" -o "$NIX_BUILD_TOP/.$output")
done <<<"$indirLibraries"
for tree in $indirOthers; do arguments+=(--with "$tree"); done
"$indir/bin/indir" stand-in "${arguments[@]}" | tee "$out/explained" >&2

# Not the links themselves: they are renamed into place, and the store is no place for that.
while read -r output trees; do
    ln -s "$(readlink "$NIX_BUILD_TOP/.$output")" "${!output}"
done <<<"$indirLibraries"
