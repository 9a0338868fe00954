#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Log tags: LTI and four digits, each at one place only.
set -eu
cd "${srcdir:-.}"
tags=$(grep -ho '"LTI[0-9][0-9][0-9][0-9]' mod_lti_sync/*.c | sort)
[ "$(echo "$tags" | wc -l)" -ge 15 ] || { echo "tags: the sources cannot be read"; exit 1; }
twice=$(echo "$tags" | uniq -d)
[ -z "$twice" ] || { echo "tags: used at more than one place:" $twice; exit 1; }
