# shellcheck shell=bash disable=SC2154 # the stdenv's variables
# The stdenv hook of indir: a package that has it among its nativeBuildInputs is linked
# by indir-ld (through the linker of nix/bintools.nix), runs on frozen libraries while it
# is built, and is sealed in the end. `dontIndir = true` turns it off for a package.

indirStubs=() indirFrozen=()

# Every input: stubs are linked against, frozen builds are run on.
indirAddInput() {
    local input=$1 folder
    case $input in
    *[-_]stubs)
        # A stand-in is a link, whose target tools may resolve.
        indirStubs+=("$input" "$(readlink -f "$input")")
        return
        ;;
    esac
    indirFrozen+=("$input")
    if [ -n "${indirLibDirs-}" ] || [ ! -d "$input/lib" ]; then return; fi
    export NIX_LDFLAGS="${NIX_LDFLAGS-} -rpath $input/lib"
    # GNU ld wants to see what libraries need; stubs do not say where that is.
    for folder in $(indirRunPaths "$input"/lib/*.so); do
        case " $NIX_LDFLAGS " in
        *" -rpath-link $folder "*) ;;
        *) NIX_LDFLAGS="$NIX_LDFLAGS -rpath-link $folder" ;;
        esac
    done
}
indirRunPaths() {
    [ -e "$1" ] || return 0
    LC_ALL=C readelf -dW "$@" 2>/dev/null | sed -n 's/.*(R[UN]*PATH).*\[\(.*\)\]$/\1/p' |
        tr : '\n' | grep "^$NIX_STORE/" | sort -u
}

if [ -z "${dontIndir-}" ]; then
    # The linker of nix/bintools.nix looks at it.
    export NIX_INDIR=1
    # A run path to a stub would be wrong, and every program has a build-id.
    for name in NIX_DONT_SET_RPATH NIX_SET_BUILD_ID; do
        export "$name=1" "$name${suffixSalt:+_$suffixSalt}=1"
    done
    # Run paths are for the build: sealing takes them away. Tests run on today's libraries.
    [ -z "${indirInterpreter-}" ] || export INDIR_INTERPRETER=$indirInterpreter
    for indirFolder in ${indirLibDirs:-@referenceDirs@}; do
        NIX_LDFLAGS="${NIX_LDFLAGS-} -rpath $indirFolder"
    done
    export NIX_LDFLAGS
    addEnvHooks "${targetOffset:-0}" indirAddInput
    addEnvHooks "${hostOffset:-0}" indirAddTool
    postFixupHooks+=(indirFinish)
    # nixpkgs runs these tests after that.
    preInstallCheckHooks+=(indirLendTables)
fi
indirAddTool() { indirFrozen+=("$1"); }

indirOutputs() {
    local name
    for name in $(getAllOutputNames); do
        if [ "$name" != buildtree ] && [ -d "${!name}" ]; then echo "${!name}"; fi
    done
}

# A line FILE<TAB>INTERPRETER for each program below some folders.
indirInterpreters() {
    local line file=''
    # readelf names a file only if there are several.
    find "$@" -type f -perm -0100 -print0 | LC_ALL=C xargs -0r readelf -lW /dev/null 2>/dev/null |
        sed -n 's/^File: /F/p; s/.*\[Requesting program interpreter: \(.*\)\]$/I\1/p' |
        while IFS= read -r line; do
            case $line in
            F*) file=${line#F} ;;
            *) printf '%s\t%s\n' "$file" "${line#I}" ;;
            esac
        done || :
}

# What must be done, and hold, for every output before it is registered. After strip and
# shrink-rpath, which run before postFixup.
indirFinish() {
    local bad='' file output path name made
    local frozen=() patterns=()
    mapfile -t made <<<"$(indirOutputs)"
    indirKeepTree
    [ -n "${made[0]}" ] || return 0
    while IFS=$'\t' read -r file path; do
        case $path in
        @shim@/*) ;;
        *)
            bad="$bad
  $file: linked without indir-ld (let its build use \$CC or \$LD; or \`indir adopt\` it)"
            ;;
        esac
    done < <(indirInterpreters "${made[@]}")
    indirSeal "${made[@]}"
    indirRename "${made[@]}"
    for path in "${indirFrozen[@]}" @referenceDirs@; do
        case " ${indirOrdinary-} " in *" $path "*) continue ;; esac
        if [ -d "$path" ]; then frozen+=("${path%/lib}"); fi
    done
    for path in "${frozen[@]}"; do patterns+=(-e "${path##*/}"); done
    for name in $(getAllOutputNames); do
        output=${!name}
        # Only builds use these, for which the frozen programs are right.
        case $name in dev | devdoc | devman | static | debug | buildtree) continue ;; esac
        [ -d "$output" ] || continue
        indirForget "$output"
        while IFS= read -r file; do
            for path in "${frozen[@]}"; do
                if grep -qF "${path##*/}" "$file"; then
                    bad="$bad
  $file: names $path, a frozen build, which no upgrade reaches (add its package to indirNamed)"
                fi
            done
        done < <(grep -rlF "${patterns[@]}" "$output" || :)
    done
    if [ -n "$bad" ]; then
        echo "indir: ${pname-$name} cannot be made indirect (dontIndir = true turns it off):$bad" >&2
        exit 1
    fi
}

# A program of one output may have its private libraries in another.
indirSeal() {
    local own=() output
    for output; do own+=(--own "$output"); done
    TERM=dumb @indir@/bin/indir seal --libraries "${own[@]}" "$@"
}

# The build tree, as it is after installing, for the tests of `check`. With its times, or
# make would build again.
indirKeepTree() {
    [ -n "${buildtree-}" ] || return 0
    mkdir -p "$buildtree"
    pwd >"$buildtree/folder"
    tar --sort=name --owner=0 --group=0 --numeric-owner -cf "$buildtree/tree.tar" \
        -C "$NIX_BUILD_TOP" --exclude ./env-vars .
}

# From the names of frozen programs, which ran here, to those of today's builds: text may
# change in length, anything else may not.
indirRename() {
    local pairs=() file edit patterns=() old new i script='' longer='' text=()
    read -ra pairs <<<"${indirNamed-}"
    for ((i = 0; i < ${#pairs[@]}; i += 2)); do
        old=${pairs[i]##*/} new=${pairs[i + 1]##*/}
        [ "$old" != "$new" ] || continue
        patterns+=(-e "$old")
        if [ ${#old} = ${#new} ]; then
            script="$script;s/$old/$new/g"
        else
            longer="$longer;s/$old/$new/g"
            text+=(-e "$old")
        fi
    done
    [ ${#patterns[@]} != 0 ] || return 0
    while IFS= read -rd '' file; do
        edit=$script
        if [ -n "$longer" ] && grep -qF "${text[@]}" "$file"; then
            if ! grep -qIF "${text[@]}" "$file"; then
                echo "indir: $file is no text and names $(grep -aoF "${text[@]}" "$file" | head -n 1), and the name that this has today differs in length: give both versions names of one length, or have the program found on PATH" >&2
                exit 1
            fi
            edit=$script$longer
        fi
        chmod u+w "$file"
        LC_ALL=C sed -i "$edit" "$file"
    done < <(grep -rlZF "${patterns[@]}" "$@" || :)
    while IFS= read -rd '' file; do
        old=$(readlink "$file")
        ln -sfn "$(printf %s "$old" | sed "$script$longer")" "$file"
    done < <(find "$@" -type l -lname "$NIX_STORE/*" -print0)
}

# Removes the paths of stubs from what is run: they come from __FILE__ in headers and
# from recorded flags, and would keep stubs in the closure.
indirForget() {
    local tree hash script='' patterns=() file
    for tree in "${indirStubs[@]}"; do
        hash=${tree##*/}
        hash=${hash:0:32}
        script="$script;s/$hash/eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee/g"
        patterns+=(-e "$hash")
    done
    [ -n "$script" ] || return 0
    while IFS= read -rd '' file; do
        case $file in
        */nix-support/* | *.pc | *.cmake | *.la | *-config) ;;
        *)
            chmod u+w "$file"
            LC_ALL=C sed -i "$script" "$file"
            ;;
        esac
    done < <(grep -rlZF "${patterns[@]}" "$1" || :)
}

# indirTables OPTION… -- FOLDER…: tables for the programs of these folders, for what is
# run from now on.
indirTables() {
    local options=() programs=() file interpreter
    while [ "$1" != -- ]; do
        options+=("$1")
        shift
    done
    shift
    while IFS=$'\t' read -r file interpreter; do
        case $interpreter in @shim@/*) programs+=("$file") ;; esac
    done < <(indirInterpreters "$@")
    # A library alone has none.
    [ ${#programs[@]} = 0 ] || TERM=dumb @indir@/bin/indir update --plan direct \
        --tables "$NIX_BUILD_TOP/.indir-tables" "${options[@]}" "${programs[@]}"
    export INDIR_TABLES=$NIX_BUILD_TOP/.indir-tables
}

# For what is installed, and sealed already, on frozen libraries.
indirLendTables() {
    local made folder options=(--lib-dir "@runtimeDir@")
    mapfile -t made <<<"$(indirOutputs)"
    for folder in "${made[@]/%//lib}" "${indirFrozen[@]/%//lib}" @referenceDirs@; do
        [ ! -d "$folder" ] || options+=(--lib-dir "$folder")
    done
    indirTables "${options[@]}" -- "${made[@]}"
}
