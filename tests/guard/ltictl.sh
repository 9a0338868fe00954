#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# ltictl: the program and its manual name the same commands and the same options.
set -eu
cd "${srcdir:-.}"
source=mod_lti_sync/ltictl.c
manual=docs/ltictl.1
work=${TMPDIR:-/tmp}/ltictl.$$
mkdir "$work"
trap 'rm -rf "$work"' EXIT
bad=0

# Rows of the table of commands begin {"name", "usage"; those of the table of options {"name", address or NULL.
awk '/ctl_command_t commands\[\]/ { inside = 1 } /^};/ { inside = 0 } inside && /^ *\{"/ { split($0, part, "\""); print part[2] }' "$source" |
    sort -u >"$work/commands"
awk '/option_t options\[\]/ { inside = 1 } /^    };/ { inside = 0 } inside && /^ *\{"/ { split($0, part, "\""); print part[2] }' "$source" |
    sort -u >"$work/options"
# In the manual a command or an option is the word behind .B, .BI or .BR that follows .TP, without the \ of its hyphens.
awk '/^\.SH/ { where = $2 } where == "COMMANDS" && before == ".TP" { gsub(/[\\"]/, "", $2); print $2 } { before = $0 }' "$manual" |
    grep -v '^help$' | sort -u >"$work/commands.1"
awk '/^\.SH/ { where = $2 } where == "OPTIONS" && before == ".TP" { gsub(/[\\",]/, "", $2); sub(/^--/, "", $2); print $2 } { before = $0 }' "$manual" |
    sort -u >"$work/options.1"

[ "$(wc -l <"$work/commands")" -ge 10 ] || { echo "ltictl: the table of commands in $source cannot be read"; exit 1; }
[ "$(wc -l <"$work/options")" -ge 10 ] || { echo "ltictl: the table of options in $source cannot be read"; exit 1; }
for what in commands options; do
    for name in $(comm -23 "$work/$what" "$work/$what.1"); do
        echo "ltictl: $manual does not have $name of the $what in $source"
        bad=1
    done
    for name in $(comm -13 "$work/$what" "$work/$what.1"); do
        echo "ltictl: $manual has $name, which is not among the $what in $source"
        bad=1
    done
done

# What a command takes beside: its usage in the program against its lines in the manual.
awk '/ctl_command_t commands\[\]/ { inside = 1 } /^};/ { inside = 0 } inside { print }' "$source" | grep -o '{"[^"]*", "[^"]*"' |
    while IFS='"' read -r _ name _ usage _; do
        for option in $(echo "$usage" | grep -o -- '--[a-z]*' || :); do
            escaped=$(echo "$option" | sed 's/-/\\-/g')
            head=$(echo "$name" | sed 's/-/\\-/g')
            grep -F -- "$escaped" "$manual" | grep -F ".B" | grep -Fq -- "$head " ||
                echo "ltictl: $manual does not say that $name takes $option"
        done
    done >"$work/taken"
[ ! -s "$work/taken" ] || { cat "$work/taken"; bad=1; }
exit $bad
