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
# No process for each package, program or library: there are thousands.
: >libraries
# shellcheck disable=SC2016 # the inner shell expands it
echo "$(<"$preferredPath") $(<"$libDirsPath")" | tr ' ' '\n' | tr '\n' '\0' |
    xargs -0r sh -c 'for dir; do [ ! -d "$dir" ] || printf "%s\0" "$dir"; done' sh |
    xargs -0r sh -c 'exec find "$@" -maxdepth 1 -name "*.so*" -xtype f -print0' sh >libraries
xargs -0r readlink -f -z -- <libraries >reals
# Everything that is run or opened at run time.
tr '\n' '\0' <paths | xargs -0r sh -c \
    'exec find "$@" -type f \( -perm -0100 -o -name "*.so" -o -name "*.so.*" \) -print0' sh >objects
declare -A needs=() isObject=()
while IFS= read -rd '' file; do isObject[$file]=1; done <objects
sort -zu objects reals | facts >all
file='' programs=() wanted=()
while IFS= read -r line; do
    case $line in
    F*) file=${line#F} ;;
    I*/lib/indir/ld-indir-x86-64.so.1) [ -z "${isObject[$file]-}" ] || programs+=("$file") ;;
    N*)
        needs[$file]+=" ${line#N}"
        [ -z "${isObject[$file]-}" ] || wanted+=("${line#N}")
        ;;
    esac
done <all

# In the order in which the folders were given.
declare -A known=() place=() real=() other=()
while IFS= read -rd '' file && IFS= read -rd '' now <&3; do
    soname=${file##*/}
    if [ -z "${place[$soname]-}" ]; then
        place[$soname]=$file real[$soname]=$now
    elif [ "$now" != "${real[$soname]}" ] && [ -z "${other[$soname]-}" ]; then
        other[$soname]=$file
    fi
done <libraries 3<reals
for folder in $runtimeDirs; do
    for file in "$folder"/*.so*; do known[${file##*/}]=$file; done
done
preferred=" $(<"$preferredPath") "
: >conflicts
while [ ${#wanted[@]} != 0 ]; do
    found=()
    for soname in "${wanted[@]}"; do
        [ -z "${known[$soname]-}" ] || continue
        known[$soname]=-
        # What is nowhere may be in a private folder that the object knows; else the
        # update says so.
        file=${place[$soname]-}
        [ -n "$file" ] || continue
        if [ -n "${other[$soname]-}" ] && [[ $preferred != *" ${file%/*} "* ]]; then
            echo "  $soname: $file and ${other[$soname]}" >>conflicts
        fi
        printf '%s\0' "$file" >>links
        # shellcheck disable=SC2206 # sonames, a word each
        found+=(${needs[${real[$soname]}]-})
    done
    wanted=("${found[@]}")
done
if [ -s conflicts ]; then
    say "two libraries of one soname in $name (say which is meant with \`prefer = [ package ]\`, or give one of their users an environment of its own):"
    cat conflicts >&2
    exit 1
fi

[ ! -e links ] || xargs -0 ln -s -t "$out/lib" -- <links

set --
for folder in $runtimeDirs "$out/lib"; do set -- "$@" --lib-dir "$folder"; done
[ ${#programs[@]} != 0 ] || exit 0
# As much of them at once as a command line holds.
if ! printf '%s\0' "${programs[@]}" |
    xargs -0 -s 1000000 "$indir/bin/indir" update --tables "$out/tables" "$@"; then
    say "if a library above is of a package that $name does not know, as it is named by path alone: libraries = [ that package ]"
    exit 1
fi
# outside FILE…: what a table names outside of the store. A table is used on machines
# that have the store and nothing else of this one. Not the odd bytes of a digest: a path
# of two parts.
outside() {
    # shellcheck disable=SC2020 # these two characters are meant
    cat "$@" | tr '\000:' '\n\n' | grep -aE '^(/[A-Za-z0-9._+-]+){2,}$' | grep -v "^$NIX_STORE/" | head -n 1 || :
}
tables=()
for table in "$out"/tables/*; do [[ $table == *.bind ]] || tables+=("$table"); done
if [ -n "$(printf '%s\0' "${tables[@]}" | xargs -0 cat | outside -)" ]; then
    for table in "${tables[@]}"; do
        where=$(outside "$table")
        [ -z "$where" ] || {
            say "${table##*/} names $where, which is outside of the store: libraries = [ the package that has it ]"
            exit 1
        }
    done
fi
