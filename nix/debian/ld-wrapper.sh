#!/bin/bash
# The linker of nix/debian. Does what nixpkgs' ld-wrapper does, as far as packages
# can tell: drops folders outside of the store, adds libc and NIX_LDFLAGS, names
# libc's dynamic linker, and adds an -rpath for every -L folder of the store that
# holds a library which is named, unless NIX_DONT_SET_RPATH is 1.
set -eu
shopt -s nullglob
self=@out@
kept=() skip=no
for arg; do
    if [ $skip = yes ]; then
        skip=no
        continue
    fi
    case $arg in
    # The compiler's own folder stands for the one that it has in the store.
    -L/usr/lib/gcc/*/../*) ;;
    -L/usr/lib/gcc/*) kept+=("$arg") ;;
    -L/lib* | -L/usr/*) ;;
    -dynamic-linker) skip=yes ;;
    *) kept+=("$arg") ;;
    esac
done
before=() after=()
type=dynamic
for arg; do
    case $arg in
    -shared | -static | -static-pie | --no-dynamic-linker | -r | -i) type=other ;;
    esac
done
if [ $type = dynamic ]; then
    before+=(-dynamic-linker "${NIX_DYNAMIC_LINKER:-$(<"$self/nix-support/dynamic-linker")}")
fi
read -r -a flags <<<"${NIX_LDFLAGS-} $(<"$self/nix-support/libc-ldflags")"
after+=("${flags[@]}")
if [ "${NIX_DONT_SET_RPATH-}" != 1 ]; then
    folders=() previous=''
    declare -A names=() seen=()
    for arg in "${kept[@]}" "${after[@]}"; do
        case $previous:$arg in
        -L:*) folders+=("$arg") ;;
        -l:*) names[lib$arg.so]=1 ;;
        *:-L/*) folders+=("${arg#-L}") ;;
        *:-l?*) names[lib${arg#-l}.so]=1 ;;
        *:"$NIX_STORE"/*.so | *:"$NIX_STORE"/*.so.*)
            folders+=("${arg%/*}")
            names[${arg##*/}]=1
            ;;
        esac
        previous=$arg
    done
    for folder in "${folders[@]}"; do
        [[ $folder == "$NIX_STORE"/* && -z ${seen[$folder]-} ]] || continue
        for path in "$folder"/*; do
            if [ -n "${names[${path##*/}]-}" ]; then
                after+=(-rpath "$folder")
                seen[$folder]=1
                break
            fi
        done
    done
fi
[ "${NIX_SET_BUILD_ID-}" != 1 ] || [ $type = other ] || after+=(--build-id=sha1)
@prog@ -nostdlib "${before[@]}" "${kept[@]}" "${after[@]}"
