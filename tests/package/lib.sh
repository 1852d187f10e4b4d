# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh
# What the tests of the packages share: a folder with a fresh Debian of this machine's release, packages to install in it, and TAP lines.
# Sourced, never run; the sourcing script sets HERE to its own folder. Needs root, and leaves nothing behind.

ROOT=$HERE/../..
BUILD=${TEST_BUILD:-build}
number=0
unset MAKEFLAGS MAKELEVEL # of the make that runs this test

skip()
{
    echo "1..0 # SKIP $*"
    exit 0
}

[ "$(id -u)" -eq 0 ] || skip "this installs packages and needs root"
[ -r /etc/debian_version ] || skip "this is no Debian"
# shellcheck disable=SC1091
SUITE=$(. /etc/os-release && echo "$VERSION_CODENAME")
WORK=$(mktemp -d)
TREE=$WORK/tree
OUT=$WORK/out
trap 'rm -rf --one-file-system "$WORK"' EXIT
chmod 755 "$WORK"
cd "$ROOT" || exit 1

check()
{
    text=$1
    shift
    number=$((number + 1))
    if "$@" >"$OUT" 2>&1; then
        echo "ok $number $text"
    else
        echo "not ok $number $text"
        tail -n 60 "$OUT" | sed 's/^/# /'
    fi
}

# The program and its arguments, in the tree.
run()
{
    chroot "$TREE" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive "$@"
}

is()
{
    [ "$2" = "$3" ] || {
        echo "$1 is '$2', not '$3'"
        return 1
    }
}

# install_tools PACKAGE...: what building takes, as debian/control says, and what else is used here.
install_tools()
{
    # shellcheck disable=SC2086 # a list of words
    dpkg-query -W dpkg-dev fakeroot mmdebstrap "$@" >/dev/null 2>&1 && dpkg-checkbuilddeps 2>/dev/null && return 0
    export DEBIAN_FRONTEND=noninteractive
    apt-get -q update || return 1
    apt-get -q install -y --no-install-recommends dpkg-dev fakeroot mmdebstrap "$@" &&
        apt-get -q build-dep -y --no-install-recommends ./
}

# The packages of the work tree as it is, once for all tests that want them.
build_packages()
{
    make -s dist || return 1
    sum=$(sha256sum "$BUILD"/xen-9pfs-*.tar.gz)
    [ "$(cat "$BUILD/deb/sum" 2>/dev/null)" != "$sum" ] || return 0
    rm -rf "$BUILD/deb"
    make -s deb && echo "$sum" >"$BUILD/deb/sum"
}

# unpack_system PACKAGE...: a minimal system with these, which installs from where this machine does.
unpack_system()
{
    apt-config dump | grep -E '^Acquire::((https?|ftp)::|Check-|Max-ValidTime|Retries)' >"$WORK/apt.conf"
    mmdebstrap --mode=root --variant=minbase --skip=cleanup/apt --aptopt="$WORK/apt.conf" --aptopt='APT::Install-Recommends "false"' \
        --dpkgopt='force-unsafe-io' --include="$(echo "$*" | tr ' ' ',')" "$SUITE" "$TREE" - <<END
$("$HERE/../real-xen/mirror" --sources)
END
    result=$?
    mkdir -p "$TREE/packages"
    cp "$BUILD"/deb/xen-9pfs_*.deb "$TREE/packages/first.deb"
    return $result
}
