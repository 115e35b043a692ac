#!/bin/sh
# Walks through README.md and docs/guide.md as somebody would who has a bare Debian and a
# clone of this repository: every command that the pages show, in a fresh system, with what
# it prints compared with what the pages say. The transcript is what is printed.
#
# usage: walk.sh [--prebuilt PREFIX] [bookworm|trixie]
#
# With --prebuilt nothing is compiled: `make install` lays out PREFIX's indir.
#
# The system is debootstrap's, under target/walk, entered by chroot; it has to be root for
# that. It has no network but Debian's mirrors: no name server, and their addresses alone in
# its /etc/hosts. So crates come from a folder that `cargo vendor` makes outside.
#
# On trixie only the README is walked, since the guide's packages are those of bookworm.
set -eu
# shellcheck source=tests/scripts/lib.sh
. "$(dirname "$0")/lib.sh"

prebuilt=''
if [ "${1-}" = --prebuilt ]; then
    [ -x "${2-}/bin/indir" ] || die "there is no bin/indir in \`${2-}\`: run indir setup --prefix there"
    prebuilt=$2
    shift 2
fi
suite=${1-bookworm}
case $suite in bookworm | trixie) ;; *) die "unknown suite $suite: bookworm or trixie" ;; esac
[ "$(id -u)" = 0 ] || die "only root can make a system and enter it"
for tool in debootstrap unshare git; do
    command -v $tool >/dev/null || die "$tool is not on PATH: run tests/scripts/deps.sh walk"
done

walk=$target/walk
root=$walk/$suite
rm -rf "$root" "$walk/opt"
mkdir -p "$walk" "$cache/debootstrap"

mirror=$(mirror bookworm) security=$(mirror bookworm-security)
begun=$(date +%s)
say "a fresh $suite from $mirror"
log=$walk/debootstrap.log
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
[ "$suite" = bookworm ] || {
    # By itself, since it has variables of the same names.
    (own_apt bookworm) >"$walk/apt.log" 2>&1
    keyring=$cache/apt/keyring.gpg
}
debootstrap --variant=minbase --keyring="$keyring" --cache-dir="$(cd "$cache/debootstrap" && pwd -P)" \
    "$suite" "$root" "$mirror" >"$log" 2>&1 || {
    tail -n 20 "$log" >&2
    die "debootstrap failed (whole log: $log)"
}
grep -qx "VERSION_CODENAME=$suite" "$root/etc/os-release" || die "that is no $suite"
{
    echo "deb $mirror $suite main"
    echo "deb $security $suite-security main"
} >"$root/etc/apt/sources.list"
: >"$root/etc/resolv.conf"
{
    echo "127.0.0.1 localhost"
    for url in "$mirror" "$security"; do
        host=${url#*://} host=${host%%[/:]*}
        getent ahostsv4 "$host" | awk -v host="$host" 'NR == 1 { print $1, host }'
    done | sort -u
} >"$root/etc/hosts"
# A proxy of this machine's, if it has one, is how it reaches the mirror.
{
    apt-config dump | grep -i '^Acquire::.*::Proxy ' || :
    # A transcript, not a terminal.
    echo 'quiet "2"; Dpkg::Use-Pty "0";'
} >"$root/etc/apt/apt.conf.d/walk"

home=$root/home/me
mkdir -p "$home/.cargo"
# Whoever it belongs to. What it pulls from is in the system too.
git -c safe.directory='*' clone -q --bare --no-hardlinks "$top" "$home/origin"
git clone -q "$home/origin" "$home/indir"
git -C "$home/indir" remote set-url origin /home/me/origin
if [ -n "$prebuilt" ]; then
    cp -a "$prebuilt" "$home/prebuilt"
    # shellcheck disable=SC2016 # for the shell inside
    install='/home/me/prebuilt/bin/indir setup --prefix "${2#PREFIX=}"'
else
    install='command make "$@"'
    (cd "$home/indir" && cargo vendor --locked "$walk/vendor" >"$walk/vendor.toml" 2>"$walk/vendor.log") ||
        die "cargo vendor failed (whole log: $walk/vendor.log)"
    cp -a "$walk/vendor" "$home/vendor"
    sed 's|^directory = .*|directory = "/home/me/vendor"|' "$walk/vendor.toml" >"$home/.cargo/config.toml"
fi

say "(the system and the clone: $(($(date +%s) - begun)) s)"

# enter COMMAND…: in the system, with mounts and processes of its own that end with it.
enter() {
    # shellcheck disable=SC2016 # for the inner shell
    unshare --mount --pid --fork --kill-child sh -eu -c '
        root=$1
        shift
        mount --make-rprivate /
        mount -t proc proc "$root/proc"
        mount --rbind /dev "$root/dev"
        mount --rbind /sys "$root/sys"
        exec chroot "$root" env -i HOME=/home/me LANG=C.UTF-8 DEBIAN_FRONTEND=noninteractive \
            PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "$@"
    ' sh "$root" "$@" </dev/null
}

# walk PAGE [SECTION]: from the folder that the clone is in.
walk_through() {
    printf '\n=== %s\n' "$*"
    {
        cat <<END
make() {
    case \$1 in
    install)
        page_from=\$(date +%s)
        $install
        times >/tmp/times
        echo "(installed in \$((\$(date +%s) - page_from)) s; processor time of all, user and system:"
        echo "\$(tail -n 1 /tmp/times))"
        ;;
    *) command make "\$@" ;;
    esac
}
END
        page=$top/$1
        if [ "$suite" = trixie ]; then
            # What it has itself, where the README shows what bookworm has.
            page=$walk/${1##*/}
            sed '/^\$ \.\/version$/{n;s/^2\.36$/2.41/}' "$top/$1" >"$page"
        fi
        PAGE_WALK=1 "$top/tests/scripts/page.sh" "$page" ${2+"$2"}
    } >"$home/walk.sh"
    before=$(date +%s)
    # shellcheck disable=SC2016 # for the inner shell
    enter sh -c 'cd "$1" && PATH=$2$PATH && exec sh /home/me/walk.sh' sh "$folder" "$path" 2>&1 ||
        die "$* does not work on a fresh $suite"
    printf '(%s s, %s in the system)\n' $(($(date +%s) - before)) \
        "$(du -shx --exclude=home/me/vendor "$root" | cut -f 1)"
}

# packages: MB of the system that are Debian's.
packages() {
    du -smx --exclude=home --exclude=opt --exclude=srv --exclude=var/cache --exclude=var/lib/apt "$root" | cut -f 1
}

rm -f "$root"/var/cache/apt/archives/*.deb
bare=$(packages)
folder=/home/me/indir path=''
walk_through README.md
printf '\n=== What the installation took\n'
printf '%s MB of packages to download, %s MB on disk\n' \
    "$(find "$root/var/cache/apt/archives" -name '*.deb' -printf '%s\n' |
        awk '{ sum += $1 } END { printf "%.0f", sum / 1e6 }')" $(($(packages) - bare))
du -smx --exclude=cache "$root/opt/indir" "$home/indir/target" | sed "s|$root||; s|^|MB: |"
[ "$suite" = bookworm ] || exit 0
# Where the guide begins: docs/guide.md, "Install".
folder=/home/me/work path=/opt/indir/bin:
cp -a "$root/opt" "$walk/opt"
sed -n 's/^## //p' "$top/docs/guide.md" | while read -r section; do
    # As it was after the tour, whatever the last section did.
    rm -rf "$root/opt" "$root/srv" "$home/work"
    cp -a "$walk/opt" "$root/opt"
    mkdir "$root/srv" "$home/work"
    walk_through docs/guide.md "$section"
done
