#!@shell@
# shellcheck shell=bash
# A linker of nix/bintools.nix. What it links runs, while packages are built, on frozen
# libraries: before stubs, whose folders build systems give as run paths. CMake wants to
# find them there when it installs, so they only go behind all others.
real=@real@
[ "${NIX_INDIR-}" = 1 ] || exec "$real" "$@"
arguments=() last=() previous=''
isStub() { [[ :$1: == *[-_]stubs/*:* || $1 == *[-_]stubs ]]; }
for argument; do
    case $previous in
    -dynamic-linker | --dynamic-linker) argument=${INDIR_INTERPRETER:-@interpreter@} ;;
    -rpath | --rpath | -R)
        if isStub "$argument"; then
            unset 'arguments[-1]'
            last+=("$previous" "$argument")
            previous=''
            continue
        fi
        ;;
    esac
    previous=$argument
    case $argument in
    -dynamic-linker=* | --dynamic-linker=*) argument=${argument%%=*}=${INDIR_INTERPRETER:-@interpreter@} ;;
    -rpath=* | --rpath=*)
        if isStub "${argument#*=}"; then
            last+=("$argument")
            continue
        fi
        ;;
    esac
    arguments+=("$argument")
done
status=0
{
    errors=$(INDIR_LD=$real @indir@/bin/indir-ld --indir-shim=@shim@/lib/indir/ld-indir-x86-64.so.1 \
        "${arguments[@]}" "${last[@]}" 2>&1 >&3 3>&-) || status=$?
} 3>&1
[ -z "$errors" ] || printf '%s\n' "$errors" >&2
[ $status != 0 ] || exit 0
# A stub may be of a frozen build, and lack what today's library has. Which are is nothing
# that this build may depend on.
missing='' stubs=''
while read -r line; do
    if [[ $line =~ undefined\ (reference\ to|symbol:?)\ [\`\']?([A-Za-z0-9_.@]+) ]] &&
        [[ " $missing" != *" ${BASH_REMATCH[2]} "* ]]; then
        missing+="${BASH_REMATCH[2]} "
    fi
done <<<"$errors"
for argument in "${arguments[@]}"; do
    if [[ $argument =~ ^-L.*/[0-9a-z]{32}-(.*)-stubs/lib$ ]] && [[ " $stubs" != *" ${BASH_REMATCH[1]} "* ]]; then
        stubs+="${BASH_REMATCH[1]} "
    fi
done
if [ -n "$missing" ] && [ -n "$stubs" ]; then
    echo "indir: not in the stubs of ${stubs% }: ${missing% }; if today's library has it, its stubs are of a frozen build: raise its floor (docs/nix.md, \"Stubs\")" >&2
fi
exit $status
