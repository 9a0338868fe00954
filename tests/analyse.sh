#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Static analysis of what is shipped, of the fuzz targets and of the benches: cppcheck, and clang-tidy with the checks of .clang-tidy. Any finding fails.
#   tests/analyse.sh [FILE...]
set -u
cd "$(dirname "$0")/.." || exit 1
[ $# -gt 0 ] || set -- mod_lti_sync/*.c tests/fuzz/*.c tests/bench/*.c
apxs=$(command -v apxs || command -v apxs2 || ls /usr/sbin/apxs 2>/dev/null) || { echo "apxs is needed (Debian: apt install apache2-dev)" >&2; exit 1; }
# Headers of others are the system's: what is in them is not ours to mend.
system=$(pkg-config --cflags apr-1 apr-util-1 libcrypto jansson libcurl)
flags="-std=gnu11 -D_GNU_SOURCE -DLTI_VERSION=\"0\" -DLTI_STATE_DIR=\"/\" -Iinclude -Imod_lti_sync -Itests/fuzz"
flags="$flags $(echo "$system -I$($apxs -q INCLUDEDIR)" | sed 's/-I/-isystem /g')"
bad=0

# NULL is a pointer where APR is, so it may end a list of arguments; jansson's loops are given without their semicolons, which the program takes for separators.
cppcheck --version || exit 1
cppcheck -q --std=c11 --enable=warning,performance,portability --inline-suppr --error-exitcode=1 --suppress=missingIncludeSystem --suppress=varFuncNullUB \
    '-Djson_array_foreach(a, i, v)=while ((v = json_array_get(a, i = 0)) != 0)' \
    '-Djson_object_foreach(o, k, v)=while ((v = json_object_get(o, k = "k")) != 0)' \
    -D__GNUC__ -Iinclude -Imod_lti_sync "$@" || bad=1

clang-tidy --version | sed -n 2p
for file in "$@"; do
    printf '%s\n' "$file"
done | FLAGS=$flags xargs -P "${ANALYSE_JOBS:-2}" -I '{}' sh -c 'clang-tidy --quiet "{}" -- $FLAGS 2>/dev/null || { echo "clang-tidy: {}"; exit 1; }' || bad=1
exit $bad
