#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# An arrow goes to a lower floor only, and the core never includes httpd: docs/architecture.md has the floors.
set -eu
root=${srcdir:-.}
cd "$root"
table=docs/architecture.md
[ -s "$table" ] || { echo "layers: $table is missing"; exit 1; }

awk -F'|' '/^\| *[0-9]+ *\| *`/ { gsub(/[ `]/, "", $2); gsub(/[ `]/, "", $3); print $2, $3 }' "$table" >"${TMPDIR:-/tmp}/floors.$$"
trap 'rm -f "${TMPDIR:-/tmp}/floors.$$"' EXIT
[ "$(wc -l <"${TMPDIR:-/tmp}/floors.$$")" -ge 25 ] || { echo "layers: the table of rooms in $table cannot be read"; exit 1; }

files=$(ls include/*.h mod_lti_sync/*.c mod_lti_sync/*.h)
awk -v floors="${TMPDIR:-/tmp}/floors.$$" '
function room_of(path,    name, room, best) {
    name = path; sub(/.*\//, "", name); sub(/\.[ch]$/, "", name)
    if (name == "mod_lti_require") name = "mod_lti_identity"
    if (name == "lti_schema") name = "lti_db"
    best = ""
    for (room in floor)
        if ((name == room || index(name, room "_") == 1) && length(room) > length(best)) best = room
    return best
}
BEGIN { while ((getline line < floors) > 0) { split(line, part, " "); floor[part[2]] = part[1] } }
FNR == 1 {
    room = room_of(FILENAME); checked++
    if (room == "") { print "layers: " FILENAME " belongs to no room of docs/architecture.md"; bad = 1 }
    core = (FILENAME !~ /\/mod_lti/)
}
/^#include/ {
    target = $2; gsub(/["<>]/, "", target)
    if (core && target ~ /^(httpd|http_|ap_|mod_|util_)/) { print "layers: " FILENAME ":" FNR ": the core includes " target; bad = 1 }
    if ($2 ~ /^"/) {
        other = room_of(target)
        if (other == "") { print "layers: " FILENAME ":" FNR ": " target " belongs to no room"; bad = 1 }
        else if (other != room && floor[other] >= floor[room]) {
            print "layers: " FILENAME ":" FNR ": " room " (floor " floor[room] ") includes " other " (floor " floor[other] ")"; bad = 1
        }
    }
}
END { if (checked < 40) { print "layers: only " checked " files were found"; bad = 1 } exit bad }
' $files
