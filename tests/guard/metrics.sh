#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Metrics: each family has a row in docs/operations.md with its type and each row a family; alert rules speak of families that exist, in a form that their type has; so does mod_status.
set -eu
cd "${srcdir:-.}"
bad=0
source=mod_lti_sync/mod_lti_admin_metrics.c
doc=docs/operations.md
families=$(sed -n 's/^ *\[[A-Z_]*\] = *{"\(lti_[a-z_]*\)", "\([a-z]*\)",.*/\1 \2/p' "$source")
[ "$(echo "$families" | wc -l)" -ge 20 ] || { echo "metrics: the table in $source cannot be read"; exit 1; }
section=$(sed -n '/^## Metrics$/,/^### In mod_status$/p' "$doc")
rows=$(echo "$section" | grep '^| `lti_' || true)
documented=$(echo "$rows" | awk -F'|' '{ type = $3; gsub(/ /, "", type); n = split($2, part, /`/); for (i = 2; i <= n; i += 2) print part[i], type }')
[ -n "$documented" ] || { echo "metrics: $doc has no table of families"; exit 1; }
echo "$families" | while read -r family type; do
    echo "$documented" | grep -qx "$family $type" || { echo "metrics: $family ($type) has no row in $doc"; exit 1; }
done || bad=1
echo "$documented" | while read -r family type; do
    echo "$families" | grep -qx "$family $type" || { echo "metrics: $doc documents $family ($type), which does not exist"; exit 1; }
done || bad=1
samples=$(echo "$families" | awk '$2 == "counter" { print $1 "_total" } $2 == "info" { print $1 "_info" } $2 == "gauge" { print $1 }
    $2 == "histogram" { print $1 "_bucket"; print $1 "_sum"; print $1 "_count" }')
asked=$(echo "$section" | sed -n 's/^ *expr: //p' | grep -o 'lti_[a-z_]*' | sort -u)
[ "$(echo "$asked" | wc -l)" -ge 10 ] || { echo "metrics: the alert rules in $doc cannot be read"; exit 1; }
for name in $asked; do
    echo "$samples" | grep -qx "$name" || { echo "metrics: an alert rule in $doc asks for $name, which does not exist"; bad=1; }
done
for code in $(echo "$section" | sed -n 's/.*code=~"\([^"]*\)".*/\1/p' | tr '|' ' '); do
    grep -q "^| \`$code\`" docs/errors.md || { echo "metrics: an alert rule in $doc asks for the code $code, which does not exist"; bad=1; }
done
lines=$(grep -o 'Lti[A-Za-z]*: ' mod_lti_sync/mod_lti_admin_server_status.c | tr -d ': ')
[ "$(echo "$lines" | wc -l)" -ge 10 ] || { echo "metrics: the lines of mod_status cannot be read"; exit 1; }
for line in $lines; do
    grep -q "\`$line\`" "$doc" || { echo "metrics: $line of mod_status does not stand in $doc"; bad=1; }
done
exit $bad
