# shellcheck shell=bash disable=SC2154,SC2086 # variables come from with-indirection.nix
# Builds what `${package}` means: the compiled outputs as links, the programs and
# whatever names the outputs themselves, or a frozen program of the set, as copies that
# name this place and today's program, and tables. Nothing else of a program's bytes
# changes.
set -eu
export LC_ALL=C
# Builders have a terminal, whose progress bars would go into the log.
export TERM=dumb
say() { echo "indir: $*" >&2; }

# From the names of the compiled outputs to those of these: same length, as only
# the hash differs.
script='' patterns=() libraries=()
for name in $outputs; do
    compiled=compiled_$name
    old=${!compiled##*/} new=${!name##*/}
    if [ ${#old} != ${#new} ]; then
        say "$old and $new differ in length"
        exit 1
    fi
    script="$script;s/$old/$new/g"
    patterns+=(-e "$old")
done

# From frozen programs to today's. Only text may change in length.
longer='' longerPatterns=()
set -- $current
for path in $frozen; do
    old=${path##*/} new=${1##*/}
    shift
    [ "$old" != "$new" ] || continue
    if [ ${#old} = ${#new} ]; then
        script="$script;s/$old/$new/g"
    else
        longer="$longer;s/$old/$new/g"
        longerPatterns+=(-e "$old")
    fi
    patterns+=(-e "$old")
done

programs=()
for name in $outputs; do
    compiled=compiled_$name
    from=${!compiled} to=${!name}
    if [ ! -d "$from" ]; then
        say "$from is no folder: set indirRelinked to the outputs with programs"
        exit 1
    fi
    # Links for files; links of the package stay what they are.
    cp -rs --no-preserve=mode "$from" "$to"
    (cd "$from" && find . -type l -exec cp -P --remove-destination --parents -t "$to" {} +)
    while IFS= read -rd '' link; do
        target=$(readlink "$from/$link")
        ln -sfn "$(printf %s "$target" | sed "$script$longer")" "$to/$link"
    done < <(cd "$from" && find . -type l -lname '/*' -print0)
    while IFS= read -rd '' file; do
        case $file in
        *.so | *.so.[0-9]*)
            # Dependents' tables name the compiled library, so its copy would not
            # be the one that runs. That matters only if it starts programs.
            copy=${copyLibraries:-no} kind=library
            ;;
        *) copy=yes kind=program ;;
        esac
        if [ "$copy" = no ]; then
            libraries+=("$file")
            continue
        fi
        copied=$to/${file#"$from"/} edit=$script
        if [ -n "$longer" ] && grep -qF "${longerPatterns[@]}" "$file"; then
            if ! grep -qIF "${longerPatterns[@]}" "$file"; then
                say "$file is no text and names $(grep -aoF "${longerPatterns[@]}" "$file" | head -n 1), and the name that this has today differs in length: give both versions names of one length, or have the program found on PATH"
                exit 1
            fi
            edit=$script$longer
        fi
        cp --remove-destination -p "$file" "$copied"
        chmod u+w "$copied"
        sed -i "$edit" "$copied"
        if [ "$kind" = program ] && [ -x "$copied" ] && [ "$(head -c 4 "$copied" | tr -d '\0')" = $'\x7fELF' ]; then
            programs+=("$copied")
        fi
    done < <(grep -rlZF "${patterns[@]}" -e /lib/indir/ld-indir-x86-64.so.1 "$from")
done

# A library that starts one of the package's programs would start the compiled one,
# which has no table; and a frozen program would be out of reach of upgrades.
for library in "${libraries[@]}"; do
    while IFS= read -r path; do
        for program in $frozen; do
            case " $current " in *" $program "*) continue ;; esac
            if [[ $path/ == "$program"/* ]]; then
                say "$library names the frozen $path: set indirCopyLibraries = true"
                exit 1
            fi
        done
        for program in "${programs[@]}"; do
            for name in $outputs; do
                compiled=compiled_$name
                at=${!compiled}/${program#"${!name}"/}
                if [ "$path" = "$at" ] || [ "$path" = "${at%/*}" ] || [ "$path" = "${at%/*}/" ]; then
                    say "$library names $path, where programs are that have no table: set indirCopyLibraries = true"
                    exit 1
                fi
            done
        done
    done < <(strings -n 8 "$library" | grep -oE "$NIX_STORE/[^ :;\"']*" | sort -u)
done

if [ ${#programs[@]} != 0 ]; then
    set --
    # Copied libraries are those of this package, and no longer the compiled ones.
    for name in ${copyLibraries:+$outputs}; do
        [ ! -d "${!name}/lib" ] || set -- "$@" --lib-dir "${!name}/lib"
    done
    for folder in $libDirs; do
        [ ! -d "$folder" ] || set -- "$@" --lib-dir "$folder"
    done
    for folder in $pluginDirs; do
        for name in $outputs; do
            [ ! -d "${!name}/$folder" ] || set -- "$@" --plugin-dir "${!name}/$folder"
        done
    done
    "$indir/bin/indir" update "${programs[@]}" "$@"
fi
