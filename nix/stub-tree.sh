# shellcheck shell=bash disable=SC2154,SC2086 # variables come from stubs-of.nix
# Builds what dependents are compiled against: stubs, headers, pkg-config and CMake
# files of one package, relocatable, with nothing in it that is not part of its
# interface. With a floor: checks the package against it and gives the floor itself.
set -eu
shopt -s nullglob
export LC_ALL=C
# Builders have a terminal, whose progress bars would go into the log.
export TERM=dumb
say() { echo "indir: $*" >&2; }

# The folders with libraries of the package.
libraries=''
for tree in $trees; do
    [ ! -d "$tree/lib" ] || libraries="$libraries --tree $tree/lib"
done
lookup=''
for folder in $libDirs; do
    [ ! -d "$folder" ] || lookup="$lookup --lib-dir $folder"
done

if [ -n "$floor" ]; then
    # Floors by soname, so that a library may have another file name today.
    mkdir floors made
    for file in "$floor"/lib/*.so*; do
        if [ ! -L "$file" ] && [ "$(head -c 4 "$file" | tr -d '\0')" = $'\x7fELF' ]; then
            "$indir/bin/indir" abi dump "$file" >text
            soname=$(sed -n 's/^soname //p' text)
            mv text "floors/${soname:-${file##*/}}.abi"
        fi
    done
    [ -z "$libraries" ] || "$indir/bin/indir" stub $libraries --floor-dir floors $lookup -o made/lib
    for file in floors/*.abi; do
        soname=${file#floors/}
        soname=${soname%.abi}
        if [ ! -e "made/lib/$soname" ]; then
            say "$name: the package has no $soname, which the floor $floor has; where that is wanted, raise the floor: its dependents are rebuilt"
            exit 3
        fi
    done
    cp -a "$floor" "$out"
    exit 0
fi

mkdir -p "$out"
if [ -n "$libraries" ]; then
    set -- $libraries $lookup
    [ -z "$floorDir" ] || set -- "$@" --floor-dir "$floorDir"
    "$indir/bin/indir" stub "$@" -o "$out/lib"
fi
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
    if [ -e "$tree/nix-support/propagated-build-inputs" ]; then
        mkdir -p "$out/nix-support"
        for dep in $(<"$tree/nix-support/propagated-build-inputs"); do
            # The package's other outputs are in this very tree.
            case " $trees " in *" $dep "*) ;; *) echo "$dep" ;; esac
        done >>"$out/nix-support/propagated-build-inputs"
    fi
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
