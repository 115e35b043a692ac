#!/bin/bash
# What indirect programs of an initramfs need: their tables, the shim, the libraries.
#
# ln -s PREFIX/share/indir/dracut/99indir /usr/lib/dracut/modules.d/
#
# The number puts it behind the modules whose programs it completes.

check() {
    return 0
}

depends() {
    return 0
}

install() {
    local own indir copy program file
    # shellcheck disable=SC2154 # dracut sets it
    own=$(readlink -f "$moddir")
    indir=${own%/share/*}/bin/indir
    # shellcheck disable=SC2154 # dracut sets it
    find "$initdir" -type f -perm /111 -exec grep -lF ld-indir-x86-64.so.1 {} + |
        while IFS= read -r copy; do
            program=${copy#"$initdir"}
            [[ -f $program ]] && "$indir" files "$program"
        done | sort -u |
        while IFS= read -r file; do
            if [[ ! -e $initdir$file ]]; then
                mkdir -p "$initdir${file%/*}"
                cp -pL "$file" "$initdir$file"
            fi
        done
}
