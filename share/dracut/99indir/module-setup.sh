#!/bin/bash
# What indirect programs of an initramfs need: their tables, the shim, the libraries.
#
# ln -s PREFIX/share/indir/dracut/99indir /usr/lib/dracut/modules.d/
#
# The number puts it behind the modules whose programs it completes. What `--install`
# names comes behind all modules otherwise; what `--include` copies still does, and is
# not completed.

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
    # As dracut itself does later; what is there then stays.
    # shellcheck disable=SC2154,SC2128,SC2086 # dracut sets them, a text each
    [[ -z ${install_items-} ]] || inst_multiple $install_items
    # shellcheck disable=SC2128,SC2086
    [[ -z ${install_optional_items-} ]] || inst_multiple -o $install_optional_items
    # shellcheck disable=SC2154 # dracut sets it
    find "$initdir" -type f -perm /111 -exec grep -lF -e ld-indir-x86-64.so.1 -e ld-indir-aarch64.so.1 {} + |
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
