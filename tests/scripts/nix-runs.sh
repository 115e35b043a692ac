#!/bin/bash
# Runs the programs of a built set of nix/debian, on data: that each is found, loads
# nothing but libraries of the store, and does its work.
#
# usage: nix-in-store.sh STORE nix-runs.sh SYSTEM GLIBC
#
# SYSTEM is the built attribute `system`, GLIBC a version that is part of the path of
# the libc which programs have to be on. Prints how many programs were run.
set -eu
system=$1 glibc=$2
die() {
    echo "nix-runs.sh: $*" >&2
    exit 1
}

# As a shell of this environment would have it; the ordinary system has none.
export INDIR_TABLES=$system/tables

programs=0
for program in "$system"/bin/*; do
    [ "$(head -c 4 "$program" | tr -d '\0')" = $'\x7fELF' ] || continue
    programs=$((programs + 1))
    loaded=$(LD_TRACE_LOADED_OBJECTS=1 "$program") || die "$program does not start: $loaded"
    [[ $loaded == *"-glibc-$glibc"*/libc.so.6* ]] || die "$program is not on glibc $glibc: $loaded"
    # The kernel's own object has no path.
    elsewhere=$(grep -v -e '/nix/store/' -e linux-vdso <<<"$loaded") || :
    [ -z "$elsewhere" ] || die "$program loads from elsewhere: $elsewhere"
    ! grep -q stubs <<<"$loaded" || die "$program loads a stub: $loaded"
done

export PATH=$system/bin:/usr/bin:/bin LC_ALL=C TERM=xterm
works=0
# works EXPECTED COMMAND…: what is not in the set is left out.
works() {
    expected=$1
    shift
    [ -e "$system/bin/$1" ] || return 0
    said=$("$@" 2>&1 </dev/null) || die "$* failed: $said"
    [[ $said == *"$expected"* ]] || die "$*: not \`$expected\` but: $said"
    works=$((works + 1))
}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
echo "some words in a file" >words
for packer in gzip xz bzip2 lzip lz4 zstd; do
    [ -e "$system/bin/$packer" ] || continue
    $packer <words >packed
    [ "$($packer -d <packed)" = "$(cat words)" ] || die "$packer does not unpack what it packed"
    works=$((works + 1))
done
gzip <words >words.gz
works "gzip compressed data" file words.gz
works "Hello, world!" hello
works A gawk -l ordchr 'BEGIN { print chr(65) }'
works "plugin 42" parts
echo '<a><b>text</b></a>' >doc.xml
works expat_ xmlwf -v
works "" xmlwf doc.xml
works text xmllint --xpath '//b/text()' doc.xml
works 7 jq -n '{a: 3} | .a + 4'
works 12 sqlite3 :memory: 'create table t(x); insert into t values (5), (7); select sum(x) from t;'
works "some words" curl -s "file://$work/words"
works libz curl --version
works OpenSSL openssl version
works "$(sha256sum <words | cut -c 1-64)" openssl dgst -sha256 words
# shellcheck disable=SC2016 # for that bash
works "5 file" bash -c 'read -ra w <words; echo ${#w[@]} ${w[4]}'
works "some" grep -oP '\w+(?= words)' words
works "words" rg -oP '(?<=some )\w+' words
works "some WORDS" sed 's/words/WORDS/' words
tar -cf words.tar words
works "words" tar -tf words.tar
works "./words" find . -name words
works "GNU diffutils" diff --version
works "GNU patch" patch --version
works "GNU nano" nano --version
works "less 590" less --version
works "xterm" infocmp xterm
works "80" tput cols
echo "$programs programs are on glibc $glibc; $works did their work"
