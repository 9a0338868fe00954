#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What is exported: the table in mod_lti_environment.c and docs/environment.md name the same variables and headers.
set -eu
cd "${srcdir:-.}"
bad=0
rows=$(sed -n 's/^ *ROW("\(LTI_[A-Z_]*\)", "\(X-LTI-[A-Za-z-]*\)",.*/\1 \2/p' mod_lti_sync/mod_lti_environment.c)
[ "$(echo "$rows" | wc -l)" -ge 25 ] || { echo "environment: the table cannot be read"; exit 1; }
echo "$rows" | {
    while read -r name header; do
        grep -q "^| \`$name\` | \`$header\`" docs/environment.md || { echo "environment: $name, $header has no row in docs/environment.md"; bad=1; }
        made=X-LTI-$(echo "${name#LTI_}" | tr _ - | awk -F- '{ for (i = 1; i <= NF; i++) printf "%s%s%s", (i > 1 ? "-" : ""), substr($i, 1, 1), tolower(substr($i, 2)) }')
        [ "$made" = "$header" ] || { echo "environment: $name should be the header $made, not $header"; bad=1; }
    done
    exit $bad
} || bad=1
for name in $(sed -n 's/^| `\(LTI_[A-Z_]*\)` |.*/\1/p' docs/environment.md); do
    echo "$rows" | grep -q "^$name " || { echo "environment: docs/environment.md documents $name, which is not exported"; bad=1; }
done
exit $bad
