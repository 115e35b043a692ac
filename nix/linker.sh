#!@shell@
# shellcheck shell=bash
# A linker of nix/bintools.nix. What it links runs, while packages are built, on frozen
# libraries: before stubs, whose folders build systems give as run paths. CMake wants to
# find them there when it installs, so they only go behind all others.
real=@real@
[ "${NIX_INDIR-}" = 1 ] || exec "$real" "$@"
arguments=() last=() previous=''
isStub() { [[ :$1: == *-stubs/*:* || $1 == *-stubs ]]; }
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
INDIR_LD=$real exec @indir@/bin/indir-ld --indir-shim=@shim@/lib/indir/ld-indir-x86-64.so.1 "${arguments[@]}" "${last[@]}"
