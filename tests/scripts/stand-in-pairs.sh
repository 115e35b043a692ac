#!/bin/bash
# How many real dependents are compiled again at real upgrades of libraries: by raw trees,
# by normalised ones, by floors and by stand-ins, and why the last ones are.
#
# usage: stand-in-pairs.sh INDIR [LIBRARY…]      (all those below by default)
#
# Of each library every build that Debian's archive has in bookworm, trixie and sid is
# made into a tree as nix/stub-tree.sh does; each one is compared with the next, for each
# dependent, whose words are those of its upstream source. With the headers of all that a
# dependent's Build-Depends name. A line a dependent, then the sums:
#
#   library old=>new dependent raw normalised floor stand-in kinds of reasons
#
# What was downloaded stays in target/cache/stand-in.
set -eu
# shellcheck source=tests/scripts/lib.sh
. "$(dirname "$0")/lib.sh"
indir=${1:?usage: stand-in-pairs.sh INDIR [LIBRARY…]}
indir=$(readlink -f "$indir")
shift
export LC_ALL=C
suites='bookworm bookworm-security trixie trixie-security sid'

# library: packages (of which any may be missing in a suite) : dependents
libraries='
openssl: libssl-dev libssl3 libssl3t64: wget socat stunnel4 libssh2 libevent openssh rsync curl
glib2.0: libglib2.0-dev libgio-2.0-dev libglib2.0-0 libglib2.0-0t64: dconf libsecret json-glib libnotify pango1.0 gdk-pixbuf irssi shared-mime-info
libxml2: libxml2-dev libxml2 libxml2-16: libxslt xmlsec1 xmlstarlet shared-mime-info raptor2 libarchive libbluray libsoup2.4
zlib: zlib1g-dev zlib1g: libpng1.6 curl rsync libxml2 libssh2 pigz file openssh
glibc: libc6-dev libc6: less tmux nano socat file rsync libzip c-blosc
ncurses: libncurses-dev libncurses6 libncursesw6 libtinfo6: less tmux nano htop dialog cmatrix screen mc
tiff: libtiff-dev libtiff6 libtiffxx6: openjpeg2 leptonlib imlib2 libgd2 libwebp lcms2 libgeotiff graphicsmagick
libffi: libffi-dev libffi8: wayland p11-kit python-cffi ruby-ffi glib2.0
zstd: libzstd-dev libzstd1: rsync curl libarchive squashfs-tools erofs-utils zchunk libzip btrfs-progs
libssh2: libssh2-1-dev libssh2-1 libssh2-1t64: curl libgit2
libpng: libpng-dev libpng16-16 libpng16-16t64: libgd2 optipng libwebp imlib2 freetype gdk-pixbuf cairo leptonlib
curl: libcurl4-openssl-dev libcurl4 libcurl4t64: git rtorrent htslib transmission curlftpfs liboauth ostree newsboat
expat: libexpat1-dev libexpat1: fontconfig wayland apr-util dbus git xmlrpc-c
sqlite3: libsqlite3-dev libsqlite3-0: apr-util libsoup2.4 newsboat gnupg2 proj libaccounts-glib spatialite subversion
readline: libreadline-dev libreadline8 libreadline8t64: bc rlwrap lftp sqlite3 gnupg2 socat units
gtk3: libgtk-3-dev libgtk-3-0 libgtk-3-0t64: mousepad galculator libhandy-1 gspell libdazzle gtksourceview4
pcre2: libpcre2-dev libpcre2-8-0 libpcre2-16-0 libpcre2-32-0 libpcre2-posix3: git nginx haproxy grep glib2.0 lighttpd libselinux swig
gmp: libgmp-dev libgmp10 libgmpxx4ldbl: mpfr4 mpclib3 nettle coreutils isl gnutls28
xz: liblzma-dev liblzma5: libarchive kmod squashfs-tools libxml2 file elfutils zstd
libevent: libevent-dev libevent-2.1-7 libevent-2.1-7t64 libevent-extra-2.1-7 libevent-extra-2.1-7t64 libevent-pthreads-2.1-7 libevent-pthreads-2.1-7t64 libevent-core-2.1-7 libevent-core-2.1-7t64 libevent-openssl-2.1-7 libevent-openssl-2.1-7t64: tmux memcached transmission nfs-utils tor unbound getdns
'
store=$cache/stand-in
mkdir -p "$store"/{raw,tree,words,with,src,needs}

field() { echo "$libraries" | sed -n "s/^$1: //p" | cut -d: -f"$2"; }
[ $# -gt 0 ] || eval "set -- $(echo "$libraries" | sed -n 's/:.*//p' | tr '\n' ' ')"

# The tree of an unpacked package: what its dependents are compiled against.
tree() {
    rm -rf "$2.new"
    mkdir -p "$2.new"
    folders=''
    for folder in "$1"/lib/x86_64-linux-gnu "$1"/usr/lib/x86_64-linux-gnu; do
        [ ! -d "$folder" ] || folders="$folders --tree $folder"
    done
    # shellcheck disable=SC2086 # a list
    [ -z "$folders" ] || "$indir" stub $folders -o "$2.new/lib" 2>/dev/null || return 1
    [ ! -d "$1/usr/include" ] || "$indir" stub --include "$1/usr/include" -o "$2.new/include" 2>/dev/null
    mkdir -p "$2.new/lib" "$2.new/share"
    for folder in lib/x86_64-linux-gnu/pkgconfig lib/pkgconfig share/pkgconfig \
        lib/x86_64-linux-gnu/cmake lib/cmake share/aclocal; do
        to=$2.new/${folder/x86_64-linux-gnu\//}
        if [ -d "$1/usr/$folder" ]; then
            mkdir -p "$to"
            cp -rL "$1/usr/$folder/." "$to"
        fi
    done
    for file in "$1"/usr/bin/*-config; do
        if [ -f "$file" ]; then
            mkdir -p "$2.new/bin"
            cp "$file" "$2.new/bin"
        fi
    done
    # Where the tree is, as nix/stub-tree.sh has it.
    # shellcheck disable=SC2016 # pkg-config's variable
    find "$2.new" -name '*.pc' -exec sed -i \
        -e 's|^prefix=.*|prefix=${pcfiledir}/../..|' -e 's|/lib/x86_64-linux-gnu|/lib|g' {} +
    mv "$2.new" "$2"
}

# fetch LIBRARY: trees of all its builds; their versions, the earliest first, in a file.
fetch() {
    packages=$(field "$1" 1)
    echo "$packages" >"$store/$1.packages"
    first=${packages%% *}
    own_apt_cache madison "$first" | awk '$6 ~ /main$/ && $NF == "Packages" { print $3 }' | sort -Vu >"$store/$1.versions"
    while read -r version; do
        at=$1-$(echo "$version" | tr ':' '_')
        [ ! -d "$store/tree/$at" ] || continue
        rm -rf "$store/raw/$at"
        for package in $packages; do
            # Other packages of a source may have a suffix of a rebuild.
            real=$(own_apt_cache madison "$package" | awk '$NF == "Packages" { print $3 }' |
                grep -Fx -e "$version" -e "${version%+b[0-9]}" | head -n 1)
            [ -n "$real" ] || continue
            unpack "$package" "$real" "$store/part"
            mkdir -p "$store/raw/$at"
            cp -a "$store/part/." "$store/raw/$at"
            rm -rf "$store/part"
        done
        [ -d "$store/raw/$at" ] || { say "$at: no package of it can be fetched"; continue; }
        tree "$store/raw/$at" "$store/tree/$at" || say "$at: no tree can be made"
        say "$at"
    done <"$store/$1.versions"
}

# words PACKAGE: of its upstream source, and the packages that it is built with.
words() {
    if [ ! -s "$store/words/$1" ]; then
        rm -rf "$store/src/$1"
        mkdir -p "$store/src/$1"
        (cd "$store/src/$1" && own_apt_get source --download-only --tar-only "$1" >&2) || return 0
        for file in "$store/src/$1"/*.orig*.tar.*; do
            case $file in *.asc) continue ;; esac
            tar -C "$store/src/$1" --no-same-owner -xf "$file" && rm "$file"
        done
        "$indir" words "$store/src/$1" -o "$store/words/$1"
        rm -rf "$store/src/$1"
    fi
    if [ ! -e "$store/needs/$1" ]; then
        own_apt_cache showsrc --only-source "$1" | sed -n 's/^Build-Depends: //p' | tail -n 1 |
            tr ',' '\n' | sed 's/|.*//; s/^ *//; s/[ (:<[].*//' | grep -E '^[a-z0-9+.-]+-dev$' | sort -u >"$store/needs/$1.direct"
        {
            echo libc6-dev linux-libc-dev | tr ' ' '\n'
            xargs -r "$(command -v apt-cache)" -c "$cache/apt/apt.conf" depends --recurse --no-recommends \
                --no-suggests --no-conflicts --no-breaks --no-replaces --no-enhances \
                <"$store/needs/$1.direct" 2>/dev/null | grep -E '^[a-z0-9+.-]+-dev$' || :
        } | sort -u >"$store/needs/$1.new"
        mv "$store/needs/$1.new" "$store/needs/$1"
    fi
    while read -r package; do
        [ -e "$store/with/$package" ] || with "$package"
    done <"$store/needs/$1"
}

# with PACKAGE: the headers of a package of bookworm.
with() {
    version=$(versions "$1" 'bookworm.*' | tail -n 1)
    mkdir -p "$store/with/$1"
    [ -n "$version" ] || return 0
    unpack "$1" "$version" "$store/part"
    for folder in usr/include usr/lib/x86_64-linux-gnu/pkgconfig usr/share/pkgconfig; do
        [ ! -d "$store/part/$folder" ] || cp -rL "$store/part/$folder" "$store/with/$1/" 2>/dev/null || :
    done
    for folder in "$store/part"/usr/lib/x86_64-linux-gnu/*/include; do
        if [ -d "$folder" ]; then mkdir -p "$store/with/$1/lib"; cp -rL "$folder" "$store/with/$1/lib/"; fi
    done
    rm -rf "$store/part"
}

sum() { (cd "$1" 2>/dev/null && find . -type f "${@:2}" -print0 | sort -z | xargs -0r sha256sum | sha256sum) || echo none; }
links() { (cd "$1" 2>/dev/null && find . -type l -printf '%p %l\n' | sort | sha256sum) || echo none; }

# pair LIBRARY OLD NEW: a line for each dependent.
pair() {
    library=$1
    old=$store/tree/$library-$(echo "$2" | tr ':' '_') new=$store/tree/$library-$(echo "$3" | tr ':' '_')
    [ -d "$old" ] && [ -d "$new" ] || return 0
    raw=same norm=same
    rawold=$store/raw/${old##*/} rawnew=$store/raw/${new##*/}
    filter=(-not -path '*/share/doc/*')
    [ "$(sum "$rawold" "${filter[@]}")" = "$(sum "$rawnew" "${filter[@]}")" ] || raw=again
    [ "$(sum "$old"; links "$old")" = "$(sum "$new"; links "$new")" ] || norm=again
    for dependent in $(field "$library" 2); do
        { [ -s "$store/words/$dependent" ] && [ -e "$store/needs/$dependent" ]; } || continue
        args=()
        own=" $(field "$library" 1) "
        while read -r package; do
            case $own in *" $package "*) continue ;; esac
            [ -z "$(ls -A "$store/with/$package" 2>/dev/null)" ] || args+=(--with "$store/with/$package")
        done <"$store/needs/$dependent"
        report=$("$indir" stand-in --words "$store/words/$dependent" --history "$old" --new "$new" \
            "${args[@]}" --json) || { say "$library $2 $3 $dependent: failed"; continue; }
        echo "$report" >"$store/report.json"
        stand=$(python3 - "$store/report.json" <<'PY'
import collections, json, sys
library = json.load(open(sys.argv[1]))["libraries"][0]
reasons = [why for passed in library["passed"] for why in passed["reasons"]]
kinds = collections.Counter(why["kind"] for why in reasons)
floor = "again" if kinds["floor"] else "same"
print(floor, "same" if library["stands_in"] else "again",
      ",".join(f"{kind}:{count}" for kind, count in sorted(kinds.items())) or "-",
      " | ".join(why["what"] for why in reasons[:3]).replace("\n", " "))
PY
        )
        printf '%s %s=>%s %s %s %s %s\n' "$library" "$2" "$3" "$dependent" "$raw" "$norm" "$stand"
    done
}

if [ -z "${OFFLINE:-}" ]; then
    # shellcheck disable=SC2046,SC2086 # lists
    own_apt $suites bookworm:src || die "cannot read Debian's package indices"
    for library in "$@"; do
        fetch "$library"
        for dependent in $(field "$library" 2); do words "$dependent"; done
    done
fi
for library in "$@"; do
    last=''
    while read -r version; do
        [ -z "$last" ] || pair "$library" "$last" "$version"
        last=$version
    done <"$store/$library.versions"
done | tee "$store/lines" | cut -c1-240
awk '{ n++; raw += $4 == "again"; norm += $5 == "again"; floor += $6 == "again"; stand += $7 == "again"
       split($8, kinds, ","); if ($7 == "again") for (at in kinds) { split(kinds[at], parts, ":"); why[parts[1]]++ } }
     END { printf "%d dependents at upgrades: compiled again by raw trees %d, normalised %d, floors %d, stand-ins %d\n", n, raw, norm, floor, stand
           for (kind in why) printf "  %s: %d\n", kind, why[kind] }' "$store/lines"
