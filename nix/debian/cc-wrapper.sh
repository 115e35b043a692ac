#!/bin/bash
# The compiler of nix/debian: Debian's, with the store's libc and libraries.
# Does what nixpkgs' cc-wrapper does with these variables: NIX_CFLAGS_COMPILE,
# NIX_CFLAGS_LINK, NIX_LDFLAGS; libc comes from nix-support.
set -eu
self=@out@
link=yes inputs=no
for arg; do
    case $arg in
    -c | -S | -E | -M | -MM) link=no ;;
    -*) ;;
    *) inputs=yes ;;
    esac
done
[ $inputs = yes ] || link=no
read -r -a cflags <<<"${NIX_CFLAGS_COMPILE-} $(<"$self/nix-support/libc-cflags")"
compiler=@prog@
case $compiler in
*++) read -r -a cxxflags <"$self/nix-support/libcxx-cxxflags" ;;
*) cxxflags=() ;;
esac
after=()
if [ $link = yes ]; then
    read -r -a ldflags <<<"${NIX_CFLAGS_LINK-}"
    after+=("${ldflags[@]}")
fi
exec $compiler -B@bintools@/bin/ -nostdinc "$@" "${cxxflags[@]}" "${cflags[@]}" "${after[@]}"
