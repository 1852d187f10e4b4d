# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh
# What every script of tests/real-xen that runs on the developer's machine shares: where things are,
# and how to say what is going on. Sourced, never run; the sourcing script sets HERE to its own folder.

# Used by the scripts that source this file.
# shellcheck disable=SC2034
{
    ROOT=$(cd "$HERE/../.." && pwd)
    CACHE=${REAL_XEN_CACHE:-$ROOT/.cache/real-xen}
    TREE=$CACHE/tree
    IMAGES=$CACHE/images
    XEN_VERSION=4.20
    SUITE=trixie
}

say()
{
    printf '%s: %s\n' "${0##*/}" "$*" >&2
}

die()
{
    say "$*"
    exit 1
}

need_root()
{
    [ "$(id -u)" -eq 0 ] || die "this needs root: it installs packages, or builds a Debian tree. Run it as root (or with sudo)."
}
