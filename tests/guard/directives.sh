#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Directives: table, documentation and sample configuration name the same ones; every field of a configuration is merged.
set -eu
cd "${srcdir:-.}"
source=mod_lti_sync/mod_lti_config.c
merges="$source mod_lti_sync/mod_lti_config_dir.c"
header=include/mod_lti_config.h
bad=0

names=$(sed -n 's/.*AP_INIT_[A-Z0-9_]*("<*\(LTI[A-Za-z]*\)".*/\1/p' "$source" | sort -u)
[ "$(echo "$names" | wc -l)" -ge 30 ] || { echo "directives: the table in $source cannot be read"; exit 1; }
for name in $names; do
    grep -q "^| \`<*$name" docs/directives.md || { echo "directives: $name has no row in docs/directives.md"; bad=1; }
done
for name in $(sed -n 's/^| `<*\(LTI[A-Za-z]*\).*/\1/p' docs/directives.md | sort -u); do
    echo "$names" | grep -qx "$name" || { echo "directives: docs/directives.md documents $name, which does not exist"; bad=1; }
done
[ -s conf/lti_sync.conf ] || { echo "directives: conf/lti_sync.conf is missing"; exit 1; }
for name in $(grep -ho '\bLTI[A-Z][A-Za-z_]*' conf/lti_sync.conf README.md docs/operations.md | grep -v '_' | sort -u); do
    echo "$names" | grep -qx "$name" || { echo "directives: the sample configuration or a document names $name, which does not exist"; bad=1; }
done

for struct in lti_server_config_t lti_dir_config_t; do
    fields=$(awk -v s="$struct" '$0 ~ "^typedef struct " s { inside = 1; next } $0 ~ "^} " s { inside = 0 }
        inside && /;/ { sub(/;.*/, ""); sub(/.*[ *]/, ""); print }' "$header")
    [ -n "$fields" ] || { echo "directives: $struct cannot be read"; exit 1; }
    for field in $fields; do
        case $field in
        open_platform | does_tls | db_server | db_is_sqlite | db_text | runtime | course_paths | named_courses) continue ;; # made after the merge, or only while a block is read
        esac
        grep -Eq "MERGE_(POINTER|NUMBER)\($field\)|merged->$field =" $merges ||
            { echo "directives: $struct.$field is not merged"; bad=1; }
    done
done
exit $bad
