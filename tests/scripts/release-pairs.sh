#!/bin/bash
# Libraries of Debian 12 against those of the same name in Debian 13: what
# `indir abi diff` says of each pair, and the counts that docs/stubs.md shows.
#
# usage: release-pairs.sh [INDIR]      (target/release/indir by default)
#
# A line a pair: class, soname, the rules with how often each decided. Both releases'
# packages are fetched through an apt root of their own, signatures checked, and their
# libraries lie side by side in one folder a release, so that each finds what it needs:
#
#   target/cache/releases/<bookworm|trixie>/libz.so.1.2.13
#
# What is there already is kept: delete target/cache/releases to fetch newer builds.
set -eu
# shellcheck source=tests/scripts/lib.sh
. "$(dirname "$0")/lib.sh"

# Those of what Debian installs or builds most with whose sonames are in both.
packages='libc6 libstdc++6 libgcc-s1 libgomp1 libatomic1 zlib1g libgmp10 libmpfr6 libmpc3
libncurses6 libncursesw6 libtinfo6 libdbus-1-3 libgnutls30 libnettle8 libhogweed6 libkrb5-3
libgssapi-krb5-2 libk5crypto3 libkrb5support0 libssl3 libcurl4 libexpat1 libxml2 libglib2.0-0
libbz2-1.0 liblzma5 libzstd1 libpcre2-8-0 libsqlite3-0 libx11-6 libxcb1 libpng16-16
libfreetype6 libselinux1 libsystemd0 libudev1 libtirpc3 libnsl2 libpam0g libcap2 libacl1
libattr1 libgcrypt20 libgpg-error0 libidn2-0 libp11-kit0 libtasn1-6 libffi8 libuuid1 libblkid1
libmount1 libsmartcols1 libfdisk1 libcom-err2 libdb5.3 libreadline8 libedit2 libarchive13
libsasl2-2 libpq5 libmagic1 libfontconfig1 libcairo2 libharfbuzz0b libseccomp2 libapparmor1
libelf1 libdw1 libjpeg62-turbo libtiff6 libwebp7 libssh2-1 libnghttp2-14 librtmp1 libpsl5
libbrotli1 libkeyutils1 libslang2 libpopt0 libltdl7 liblz4-1 libxxhash0 libcups2 libext2fs2
libdevmapper1.02.1 libcryptsetup12 libkmod2 libwayland-client0 libdrm2 libpulse0 libasound2
libgdbm6 libcrypt1 libsemanage2 libgtk-3-0 libsndfile1 libusb-1.0-0 libpcap0.8 libxext6
libxrender1 libxi6 libpango-1.0-0 libgdk-pixbuf-2.0-0 libsecret-1-0 libpolkit-gobject-1-0
libmnl0 libnftnl11 libnftables1 libxtables12 libjansson4 libwbclient0 libtalloc2 libtevent0
libtdb1'
# What the newer release calls otherwise, only so that needs are found.
others='libunistring5 libldap2 libnghttp3-9 libngtcp2-16 libngtcp2-crypto-gnutls8 libcloudproviders0 libsharpyuv0 libflac14'

indir=${1:-${INDIR:-$target/release/indir}}
[ -x "$indir" ] || die "$indir is no program: cargo build --release, or name one"
command -v python3 >/dev/null || die "python3 is missing: apt-get install python3"
releases=$cache/releases
export LC_ALL=C

# libraries SUITE PACKAGE VERSION: its shared libraries, beside the others.
libraries() {
    unpack "$2" "$3" "$releases/.new"
    for folder in "$releases"/.new/lib/x86_64-linux-gnu "$releases"/.new/usr/lib/x86_64-linux-gnu; do
        [ ! -d "$folder" ] || find "$folder" -maxdepth 1 -name '*.so*' -exec cp -a -t "$releases/$1" {} +
    done
    rm -rf "$releases/.new"
    say "$1 $2: $3"
    touch "$releases/$1/.$2"
}

fetch() {
    one_at_a_time
    mkdir -p "$releases/bookworm" "$releases/trixie"
    own_apt bookworm trixie || die "cannot read Debian's package indices"
    for suite in bookworm trixie; do
        for package in $packages $others; do
            # 64-bit times gave packages another name, and no 64-bit library another soname.
            for name in "$package" "${package}t64"; do
                [ ! -e "$releases/$suite/.$name" ] || break
                version=$(versions "$name" "$suite/main" | tail -n 1)
                [ -n "$version" ] || continue
                libraries "$suite" "$name" "$version"
                break
            done
        done
        touch "$releases/$suite/.complete"
    done
}
[ -e "$releases/trixie/.complete" ] || (fetch)

# Files by soname: of a link and its file, the file.
by_soname() {
    find "$releases/$1" -maxdepth 1 -type f -name '*.so*' | sort | while read -r file; do
        soname=$(readelf -dW "$file" 2>/dev/null | sed -n 's/.*(SONAME).*\[\(.*\)\]/\1/p')
        [ -z "$soname" ] || printf '%s %s\n' "$soname" "$file"
    done | sort -k 1,1 -u
}

join <(by_soname bookworm) <(by_soname trixie) | while read -r soname old new; do
    "$indir" abi diff --json "$old" "$new" 2>/dev/null | python3 -c '
import collections, json, sys
report = json.load(sys.stdin)
rules = collections.Counter(change["rule"] for change in report["changes"])
print(report["class"], sys.argv[1], *(f"{rule}:{count}" for rule, count in sorted(rules.items())))
' "$soname" || printf 'unreadable %s\n' "$soname"
done | awk '{ print; count[$1]++; n++ }
    END { printf "%d pairs: ", n
          printf "%d equal, %d added, %d compatible, %d incompatible", count["equal"], count["added"],
              count["compatible"], count["incompatible"]
          if (count["unreadable"]) printf ", %d unreadable", count["unreadable"]
          print "" }'
