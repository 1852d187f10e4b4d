#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# What a stand-in library takes from the real one, so that nobody sees a difference.
#
#     symbols.sh soname LIBRARY    the soname
#     symbols.sh map LIBRARY       a version script: each symbol in the version it has there
#     symbols.sh have LIBRARY      a header with a HAVE_... for each function
#     symbols.sh stubs LIBRARY     weak functions that say what has no stand-in
set -eu

functions() { # VERSION FUNCTION, sorted
    objdump -T "$1" | awk '$3 == "DF" && $4 == ".text" { print $(NF - 1), $NF }' | sort
}

case $1 in
soname)
    objdump -p "$2" | awk '$1 == "SONAME" { print $2 }'
    ;;
map)
    functions "$2" | awk '
        $1 != version { if (version) print "};"; version = $1; print version " { global:" }
        { print "    " $2 ";" }
        END { print "};"; print "STANDIN_HIDDEN { local: *; };" }'
    ;;
have)
    functions "$2" | awk '{ print "#define HAVE_" $2 " 1" }'
    ;;
stubs)
    echo '_Noreturn void core_unsupported(const char *function);'
    functions "$2" | awk '{
        print "__attribute__((weak)) void " $2 "(void) { core_unsupported(\"" $2 "\"); }" }'
    ;;
esac
