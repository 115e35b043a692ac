# shellcheck shell=bash disable=SC2154,SC2086 # variables come from tables-of.nix
# Builds the tables of an environment: `tables`, by id, for every indirect program of its
# closure, and `lib`, links to the libraries that anything in it needs, each once.
set -eu
shopt -s nullglob
export LC_ALL=C
# Builders have a terminal, whose progress bars would go into the log.
export TERM=dumb
say() { echo "indir: $*" >&2; }

cat closure-* | grep "^$NIX_STORE/" | sort -u >paths || :
for frozen in $frozenNames; do
    if grep -qF "/$frozen" paths; then
        say "$frozen, of the frozen set, is in the closure of $name, and no upgrade reaches it; it is named by:"
        # A graph has a path, its deriver, how many it names, and those.
        cat closure-* | while IFS= read -r path && IFS= read -r _ && IFS= read -r count; do
            while [ "$count" -gt 0 ] && IFS= read -r other; do
                count=$((count - 1))
                case $path in */"$frozen") continue ;; esac
                case $other in */"$frozen") echo "  $path" ;; esac
            done
        done | sort -u >&2
        exit 1
    fi
done

# facts: of every ELF file of standard input its name (F), then its interpreter (I) and
# what it needs (N), a line each.
facts() {
    # readelf names a file only if there are several.
    xargs -0r readelf -dlW /dev/null 2>/dev/null | sed -n 's/^File: /F/p
        s/.*(NEEDED).*\[\(.*\)\]$/N\1/p
        s/.*\[Requesting program interpreter: \(.*\)\]$/I\1/p' || :
}

mkdir -p "$out/lib" "$out/tables"
# Everything that is run or opened at run time.
while IFS= read -r path; do
    find "$path" -type f \( -perm -0100 -o -name '*.so' -o -name '*.so.*' \) -print0
done <paths >objects
facts <objects >all
file='' programs=()
while IFS= read -r line; do
    case $line in
    F*) file=${line#F} ;;
    I*/lib/indir/ld-indir-x86-64.so.1) programs+=("$file") ;;
    esac
done <all
sed -n 's/^N//p' all | sort -u >needed

declare -A known=() conflict=()
for folder in $runtimeDirs; do
    for file in "$folder"/*.so*; do known[${file##*/}]=$file; done
done
: >conflicts
while [ -s needed ]; do
    : >found
    while IFS= read -r soname; do
        [ -z "${known[$soname]-}" ] || continue
        known[$soname]=-
        place='' real=''
        for folder in $preferred $libDirs; do
            [ -e "$folder/$soname" ] || continue
            now=$(readlink -f "$folder/$soname")
            if [ -z "$place" ]; then
                place=$folder/$soname real=$now
            elif [ "$now" != "$real" ] && [ -z "${conflict[$soname]-}" ]; then
                case " $preferred " in *" ${place%/*} "*) continue ;; esac
                conflict[$soname]=1
                echo "  $soname: $place and $folder/$soname" >>conflicts
            fi
        done
        # What is nowhere may be in a private folder that the object knows; else the
        # update says so.
        [ -n "$place" ] || continue
        ln -s "$place" "$out/lib/$soname"
        printf '%s\0' "$real" >>found
    done <needed
    facts <found | sed -n 's/^N//p' | sort -u >needed
done
if [ -s conflicts ]; then
    say "two libraries of one soname in $name (say which is meant with \`prefer = [ package ]\`, or give one of their users an environment of its own):"
    cat conflicts >&2
    exit 1
fi

set --
for folder in $runtimeDirs "$out/lib"; do set -- "$@" --lib-dir "$folder"; done
[ ${#programs[@]} != 0 ] || exit 0
if ! "$indir/bin/indir" update --tables "$out/tables" "$@" "${programs[@]}"; then
    say "if a library above is of a package that $name does not know, as it is named by path alone: libraries = [ that package ]"
    exit 1
fi
# A table is used on machines that have the store and nothing else of this one.
for table in "$out"/tables/*; do
    case $table in *.bind) continue ;; esac
    # Not the odd bytes of a digest: a path of two parts.
    outside=$(strings -n 8 "$table" | tr : '\n' | grep -E '^(/[A-Za-z0-9._+-]+){2,}$' |
        grep -v "^$NIX_STORE/" | head -n 1 || :)
    [ -z "$outside" ] || {
        say "${table##*/} names $outside, which is outside of the store: libraries = [ the package that has it ]"
        exit 1
    }
done
