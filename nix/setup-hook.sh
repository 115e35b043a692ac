# shellcheck shell=bash disable=SC2154 # the stdenv's variables
# The stdenv hook of indir: a package that has it among its nativeBuildInputs is
# linked by indir-ld (through the linker of nix/bintools.nix) and names no library
# path. `dontIndir = true` turns it off for a package.

if [ -z "${dontIndir-}" ]; then
    # The linker of nix/bintools.nix looks at it.
    export NIX_INDIR=1
    # An -rpath to a stub would be wrong for good. Sealing takes out what packages add.
    for name in NIX_DONT_SET_RPATH NIX_NO_SELF_RPATH NIX_SET_BUILD_ID; do
        export "$name=1" "$name${suffixSalt:+_$suffixSalt}=1"
    done
    # Needs of stubs are other stubs. What is run during the build runs on the frozen
    # reference, until it is sealed.
    for indirFolder in ${indirStubDirs-}; do
        NIX_LDFLAGS="${NIX_LDFLAGS-} -rpath-link $indirFolder"
    done
    for indirFolder in ${indirReference-}; do
        NIX_LDFLAGS="${NIX_LDFLAGS-} -rpath $indirFolder"
        if [ -e "$indirFolder/ld-linux-x86-64.so.2" ]; then
            export NIX_DYNAMIC_LINKER=$indirFolder/ld-linux-x86-64.so.2
        fi
    done
    export NIX_LDFLAGS
    postFixupHooks+=(indirKeepTree indirCheckOutputs)
    # nixpkgs runs these tests after that.
    preInstallCheckHooks+=(indirLendTables)
    postInstallCheckHooks+=(indirDropTables)
fi


# The build tree, as it is after installing, for the tests of `check`. With its
# times, or make would build again.
indirKeepTree() {
    [ -n "${buildtree-}" ] || return 0
    mkdir -p "$buildtree"
    pwd >"$buildtree/folder"
    tar --sort=name --owner=0 --group=0 --numeric-owner -cf "$buildtree/tree.tar" \
        -C "$NIX_BUILD_TOP" --exclude ./env-vars .
}

# Tables for what has been installed already, in folders: for packages that run
# their own programs from $out while they install. They are removed in the end.
indirTables() {
    local folders=() folder name
    for name in $(getAllOutputNames); do
        [ ! -d "${!name}/lib" ] || folders+=(--lib-dir "${!name}/lib")
    done
    for folder in ${indirReference-}; do folders+=(--lib-dir "$folder"); done
    @indir@/bin/indir update --plan direct "${folders[@]}" "$@"
}

# Tables for the programs of all outputs, and their end.
indirLendTables() {
    local name file programs=()
    for name in $(getAllOutputNames); do
        if [ ! -d "${!name}" ] || [ "$name" = buildtree ]; then continue; fi
        while IFS= read -rd '' file; do
            if [ -x "$file" ] && indirIsElf "$file"; then programs+=("$file"); fi
        done < <(grep -rlZF "@shim@/" "${!name}" || :)
    done
    [ ${#programs[@]} = 0 ] || indirTables "${programs[@]}"
}
indirDropTables() {
    local name
    for name in $(getAllOutputNames); do
        if [ -d "${!name}" ]; then find "${!name}" -depth -type d -name .indir -exec rm -rf {} +; fi
    done
}

indirIsElf() { [ "$(head -c 4 "$1" | tr -d '\0')" = $'\x7fELF' ]; }

# What must hold for every output before it is registered. After strip and
# shrink-rpath, which run before postFixup.
indirCheckOutputs() {
    local name output file bad='' folder path why
    indirDropTables
    for name in $(getAllOutputNames); do
        output=${!name}
        if [ ! -d "$output" ] || [ "$name" = buildtree ]; then continue; fi
        @indir@/bin/indir seal --libraries "$output"
        indirForget "$output"
        while IFS= read -rd '' file; do
            if LC_ALL=C readelf -lW "$file" 2>/dev/null |
                grep -F 'program interpreter' | grep -vqF "@shim@/"; then
                bad="$bad
  $file: linked without indir-ld (let its build use \$CC or \$LD; or \`indir adopt\` it)"
            fi
        done < <(find "$output" -type f -perm -0100 -print0)
        case " ${indirPassed-} " in
        *" $name "*)
            while IFS= read -rd '' file; do
                ! indirIsElf "$file" || bad="$bad
  $file: a program, but its output \`$name\` is not relinked (set indirRelinked, or install it elsewhere)"
            done < <(grep -rlZF "@shim@/" "$output" || :)
            ;;
        esac
        for folder in ${indirReference-}; do
            path=$(dirname "$folder")
            # A program with libraries of its own may be both; relink renames it.
            case " ${indirNamed-} " in *" $path "*) continue ;; esac
            file=$(grep -rlF "$(basename "$path")" "$output" | head -n 1 || :)
            [ -z "$file" ] || bad="$bad
  $file: names the reference runtime $folder, which is only for the build"
        done
        # Only builds use these, for which the frozen programs are right.
        case $name in dev | devdoc | devman | static | debug) continue ;; esac
        for path in ${indirFrozen-} ${indirNamed-}; do
            why="which no upgrade reaches (add its package to indirPrograms)"
            if [[ " ${indirNamed-} " == *" $path "* ]]; then
                [[ " ${indirPassed-} " == *" $name "* ]] || continue
                why="but its output \`$name\` is not relinked (set indirRelinked)"
            fi
            file=$(grep -rlF "$(basename "$path")" "$output" | head -n 1 || :)
            [ -z "$file" ] || bad="$bad
  $file: names the frozen program $path, $why"
        done
    done
    if [ -n "$bad" ]; then
        echo "indir: $pname cannot be made indirect (dontIndir = true turns it off):$bad" >&2
        exit 1
    fi
}

# Removes the paths of stubs from what is loaded: they come from __FILE__ in
# headers and from recorded compiler flags, and would keep stubs in the closure.
indirForget() {
    local folder hash script='' file
    for folder in ${indirStubDirs-}; do
        hash=$(basename "$(dirname "$folder")" | cut -c 1-32)
        script="$script;s/$hash/eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee/g"
    done
    [ -n "$script" ] || return 0
    while IFS= read -rd '' file; do
        if indirIsElf "$file"; then
            chmod u+w "$file"
            LC_ALL=C sed -i "$script" "$file"
        fi
    done < <(find "$1" -type f \( -perm -0100 -o -name '*.so*' \) -print0)
}
