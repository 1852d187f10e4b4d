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
    USERLAND=$CACHE/userland.img
    DOM0_TREE=$CACHE/dom0-tree
    DOM0_DISK=$CACHE/dom0.img
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

# boot_and_judge NAME COMMAND...: boots with that command and shows the TAP lines that it prints. All lines that the plan announces
# must be there, and say ok: a dom0 that stopped half-way printed no plan at all.
boot_and_judge()
{
    results=$CACHE/$1.tap
    shift
    say "booting Xen under emulation ..."
    {
        "$@" || echo "Bail out! dom0 ended with status $?; its console is in $CACHE"
    } | tee "$results"
    planned=$(sed -n 's/^1\.\.\([0-9][0-9]*\)$/\1/p' "$results")
    passed=$(grep -c '^ok ' "$results" || true)
    failed=$(grep -c '^not ok ' "$results" || true)
    say "${passed} passed, ${failed} failed, ${planned:-an unknown number of them} planned"
    if [ "${planned:-0}" -eq 0 ] || [ "$passed" -ne "$planned" ] || grep -q '^Bail out!' "$results"; then
        die "the test on real Xen has failed"
    fi
}
