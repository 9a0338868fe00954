#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Error codes: each has a row in the table and in docs/errors.md, and is used somewhere.
set -eu
cd "${srcdir:-.}"
bad=0
codes=$(sed -n 's/^ *\(LTI_E_[A-Z_]*\),*$/\1/p' include/lti_err.h | grep -v LTI_E_COUNT)
[ "$(echo "$codes" | wc -l)" -ge 60 ] || { echo "errors: include/lti_err.h cannot be read"; exit 1; }
for code in $codes; do
    grep -q "\[$code\]" mod_lti_sync/lti_err.c || { echo "errors: $code has no row in lti_err.c"; bad=1; }
done
names=$(sed -n 's/^ *\[LTI_E_[A-Z_]*\] = *{"\([a-z-]*\)".*/\1/p; s/^ *{"\([a-z-]*\)", LTI_ERR_.*/\1/p' mod_lti_sync/lti_err.c)
for name in $names; do
    grep -q "^| \`$name\`" docs/errors.md || { echo "errors: $name has no row in docs/errors.md"; bad=1; }
done
for name in $(sed -n 's/^| `\([a-z-]*\)`.*/\1/p' docs/errors.md); do
    echo "$names" | grep -qx -- "$name" || { echo "errors: docs/errors.md documents $name, which does not exist"; bad=1; }
done
exit $bad
