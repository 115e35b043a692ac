# shellcheck shell=sh
# What the scripts share: where things are, messages, and an apt of our own.
# Sourced, never run. Everything downloaded lands under one cache folder and
# nothing is installed: the machine's own apt and dpkg state is only read.

top=$(cd "$(dirname "$0")/../.." && pwd -P)
target=${CARGO_TARGET_DIR:-$top/target}
case $target in /*) ;; *) target=$top/$target ;; esac
cache=${INDIR_CACHE:-$target/cache}

# Progress and logs go to stderr, data to stdout.
say() { printf '%s\n' "$*" >&2; }
die() {
    printf '%s: %s\n' "$(basename "$0")" "$*" >&2
    exit 1
}

# own_apt SUITE…: (re)writes the sources of our own apt to these suites, from the
# mirrors that this machine is configured with, and reads their indices once.
#
# A suite is `bookworm`, `bookworm-security`, `trixie`, `sid`, with `:src` behind it
# for its source packages, or with `:arm64` for the packages of that architecture too,
# whose names have that behind them. Signatures are checked by apt against the
# archive keyring: first the machine's, for bookworm, and then the newest one
# that bookworm itself has, because the keyring of an older point release does
# not know the keys of later suites.
own_apt() {
    mkdir -p "$cache/apt/lists/partial" "$cache/apt/archives/partial" "$cache/apt/empty"
    : >"$cache/apt/status"
    own_apt_conf >"$cache/apt/apt.conf"
    system_keyring=/usr/share/keyrings/debian-archive-keyring.gpg
    [ -r "$system_keyring" ] || {
        say "no $system_keyring on this machine: cannot check signatures"
        return 1
    }
    keyring=$cache/apt/keyring.gpg
    if [ ! -s "$keyring" ]; then
        own_sources "$system_keyring" bookworm >"$cache/apt/sources.list"
        own_apt_get update >&2 || return 1
        (
            cd "$cache/apt" && rm -rf keyring keyring.deb debian-archive-keyring_*.deb &&
                own_apt_get download debian-archive-keyring >&2 &&
                dpkg-deb -x debian-archive-keyring_*.deb keyring &&
                rm -f debian-archive-keyring_*.deb
        ) || return 1
        # A symlink to the current form of the file in newer versions: follow it.
        cp -L "$cache/apt/keyring/usr/share/keyrings/debian-archive-keyring.gpg" "$keyring.new"
        rm -rf "$cache/apt/keyring"
        mv "$keyring.new" "$keyring"
    fi
    own_sources "$keyring" "$@" >"$cache/apt/sources.list"
    own_apt_get update >&2
}

# one_at_a_time: a second run waits here until the first has ended.
one_at_a_time() {
    mkdir -p "$cache"
    exec 9>"$cache/.lock"
    flock 9
}

# versions PACKAGE PATTERN: the builds that the indices have in the suites that
# match, earliest first; a suite is called `bookworm/main`.
versions() {
    case $1 in *:*) of=${1##*:} ;; *) of=amd64 ;; esac
    own_apt_cache madison "$1" |
        awk -v suite="^$2\$" -v of="$of" '$6 ~ suite && $7 == of { print $3 }' | sort -Vu
}

# unpack PACKAGE VERSION FOLDER: downloads that build and unpacks it as a new folder.
unpack() {
    rm -rf "$3" "$3.deb"
    mkdir -p "$3.deb"
    (cd "$3.deb" && own_apt_get download "$1=$2" >&2) || die "cannot download $1 $2"
    dpkg-deb -x "$3.deb"/*.deb "$3"
    rm -rf "$3.deb"
}

# fetch_source PACKAGE: downloads bookworm's upstream tarball into the cache.
fetch_source() {
    [ -z "$(find "$cache/src" -name "$1_*.orig.tar.*" 2>/dev/null)" ] || return 0
    (
        one_at_a_time && mkdir -p "$cache/src" && own_apt bookworm bookworm:src &&
            cd "$cache/src" && own_apt_get source --download-only --tar-only "$1"
    )
}

own_apt_get() { LC_ALL=C apt-get -q -c "$cache/apt/apt.conf" "$@"; }
own_apt_cache() { LC_ALL=C apt-cache -c "$cache/apt/apt.conf" "$@"; }

# The machine's own settings (a proxy, say) stay; lists, cache and state are ours.
# An index past its date is fine, as on a mirror that is a snapshot: its signature
# is still checked, what it names is only unpacked, and old builds are the point.
own_apt_conf() {
    cat <<CONF
Dir::Etc::sourcelist "$cache/apt/sources.list";
Dir::Etc::sourceparts "$cache/apt/empty";
Dir::Etc::preferences "$cache/apt/empty/none";
Dir::Etc::preferencesparts "$cache/apt/empty";
Dir::State "$cache/apt";
Dir::State::status "$cache/apt/status";
Dir::Cache "$cache/apt";
Dir::Cache::pkgcache "pkgcache.bin";
Dir::Cache::srcpkgcache "srcpkgcache.bin";
APT::Architecture "amd64";
#clear APT::Architectures;
APT::Architectures { "amd64"; "arm64"; };
APT::Sandbox::User "";
APT::Get::List-Cleanup "false";
#clear APT::Update;
#clear DPkg::Post-Invoke;
#clear Acquire::Languages;
Acquire::Languages { "none"; };
#clear Acquire::IndexTargets::deb;
Acquire::IndexTargets::deb::Packages { MetaKey "\$(COMPONENT)/binary-\$(ARCHITECTURE)/Packages"; flatMetaKey "Packages"; ShortDescription "Packages"; Description "\$(RELEASE)/\$(COMPONENT) \$(ARCHITECTURE) Packages"; };
Acquire::PDiffs "false";
Acquire::Check-Valid-Until "false";
Acquire::Retries "3";
CONF
}

own_sources() {
    signed_by=$1
    shift
    for suite in "$@"; do
        kind=deb arch=amd64
        case $suite in
        *:src) kind=deb-src suite=${suite%:src} ;;
        *:arm64) arch=amd64,arm64 suite=${suite%:arm64} ;;
        esac
        echo "$kind [arch=$arch signed-by=$signed_by] $(mirror "$suite") $suite main"
    done
}

# The mirror that this machine uses for a suite, or for bookworm, or Debian's own.
mirror() {
    case $1 in *-security) like=bookworm-security other=http://deb.debian.org/debian-security ;;
    *) like=bookworm other=http://deb.debian.org/debian ;; esac
    found=$(LC_ALL=C apt-get --print-uris update 2>/dev/null |
        sed -n "s|^'\(.*\)/dists/$like/InRelease'.*|\1|p" | head -n 1)
    echo "${found:-$other}"
}
