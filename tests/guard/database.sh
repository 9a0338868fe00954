#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Tables: those of the schema and of docs/database.md are the same; SQL stands in lti_db and lti_schema only.
set -eu
cd "${srcdir:-.}"
bad=0
tables=$(grep -ho 'lti_[a-z_]* (' mod_lti_sync/lti_schema.c | sed 's/ (//' | sort -u)
made=$(grep -o 'CREATE TABLE[^(]*lti_[a-z_]*' mod_lti_sync/lti_schema.c | sed 's/.* //' | sort -u)
[ -n "$made" ] || made=$tables
[ "$(echo "$made" | wc -l)" -ge 6 ] || { echo "database: the tables of lti_schema.c cannot be read"; exit 1; }
for table in $made; do
    grep -q "\`$table\`" docs/database.md || { echo "database: $table is not in docs/database.md"; bad=1; }
done
stray=$(grep -lE '"(SELECT|INSERT INTO|UPDATE|DELETE FROM) ' mod_lti_sync/*.c | grep -v -e /lti_db -e /lti_schema || true)
[ -z "$stray" ] || { echo "database: SQL outside its room:" $stray; bad=1; }
exit $bad
