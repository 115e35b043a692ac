# shellcheck shell=bash disable=SC2154,SC2086 # variables come from stubs-of.nix
# Builds what dependents are compiled against: stubs, headers, pkg-config and CMake
# files of one package, relocatable, with nothing in it that is not part of its
# interface, and no other path of the store. With a floor: that of the floor, after a
# check that the package satisfies it.
set -eu
shopt -s nullglob
export LC_ALL=C
# Builders have a terminal, whose progress bars would go into the log.
export TERM=dumb
say() { echo "indir: $*" >&2; }

libDirsOf() {
    local tree
    for tree; do [ ! -d "$tree/lib" ] || echo "--tree $tree/lib"; done
}
lookup=''
for folder in $stubDirs; do
    [ ! -d "$folder" ] || lookup="$lookup --lib-dir $folder"
done

if [ -n "$floorTrees" ]; then
    # Floors by soname, so that a library may have another file name today.
    mkdir floors made
    for tree in $floorTrees; do
        for file in "$tree"/lib/*.so*; do
            if [ ! -L "$file" ] && [ "$(head -c 4 "$file" | tr -d '\0')" = $'\x7fELF' ]; then
                "$indir/bin/indir" abi dump "$file" $lookup >text
                soname=$(sed -n 's/^soname //p' text)
                mv text "floors/${soname:-${file##*/}}.abi"
            fi
        done
    done
    libraries=$(libDirsOf $trees)
    [ -z "$libraries" ] || "$indir/bin/indir" stub $libraries --floor-dir floors $lookup -o made/lib
    for file in floors/*.abi; do
        soname=${file#floors/}
        soname=${soname%.abi}
        if [ ! -e "made/lib/$soname" ]; then
            say "$name: the package has no $soname, which its floor has; where that is wanted, raise the floor: its dependents are rebuilt"
            exit 3
        fi
    done
    trees=$floorTrees
fi

mkdir -p "$out/lib"
libraries=$(libDirsOf $trees)
[ -z "$libraries" ] || { rmdir "$out/lib" && "$indir/bin/indir" stub $libraries $lookup -o "$out/lib"; }
mkdir -p "$out/lib"
for tree in $trees; do
    if [ -d "$tree/include" ]; then
        "$indir/bin/indir" stub --include "$tree/include" -o "$out/include"
    fi
    for folder in lib/pkgconfig share/pkgconfig lib/cmake share/cmake share/aclocal; do
        if [ -d "$tree/$folder" ]; then
            mkdir -p "$out/$folder"
            cp -a --no-preserve=mode "$tree/$folder/." "$out/$folder"
        fi
    done
    for file in "$tree"/bin/*-config; do
        if [ "$(head -c 2 "$file")" = '#!' ]; then
            mkdir -p "$out/bin"
            cp "$file" "$out/bin"
        fi
    done
done
chmod -R u+w "$out"

# What names the package itself names this tree: relative to the file where its
# reader allows that, so that the tree may also be a fixed output.
patterns=''
for tree in $trees; do patterns="$patterns -e ${tree##*/}"; done
grep -rlIF $patterns "$out" >mentions || :
while IFS= read -r file; do
    depth=$(echo "${file#"$out"/}" | tr -cd / | sed 's|/|/..|g')
    case $file in
    *.pc) here="\${pcfiledir}$depth" ;;
    *.cmake) here="\${CMAKE_CURRENT_LIST_DIR}$depth" ;;
    */bin/*) here="\$(dirname \"\$0\")/.." ;;
    *) here=$out ;;
    esac
    for tree in $trees; do
        sed -i "s|$tree|$here|g" "$file"
    done
done <mentions
